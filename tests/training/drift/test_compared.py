"""Which days are compared: a change that was found is neither usual nor found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from feature_store.days import shift
from tests.training.drift.day_fixture import DRIFT, MONDAY, day, quiet_days
from training.drift.compared import found_days
from training.drift.day_counts import DayCounts
from training.drift.decision import decide
from training.drift.outcome import DriftDecision, Extent, History, PastDecision
from training.drift.past import past_of

Past = list[PastDecision]


def decided_one_by_one(days: list[DayCounts], first: int) -> list[DriftDecision]:
    """Each day from `first` on; what serves knows the days up to two before."""
    past: Past = []
    found = []
    for number in range(first, len(days)):
        ds = days[number].ds
        history = History(tuple(days[:number]), True, shift(ds, -2), shift(ds, -1), tuple(past))
        found.append(decide(ds, days[number], history, DRIFT, sampled=False))
        past.append(past_of(ds, found[-1]))
    return found


def limit(decision: DriftDecision) -> float:
    (label,) = [test for test in decision.evidence["tests"] if test["name"] == "label"]
    return float(label["threshold"] - label["normal"])


def test_a_change_that_was_found_does_not_widen_what_is_usual() -> None:
    random = np.random.default_rng(3)
    days = quiet_days(random, 28)
    days += [day(random, shift(MONDAY, 28 + n), change=-0.6) for n in range(3)]
    days += [day(random, shift(MONDAY, 31)), day(random, shift(MONDAY, 32), change=-0.35)]
    before, *_, quiet, again = decided_one_by_one(days, 27)
    assert abs(limit(quiet)) < 2 * abs(limit(before))
    assert quiet.evidence["found_days"] == 3
    assert again.evidence["labels_drifted"]


def test_the_rows_of_a_day_that_drifted_are_not_found_again_by_sparse_days_after_it() -> None:
    random = np.random.default_rng(5)
    days = quiet_days(random, 28)
    days.append(day(random, shift(MONDAY, 28), rows=30_000, change=-0.5))
    days += [day(random, shift(MONDAY, 29 + n), rows=40) for n in range(6)]
    first, *after = decided_one_by_one(days, 28)
    assert first.evidence["labels_drifted"]
    assert not any(decision.evidence.get("labels_drifted") for decision in after)
    assert all(decision.evidence["pooled_rows"] < 1000 for decision in after)


def test_what_drifts_though_all_was_learned_anew_is_how_the_world_is() -> None:
    def past(*extents: Extent | None) -> Past:
        return [
            PastDecision(shift(MONDAY, n), extent is not None, extent is not None, extent)
            for n, extent in enumerate(extents)
        ]

    names = [shift(MONDAY, n) for n in range(4)]
    assert found_days(past("incremental", None, "replay")) == {names[0], names[2]}
    assert found_days(past("incremental", "incremental", "full", "incremental")) == {names[3]}
    assert found_days([]) == frozenset()


def test_one_small_day_does_not_say_how_exact_all_days_are() -> None:
    random = np.random.default_rng(6)
    days = quiet_days(random, 28, rows=4000)
    tiny = day(random, shift(MONDAY, 10), rows=40)
    # two clicks, at the top by chance
    clicks = np.zeros_like(tiny.clicks)
    clicks[int(np.flatnonzero(tiny.rows)[-1])] = 2.0
    days[10] = replace(tiny, clicks=clicks)
    fallen = day(random, shift(MONDAY, 28), rows=4000)
    even = fallen.rows * fallen.clicks.sum() / fallen.rows.sum()
    history = History(tuple(days), True, shift(MONDAY, 26), shift(MONDAY, 27))
    found = decide(shift(MONDAY, 28), replace(fallen, clicks=even), history, DRIFT, sampled=False)
    (order,) = [test for test in found.evidence["tests"] if test["name"] == "auc"]
    assert order["drifted"]
