"""Which days are compared: a change that was found is neither usual nor found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.drift_in_turn import decided_in_turn
from feature_store.days import shift
from tests.training.drift.day_fixture import DRIFT, MONDAY, day, quiet_days
from training.drift.compared import Found, found_by
from training.drift.day_tests import SHARES
from training.drift.decision import decide
from training.drift.label_tests import label_test
from training.drift.outcome import DriftDecision, History, PastDecision


def limit(decision: DriftDecision) -> float:
    (label,) = [test for test in decision.evidence["tests"] if test["name"] == "label"]
    return float(label["threshold"] - label["normal"])


def test_a_change_that_was_found_does_not_widen_what_is_usual() -> None:
    random = np.random.default_rng(3)
    days = quiet_days(random, 28)
    days += [day(random, shift(MONDAY, 28 + n), change=-0.6) for n in range(3)]
    days += [day(random, shift(MONDAY, 31)), day(random, shift(MONDAY, 32), change=-0.35)]
    before, *_, quiet, again = decided_in_turn(days, 27)
    assert abs(limit(quiet)) < 2 * abs(limit(before))
    assert quiet.evidence["found_days"] == 3
    assert again.evidence["labels_drifted"]


def test_the_rows_of_a_day_that_drifted_are_not_found_again_by_sparse_days_after_it() -> None:
    random = np.random.default_rng(5)
    days = quiet_days(random, 28)
    days.append(day(random, shift(MONDAY, 28), rows=30_000, change=-0.5))
    days += [day(random, shift(MONDAY, 29 + n), rows=40) for n in range(6)]
    first, *after = decided_in_turn(days, 28)
    assert first.evidence["labels_drifted"]
    assert not any(decision.evidence.get("labels_drifted") for decision in after)
    assert all(decision.evidence["pooled_rows"] < 1000 for decision in after)


def test_what_was_found_is_neither_usual_nor_tested_again_until_it_is_how_the_world_is() -> None:
    names = [shift(MONDAY, n) for n in range(6)]
    found = PastDecision(names[1], labels_drifted=True, train=True, extent="incremental")
    pooled = replace(found, ds=names[4], first_tested=names[3])
    quiet = PastDecision(names[2], labels_drifted=False, train=False, extent=None)
    assert found_by([]) == Found()
    assert found_by([found, quiet]) == Found(frozenset({names[1]}))
    assert found_by([found, quiet, pooled]) == Found(frozenset({names[1], names[3], names[4]}))
    settled = replace(pooled, usual_since=names[3])
    assert found_by([found, quiet, settled]) == Found(frozenset({names[1]}), (names[3],))
    later = replace(found, ds=names[5])
    assert found_by([found, settled, later]) == Found(frozenset({names[1], names[5]}), (names[3],))
    # what had become usual ends: its days are usual no more, those before it are again
    over = replace(quiet, ds=names[5], ended=names[3])
    both = frozenset({names[1], names[3], names[4]})
    assert found_by([found, settled, over]) == Found(both)
    assert found_by([found, settled]).without(names[3], names[5]) == Found(both)
    anew = replace(quiet, ds=names[5], usual_since=names[5])
    assert found_by([settled, anew]) == Found(frozenset(), (names[3], names[5]))
    # what ended takes along what became usual after it, and leaves what did before it
    first, last = replace(quiet, ds=names[1], usual_since=names[1]), shift(names[5], 1)
    all_over = replace(quiet, ds=last, ended=names[3])
    since = frozenset(names[3:6])
    assert found_by([first, settled, anew, all_over]) == Found(since, (names[1],))


def test_days_that_are_tested_together_are_of_one_week() -> None:
    random = np.random.default_rng(8)
    days = quiet_days(random, 34)
    apart = [*days[:30], *days[32:]]
    together = _windows(decided_in_turn(apart, len(apart) - 1)[0])
    assert together <= {1, 3}
    # after three weeks without a row
    last = day(random, shift(MONDAY, 58))
    alone = decided_in_turn([*days, last], len(days))[0]
    assert _windows(alone) == {1}


def test_a_day_and_three_together_share_the_level() -> None:
    """Each at half of it: the limit of the day alone is that of a test at half the level."""
    random = np.random.default_rng(9)
    days = quiet_days(random, 41)
    (now,) = decided_in_turn(days, 40)
    (label,) = [test for test in now.evidence["tests"] if test["name"] == "label"]
    reference = days[:40] if label["window"] == 1 else days[:38]
    tested = days[40:] if label["window"] == 1 else days[:37:-1]
    alone = label_test(tested, reference, SHARES["label"] * DRIFT.alpha / 2)
    assert alone is not None
    assert label["threshold"] == pytest.approx(alone.threshold)


def test_calibration_is_compared_with_usual_days_alone() -> None:
    random = np.random.default_rng(10)
    days = quiet_days(random, 40)
    steep = day(random, shift(MONDAY, 40))
    few = steep.clicks.sum() * steep.rows / steep.rows.sum()
    days += [replace(steep, ds=shift(MONDAY, 40 + n), clicks=few) for n in range(3)]
    days.append(day(random, shift(MONDAY, 43)))
    *found, last = decided_in_turn(days, 40)
    assert all(one.evidence["labels_drifted"] for one in found)
    (test,) = [test for test in last.evidence["tests"] if test["name"] == "calibration"]
    assert test["days"] == 40


def _windows(decision: DriftDecision) -> set[int]:
    return {test["window"] for test in decision.evidence["tests"]}


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
