"""Differences by slice against the same by hand, and what a slice may lack."""

from __future__ import annotations

import numpy as np
import pytest

from conf.dataset import Attribute, DatasetConfig
from tests.training.lake_fixture import small_dataset
from training.features.rows import Rows, Side
from training.scoring.attribute_slices import attribute_slices
from training.scoring.slice_differences import slice_differences

RANDOM = np.random.default_rng(5)
USER = RANDOM.integers(0, 200, 3000)
LOSS = RANDOM.gamma(2.0, 0.2, 3000) + 0.1 * (USER % 3)
OTHER = LOSS + RANDOM.normal(0.02, 0.1, 3000) + 0.05 * RANDOM.normal(0, 1, 200)[USER]
EVERYTHING = np.ones(3000, dtype=bool)


def test_means_rows_and_users_are_those_of_the_slice() -> None:
    some = RANDOM.random(3000) < 0.3
    whole, part = slice_differences(USER, LOSS, OTHER, {"all": EVERYTHING, "some": some}, 1)
    assert (whole.name, whole.rows, whole.users) == ("all", 3000, len(set(USER.tolist())))
    assert (part.rows, part.users) == (int(some.sum()), len(set(USER[some].tolist())))
    assert part.value == pytest.approx(LOSS[some].mean())
    assert part.head_value == pytest.approx(OTHER[some].mean())
    assert part.difference == pytest.approx((LOSS - OTHER)[some].mean())


def test_the_interval_is_that_of_whole_users() -> None:
    (found,) = slice_differences(USER, LOSS, OTHER, {"all": EVERYTHING}, 1)
    gap = LOSS - OTHER
    sums, rows = np.bincount(USER, gap), np.bincount(USER)
    # the standard error of a ratio of sums over independent users (linearised)
    residual = sums - gap.mean() * rows
    error = np.sqrt((residual**2).sum()) / rows.sum()
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(gap.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(gap.mean() + 1.96 * error, abs=0.2 * error)
    # wider than if rows were drawn, because rows of one user are alike
    assert found.high - found.low > 1.2 * 2 * 1.96 * gap.std() / np.sqrt(3000)


def test_the_same_seed_gives_the_same_interval_whatever_other_slices_there_are() -> None:
    some = USER < 50
    alone = slice_differences(USER, LOSS, OTHER, {"some": some}, 4)[0]
    beside = slice_differences(USER, LOSS, OTHER, {"all": EVERYTHING, "some": some}, 4)[1]
    assert (alone.low, alone.high) == pytest.approx((beside.low, beside.high), rel=1e-9)
    assert alone == slice_differences(USER, LOSS, OTHER, {"some": some}, 4)[0]
    assert alone != slice_differences(USER, LOSS, OTHER, {"some": some}, 5)[0]


def test_a_slice_without_rows_with_one_user_or_without_a_head_says_so() -> None:
    slices = {"none": np.zeros(3000, dtype=bool), "one": USER == 7}
    none, one = slice_differences(USER, LOSS, OTHER, slices, 1)
    assert (none.rows, none.value, none.difference, none.low) == (0, None, None, None)
    assert (one.users, one.low, one.high) == (1, None, None)
    assert one.difference is not None
    (alone,) = slice_differences(USER, LOSS, None, {"all": EVERYTHING}, 1)
    assert alone.value == pytest.approx(LOSS.mean())
    assert (alone.head_value, alone.difference, alone.low) == (None, None, None)
    nothing = np.empty(0)
    empty = slice_differences(USER[:0], nothing, nothing, {"all": EVERYTHING[:0]}, 1)
    assert empty[0].rows == 0


def test_a_row_that_one_of_both_did_not_rank_counts_for_neither() -> None:
    loss = LOSS.copy()
    loss[:100] = np.nan
    (found,) = slice_differences(USER, loss, OTHER, {"all": EVERYTHING}, 1)
    assert found.rows == 2900
    assert found.head_value == pytest.approx(OTHER[100:].mean())


def test_more_users_than_clusters_give_the_same_interval_but_for_chance() -> None:
    user = np.arange(20_000) // 2
    gap = np.random.default_rng(1).normal(0.1, 1.0, 20_000)
    everything = {"all": np.ones(20_000, dtype=bool)}
    (found,) = slice_differences(user, gap, np.zeros(20_000), everything, 1)
    error = 1 / np.sqrt(20_000)
    assert found.low == pytest.approx(gap.mean() - 1.96 * error, abs=0.25 * error)
    assert found.high == pytest.approx(gap.mean() + 1.96 * error, abs=0.25 * error)


def side(categorical: list[list[int]], multi: list[list[list[int]]]) -> Side:
    n = len(categorical)
    lists = tuple(np.array(values, dtype=np.int32) for values in multi)
    none = np.zeros((n, 0), dtype=np.float32)
    ids = np.arange(n, dtype=np.int32)
    return Side(ids, np.array(categorical, np.int32), lists, none, none.astype(np.int32))


def test_attributes_are_named_as_people_say_them() -> None:
    dataset: DatasetConfig = small_dataset()
    assert dataset.user_attributes[0] == Attribute(name="age", kind="numeric", bins=(18.0, 40.0))
    users = side([[2, 2], [3, 3], [4, 1], [3, 0]], [[[2, 3], [3, -1], [-1, -1], [2, -1]]])
    items = side([[2], [2], [9], [2]], [[[2], [2], [2], [-1]]])
    context = np.array([[0, 0, 2], [0, 0, 2], [0, 0, 2], [0, 0, 2]], dtype=np.int32)
    words = {("user.city", 2): "a", ("user.city", 3): "b", ("user.interests", 2): "w"}
    found = attribute_slices(Rows(users, items, context), dataset, words)
    rows = {name: np.flatnonzero(mask).tolist() for name, mask in found.items()}
    assert rows["user.age=below 18"] == [0]
    assert rows["user.age=18 to 40"] == [1, 3]
    assert rows["user.age=from 40"] == [2]
    assert rows["user.city=a"] == [0]
    assert rows["user.city=missing"] == [2]
    assert rows["user.city=unknown"] == [3]
    assert rows["user.interests=w"] == [0, 3]
    assert rows["user.interests=id 3"] == [0, 1]
    assert rows["item.category=id 9"] == [2]
    assert rows["context.device=id 2"] == [0, 1, 2, 3]
