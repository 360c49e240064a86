"""Items that go with a history, against a count by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES, USER_SEQUENCES
from tests.training.log_fixture import FIRST_DAY
from training.features.neighbours import CoVisits, Taken
from training.features.reader import FeatureReader
from training.scorers import Architecture, build
from training.scorers.schema import schema_on
from training.scorers.trained import TrainedScorer

LakeOf = Callable[[str], Lake]


def test_affinities_equal_the_count_pair_by_pair() -> None:
    # user 1 took 2, 3; user 2 took 2, 3, 4; user 3 took 4; all a week ago but user 2's item 4
    user, item = np.array([1, 1, 2, 2, 2, 3]), np.array([2, 3, 2, 3, 4, 4], np.int32)
    age = np.array([7.0, 7.0, 7.0, 7.0, 0.0, 7.0])
    everybody = Taken(user, item, age, np.zeros(6, np.int64))
    own = Taken(
        np.array([0, 0]), np.array([3, 2], np.int32), np.array([7.0, 7.0]), np.array([0, 1])
    )
    items, affinity = CoVisits(everybody).nearest(own, 2)
    users = (1, 2, 3)
    has = {u: {int(i) for i in item[user == u]} for u in users}
    lately = {(u, i): 0.5 ** (a / 7) for u, i, a in zip(user, item, age, strict=True)}
    degree = {i: sum(i in has[u] for u in users) for i in (2, 3, 4)}

    def item_lift(i: int) -> float:
        activity = {u: lately.get((u, i), 0.0) / np.log(2 + len(has[u])) for u in users}
        together = {
            j: sum(activity[u] for u in users if j in has[u]) / (degree[j] + 5) for j in (3, 2)
        }
        score = together[3] + 0.9 * together[2]
        return score / ((sum(activity.values()) + 0.3) / 3) / (1.9 + 1)

    def user_lift(i: int) -> float:
        rarity = {j: 1 / np.log(2 + degree[j]) for j in degree}

        def norm(taken: set[int]) -> float:
            return float(np.sqrt(sum(rarity[j] ** 2 for j in taken) + 0.05))

        alike = {
            u: (sum(rarity[j] ** 2 for j in has[u] & {2, 3}) / norm(has[u]) / norm({2, 3})) ** 2
            for u in users
        }
        score = sum(alike[u] * lately.get((u, i), 0.0) for u in users)
        popularity = sum(lately.get((u, i), 0.0) for u in users)
        return score / ((popularity + 0.3) / 3) / (sum(alike.values()) + 1)

    def exposure(i: int) -> float:
        that_day = item[age == 7]
        return 2 * float((that_day == i).mean())

    for i in (2, 3, 4):
        expected = [
            np.log1p(item_lift(i)) / 2,
            np.log1p(user_lift(i)) / 2,
            np.log((exposure(i) + 0.003) / 0.003) / 2,
        ]
        np.testing.assert_allclose(affinity[0][items[0] == i][0], expected, rtol=1e-5)
    assert set(items[0]) - {0} == {2, 3, 4}
    assert not affinity[1].any()  # a user without a history: the popular items, no affinity


def test_a_scorer_reads_users_whose_neighbours_were_not_computed(lake_of: LakeOf) -> None:
    lake = lake_of("sampled")
    ds = shift(FIRST_DAY, 6)
    rows = FeatureReader(lake, ds, ds).rows(lake.read(EXAMPLES, [ds]))
    without = replace(rows, user=replace(rows.user, neighbours=None, affinity=None))
    for name in ("two_tower", "mlp"):
        net = build(name, schema_on(lake, ds), Architecture(8, (16, 8), 0.1))
        assert np.isfinite(TrainedScorer(name, net).logits(without)).all()


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
