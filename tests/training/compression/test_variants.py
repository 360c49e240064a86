"""Variants of a scorer that reads text, on a small lake with a tiny language model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from conf.compression import CompressionSettings
from conf.settings import Settings
from conf.training import TextSettings, TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.lake_fixture import small_lake
from tests.training.log_fixture import FIRST_DAY
from tests.training.text.tiny_models import tiny_bert
from training.compression import export
from training.compression.drawn_pairs import with_drawn_pairs
from training.compression.student import taught_by
from training.compression.variants import variants_of
from training.features.reader import FeatureReader
from training.fitting.candidate import train_candidate
from training.fitting.examples import Catalogue, Plan, load_examples
from training.scorers.batch import batch_of_rows
from training.scorers.trained import TrainedScorer

pytest.importorskip("transformers", reason="bert reads with transformers: the extra `text`")
TESTED = [shift(FIRST_DAY, n) for n in (10, 11)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return small_lake(tmp_path_factory.mktemp("variants") / "lake")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    text = TextSettings(bert_model=tiny_bert(tmp_path_factory.mktemp("bert") / "bert"))
    return Settings(
        training=TrainingSettings(bootstrap_epochs=2, text=text),
        compression=CompressionSettings(requests=3),
    )


@pytest.fixture(scope="module")
def bert(lake: Lake, settings: Settings) -> TrainedScorer:
    made = train_candidate(lake, settings.training, "bert", TESTED[0])
    return TrainedScorer("bert", made.checkpoint.net)


def test_bert_above_its_language_model_becomes_eight_bits_and_agrees(
    lake: Lake, settings: Settings, bert: TrainedScorer, tmp_path: Path
) -> None:
    found = variants_of(bert, lake, settings, TESTED, ["int8", "distilled"], tmp_path, "bert")
    made = {one.measured.name: one for one in found.made}
    assert made["int8"].measured.agreement > 0.98
    assert made["int8"].reads_text
    assert not made["distilled"].reads_text
    assert 0 < made["distilled"].measured.agreement < 1


def test_the_onnx_file_of_a_text_scorer_says_what_torch_says(
    lake: Lake, bert: TrainedScorer, tmp_path: Path
) -> None:
    reader = FeatureReader(lake, *TESTED, with_text=True)
    rows = reader.rows(lake.read(EXAMPLES, TESTED))
    export.save_onnx(bert.net, rows.take(slice(0, 8)), tmp_path / "whole.onnx")
    said = export.OnnxScorer(tmp_path / "whole.onnx", bert.net).logits(rows)
    np.testing.assert_allclose(said, bert.logits(rows), atol=1e-5)


def test_a_drawn_item_was_in_the_catalogue_when_its_day_began(lake: Lake) -> None:
    days = tuple(shift(FIRST_DAY, n) for n in range(4))
    labelled = load_examples(lake, Plan(days, days[0], days[-1], False), TrainingSettings())
    both = with_drawn_pairs(labelled, 3, seed=5)
    drawn = both.replayed
    assert 0 < drawn.sum() <= 3 * len(labelled)
    np.testing.assert_array_equal(both.item[~drawn], labelled.item)
    for day in np.unique(both.day[drawn]):
        known = labelled.reader.catalogue(labelled.reader.start_of(int(day)), int(day))
        assert set(both.item[drawn & (both.day == day)]) <= set(known)
    assert isinstance(both.items, Catalogue)
    np.testing.assert_array_equal(both.items.items.index[both.items.item], both.item)


def test_a_drawn_pair_is_learned_from_the_teacher_alone(lake: Lake, bert: TrainedScorer) -> None:
    rows = FeatureReader(lake, TESTED[0], TESTED[0], with_text=True).rows(
        lake.read(EXAMPLES, TESTED[:1]).slice(0, 2)
    )
    batch = batch_of_rows(rows, bert.schema, label=np.array([1.0, 1.0]))
    batch = batch._replace(replayed=torch.tensor([True, False]))
    logits = torch.tensor([[0.5], [-0.3]])
    p = 1 / (1 + np.exp(-bert.logits(rows)))
    q = 1 / (1 + np.exp(-logits[:, 0].double().numpy()))
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    expected = -np.log(q[1]) + 4.0 * divergence.sum()
    assert float(taught_by(bert.net, 4.0)(logits, batch)) == pytest.approx(expected, rel=1e-4)
