"""A version's graphs say what its nets say: in NumPy, in ONNX Runtime, in torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from conf.training import RECALLING_SCORERS, SCORER_NAMES, TextSettings
from feature_store.days import shift
from feature_store.lake import Lake
from tests.training.log_fixture import FIRST_DAY
from tests.training.text.tiny_models import tiny_bert
from training.fitting.memory import remembers
from training.fitting.texts import text_architecture
from training.light.engines import ENGINES
from training.light.recommender import load
from training.registry.light_folder import save_light
from training.registry.snapshot import Snapshot, take_snapshot
from training.scorers import Architecture, build
from training.scorers.schema import schema_on
from training.scorers.trained import TrainedScorer
from training.scoring.catalogue_ranks import neutral_context
from training.scoring.composite import Composite

DAY = shift(FIRST_DAY, 9)
TEXT = {"made_layers": 1, "made_width": 16, "made_vocabulary": 300, "max_tokens": 12}


def scorer_of(lake: Lake, name: str, bert: str, day: str = DAY) -> TrainedScorer:
    """A net whose every weight says something."""
    text = text_architecture(name, TextSettings.model_validate({"bert_model": bert, **TEXT}))
    torch.manual_seed(3)
    net = build(name, schema_on(lake, day), Architecture(8, (16, 8), 0.0, text))
    if text is not None:
        from training.features.reader import FeatureReader

        texts = FeatureReader(lake, day, day, with_text=True).texts
        assert texts is not None
        net.encoder.begin(texts.words.texts())
    if remembers(name):
        history = take_snapshot(lake, DAY, 90).users.history[:, :20]
        net.remember(np.ascontiguousarray(history[history[:, 0] > 0]))
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn(parameter.shape))
        for key, values in net.named_buffers():
            if key.endswith(("running_mean", "mean")):
                values.add_(0.3 * torch.randn(values.shape))
    return TrainedScorer(name, net)


def said_by_torch(composite: Composite, snapshot: Snapshot, lake: Lake) -> np.ndarray:
    """(users, items) logits of everything with everything, without the unknown ones."""
    users, items = len(snapshot.users), len(snapshot.items)
    listed = np.tile(np.arange(1, items), (users, 1))
    context = neutral_context(users, snapshot.day, lake.dataset)
    ranker = composite.ranker
    return ranker.list_logits(snapshot.users, snapshot.items, listed, context)[1:]


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
@pytest.mark.parametrize("name", SCORER_NAMES)
def test_every_scorer_says_the_same_in_every_engine(
    lake_of: Callable[[str], Lake], tmp_path: Path, name: str, kind: str
) -> None:
    lake = lake_of(kind)
    bert = tiny_bert(tmp_path / "bert")
    ranker = scorer_of(lake, name, bert)
    recalls = name if name in RECALLING_SCORERS else "two_tower"
    # what recalls is of an earlier day: it knows fewer ids
    retriever = scorer_of(lake, recalls, bert, shift(FIRST_DAY, 5))
    composite = Composite(0, name, retriever, ranker)
    snapshot = take_snapshot(lake, DAY, 90, with_text=ranker.reads_text)
    save_light(composite, snapshot, lake.dataset, tmp_path, version="v", top_n=10)
    expected = said_by_torch(composite, snapshot, lake)
    vectors = retriever.user_vectors(snapshot.users) @ retriever.item_vectors(snapshot.items).T
    items = snapshot.item_ids[1:]
    for engine in ENGINES:
        recommender = load(tmp_path / "light", engine)
        for row, user in enumerate(snapshot.user_ids[1:6]):
            asked = {"user_id": user, "candidates": items, "top_n": len(items)}
            said = {entry["item_id"]: entry["score"] for entry in recommender.recommend(asked)}
            np.testing.assert_allclose(
                [said[item] for item in items], expected[row], rtol=2e-4, atol=2e-4
            )
            recalled = recommender.recommend({"user_id": user, "top_n": 5})
            taken = set(np.array(snapshot.item_ids)[_rows_of(snapshot, row + 1)])
            open_ = [i for i in np.argsort(-vectors[row + 1]) if i and items[i - 1] not in taken]
            assert {e["item_id"] for e in recalled} <= {items[i - 1] for i in open_[:100]}


def _rows_of(snapshot: Snapshot, user: int) -> list[int]:
    """Rows of the items that a user took lately."""
    history = set(snapshot.users.history[user].tolist()) - {0}
    return [row for row, index in enumerate(snapshot.items.index.tolist()) if index in history]
