"""The pretrained encoder that comes in a package, and its pin."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conf.errors import ConfigError
from conf.training import TextSettings
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
    with pytest.raises(ConfigError, match=r"has SHA-256 .*, expected 53aa51172d14.*was changed"):
        base.base_digest(base.PACKAGED, tmp_path / "model")


def test_a_package_that_is_not_installed_is_named_with_what_to_type() -> None:
    with pytest.raises(ConfigError, match="pip install not-installed-here"):
        base._packaged_folder("not_installed_here")
    with pytest.raises(ConfigError, match=r"need the package not_here.*pip install not_here"):
        base.quiet("not_here")
