"""No scorer mixes tensors of a GPU with those of the CPU, as far as one without a GPU can see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conf.training import SCORER_NAMES, TextSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.log_fixture import FIRST_DAY
from tests.training.scorers.pretended_gpu import PretendedGpu
from tests.training.text.tiny_models import tiny_bert
from training.features.reader import FeatureReader
from training.fitting.distillation import Distilled, frozen
from training.fitting.losses import click_loss
from training.fitting.memory import remembers
from training.scorers import Architecture, build
from training.scorers.batch import batch_of_rows
from training.scorers.schema import schema_on
from training.text.architecture import text_architecture

LakeOf = Callable[[str], Lake]
EARLY = shift(FIRST_DAY, 3)
FORMS = {
    **{name: {} for name in SCORER_NAMES if not remembers(name)},
    "bert, a trained layer": {"trained_layers": 1},
    "bert, an adapter": {"trained_layers": 1, "lora_rank": 2},
}
"""A memory is asked on the CPU alone."""


def text_of(form: str, folder: Path) -> TextSettings:
    made = {"made_layers": 1, "made_width": 16, "made_vocabulary": 300, "max_tokens": 12}
    return TextSettings.model_validate({"bert_model": tiny_bert(folder), **made, **FORMS[form]})


@pytest.mark.parametrize("form", FORMS)
def test_a_scorer_keeps_to_the_device_of_its_batch(
    lake_of: LakeOf, tmp_path: Path, form: str
) -> None:
    lake, name = lake_of("impressions"), form.split(",", maxsplit=1)[0]
    text = text_architecture(name, text_of(form, tmp_path / "bert"))
    net = build(name, schema_on(lake, EARLY), Architecture(8, (16, 8), 0.0, text))
    examples = lake.read(EXAMPLES, [EARLY])
    reader = FeatureReader(lake, EARLY, EARLY, with_text=text is not None)
    rows, label = reader.rows(examples), examples.column("label").to_numpy()
    if reader.texts is not None:
        net.encoder.begin(reader.texts.words.texts())
    batch = batch_of_rows(rows, net.schema, label)
    batch = batch._replace(replayed=torch.arange(len(label)) % 2 == 0)
    net(batch)  # a frozen encoder is asked on the CPU, once
    gpu = PretendedGpu()
    gpu.put(net)
    gpu.put(batch)
    teacher = gpu.put(frozen(net))
    with gpu:
        net.train()
        loss = Distilled(click_loss, teacher, 0.5, listwise=False)(net(batch), batch)
        net.eval()
        with torch.no_grad():
            net(batch)
    loss.backward()


def test_the_pretended_gpu_finds_what_a_gpu_would_refuse() -> None:
    gpu = PretendedGpu()
    there = gpu.put(torch.ones(3))
    with gpu:
        assert float((there * 2).sum()) == 6.0
        (there + torch.zeros(3, device=there.device)).sum()
        (there + torch.zeros(3).to(there.device)).sum()
        with pytest.raises(AssertionError, match="on the CPU"):
            (there * 2) + torch.zeros(3)
        with pytest.raises(AssertionError, match="numpy"):
            there.numpy()
