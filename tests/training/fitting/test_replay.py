"""Which rows are replayed, against draws and quotas computed in another way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import permutations
from math import floor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from tests.training.log_fixture import FIRST_DAY
from training.fitting.examples import load_examples, plan_of
from training.fitting.replay import drawn, exemplars, quotas, replay_sample

LakeOf = Callable[[str], Lake]
FIRST_NEW = "2026-03-10"
AGES = (9, 5, 2, 1)
"""Days before FIRST_NEW of four rows."""


def settings_of(kind: str, **others: object) -> TrainingSettings:
    return TrainingSettings.model_validate({"replay": kind, **others})


def rows_of(ages: tuple[int, ...]) -> pa.Table:
    n = len(ages)
    return pa.table(
        {
            "ds": [shift(FIRST_NEW, -age) for age in ages],
            "item_index": pa.array(range(n), pa.int32()),
            "label": np.zeros(n),
        }
    )


@pytest.mark.parametrize("kind", ["uniform", "recent", "exemplars"])
def test_no_more_rows_than_asked_for_and_none_of_a_later_day(lake_of: LakeOf, kind: str) -> None:
    lake, first = lake_of("impressions"), shift(FIRST_DAY, 7)
    chosen = settings_of(kind, replay_days=4)
    for most in (0, 1, 250):
        sample = replay_sample(lake, first, chosen, most)
        assert sample.num_rows <= most
        days = set(sample.column("ds").to_pylist())
        assert all(shift(first, -4) <= ds < first for ds in days)
        assert len(set(sample.column("example_id").to_pylist())) == sample.num_rows
        assert replay_sample(lake, first, chosen, most).equals(sample)
    other = replay_sample(lake, first, settings_of(kind, replay_days=4, seed=8), 250)
    assert not other.equals(sample)


def test_without_replay_the_new_rows_are_alone(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    plan = plan_of(lake, shift(FIRST_DAY, 9), shift(FIRST_DAY, 6))
    examples = load_examples(lake, plan, settings_of("none"))
    assert not examples.replayed.any()
    replayed = [load_examples(lake, plan, settings_of(kind)) for kind in ("uniform", "recent")]
    digests = {one.replay_digest for one in (examples, *replayed)}
    assert len(digests) == 3
    again = load_examples(lake, plan, settings_of("recent"))
    assert again.replay_digest == replayed[1].replay_digest


@pytest.mark.parametrize("most", [1, 2])
def test_recent_rows_are_drawn_as_often_as_their_weights_say(most: int) -> None:
    weight = np.exp2(-np.array(AGES) / 3.0)
    expected: Counter[frozenset[int]] = Counter()
    for order in permutations(range(len(AGES)), most):  # one draw after the other
        chance, left = 1.0, weight.sum()
        for row in order:
            chance *= weight[row] / left
            left -= weight[row]
        expected[frozenset(order)] += chance  # type: ignore[assignment]
    found: Counter[frozenset[int]] = Counter()
    seeds = 3000
    for seed in range(seeds):
        chosen = settings_of("recent", replay_half_life_days=3.0, seed=seed)
        found[frozenset(drawn(rows_of(AGES), FIRST_NEW, chosen, most).tolist())] += 1
    sets = sorted(expected, key=sorted)
    test = stats.chisquare([found[s] for s in sets], [seeds * expected[s] for s in sets])
    assert sum(found[s] for s in sets) == seeds
    assert test.pvalue > 0.001


def test_rows_whose_weight_is_nought_are_not_drawn() -> None:
    chosen = settings_of("recent", replay_half_life_days=0.0005, replay_days=9)
    assert drawn(rows_of(AGES), FIRST_NEW, chosen, 3).tolist() == [3]


counts = st.lists(st.integers(1, 30), min_size=1, max_size=12)


@settings(deadline=None)
@given(counts, st.integers(0, 60))
def test_quotas_are_shares_by_largest_remainders(count: list[int], most: int) -> None:
    total = sum(count)
    exact = [Fraction(c * min(most, total), total) for c in count]
    whole = [floor(share) for share in exact]
    places = sorted(range(len(count)), key=lambda i: (-(exact[i] - whole[i]), i))
    for i in places[: min(most, total) - sum(whole)]:
        whole[i] += 1
    assert quotas(np.array(count), most).tolist() == whole


@settings(deadline=None)
@given(counts, st.integers(0, 60), st.integers(1, 8), st.integers(0, 99))
def test_exemplars_keep_each_items_share_and_its_rate(
    count: list[int], most: int, per_item: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    item = generator.permutation(np.repeat(np.arange(len(count)), count))
    label = (generator.random(len(item)) < 0.4).astype(float)
    found = exemplars(item, label, most, per_item, np.random.default_rng(seed))
    assert np.array_equal(found, np.unique(found))
    quota = np.minimum(quotas(np.array(count), most), per_item)
    assert np.bincount(item[found], minlength=len(count)).tolist() == quota.tolist()
    for one in np.flatnonzero(quota):
        expected = label[item == one].mean() * quota[one]
        assert abs(label[found][item[found] == one].sum() - expected) < 1 + 1e-9
