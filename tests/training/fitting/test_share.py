"""The part of a batch that a process trains on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from conf.training import TrainingSettings
from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from tests.training.log_fixture import FIRST_DAY
from training.fitting.examples import load_examples, plan_of, sources_of
from training.fitting.loader import BatchStream
from training.fitting.share import share_of
from training.scorers import Architecture, ScorerNet, build
from training.scorers.batch import Batch
from training.scorers.schema import schema_on

LakeOf = Callable[[str], Lake]
DS = shift(FIRST_DAY, 7)


def batch_of(lake: Lake, size: int) -> tuple[Batch, ScorerNet]:
    settings = TrainingSettings(embedding_dim=4, hidden=(16, 8), negatives=8)
    plan, schema = plan_of(lake, DS, None), schema_on(lake, shift(DS, -1))
    source, _ = sources_of(load_examples(lake, plan, settings), schema, settings, False)
    net = build("mlp", schema, Architecture(4, (16, 8), 0.0)).eval()
    days = (ordinal(plan.first_day), ordinal(plan.last_day))
    return BatchStream(source, size, 1, 3, days).batch(0), net


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
@pytest.mark.parametrize("world", [2, 3])
def test_shares_together_are_the_batch(lake_of: LakeOf, kind: str, world: int) -> None:
    whole, net = batch_of(lake_of(kind), 64)
    logits = net(whole)
    users = 0
    for rank in range(world):
        share = share_of(whole, rank, world)
        users += len(share.label)
        assert torch.equal(share.label, whole.label[rank::world])
        assert torch.equal(share.weight, whole.weight[rank::world])
        torch.testing.assert_close(net(share), logits[rank::world])
    assert users == len(whole.label)


def test_fewer_users_than_processes_are_taken_whole(lake_of: LakeOf) -> None:
    whole, _ = batch_of(lake_of("impressions"), 64)
    few = share_of(whole, 0, 32)
    assert 0 < len(few.label) < 4
    assert share_of(few, 3, 4) is few
