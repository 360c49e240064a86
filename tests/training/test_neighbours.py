"""Items that go with a history, against a count by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import USER_SEQUENCES
from tests.training.lake_fixture import FIRST_DAY
from training.features import FeatureReader
from training.neighbours import CoVisits

LakeOf = Callable[[str], Lake]


def test_affinities_equal_the_count_pair_by_pair() -> None:
    # user 1 took 2, 3; user 2 took 2, 3, 4; user 3 took 4; all a week ago but user 2's item 4
    user, item = np.array([1, 1, 2, 2, 2, 3]), np.array([2, 3, 2, 3, 4, 4], np.int32)
    age = np.array([7.0, 7.0, 7.0, 7.0, 0.0, 7.0])
    history = np.array([[3, 2, 0], [0, 0, 0]], np.int32)
    items, affinity = CoVisits(user, item, age).nearest(history)
    lately = {(u, i): 0.5 ** (a / 7) for u, i, a in zip(user, item, age, strict=True)}
    taken = {u: int((user == u).sum()) for u in (1, 2, 3)}
    degree = {i: int((item == i).sum()) for i in (2, 3, 4)}

    def together(j: int, i: int) -> float:
        both = [u for u in taken if (u, i) in lately and (u, j) in lately]
        return sum(lately[u, i] / np.log(2 + taken[u]) for u in both) / (degree[j] + 5)

    for i in (2, 3, 4):
        score = 1.0 * together(3, i) + 0.9 * together(2, i)
        popularity = sum(lately[u, i] / np.log(2 + taken[u]) for u in taken if (u, i) in lately)
        expected = np.log1p(score / ((popularity + 0.3) / 3) / 2.9) / 2
        assert affinity[0][items[0] == i] == pytest.approx(expected, rel=1e-5)
    assert set(items[0][affinity[0] > 0]) == {2, 3, 4}
    assert not items[1].any()
    assert not affinity[1].any()


def test_neighbours_know_nothing_of_the_day_itself(own_lake_of: LakeOf) -> None:
    lake = own_lake_of("sampled")
    ds = shift(FIRST_DAY, 6)
    users = np.arange(2, 30, dtype=np.int32)

    def read() -> tuple[np.ndarray, np.ndarray]:
        reader = FeatureReader(lake, ds, ds)
        day = np.full(len(users), ordinal(ds))
        side = reader.users(users, np.full(len(users), reader.start_of(int(day[0]))), day)
        assert side.neighbours is not None
        assert side.affinity is not None
        return side.neighbours, side.affinity

    before = read()
    assert before[1].any()
    lake.replace(USER_SEQUENCES, {"ds": ds}, lake.read(USER_SEQUENCES, []), {"step": "t", "ds": ds})
    for one, other in zip(before, read(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_logs_with_impressions_have_no_neighbours(lake_of: LakeOf) -> None:
    reader = FeatureReader(lake_of("impressions"), FIRST_DAY, FIRST_DAY)
    at, day = reader.at_end_of(FIRST_DAY)
    side = reader.users(np.array([2, 3], np.int32), np.full(2, at), np.full(2, day))
    assert side.neighbours is None
    assert side.take(slice(0, 1)).affinity is None
