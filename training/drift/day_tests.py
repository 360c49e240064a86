"""The tests of one day, which share one level; and whether what had become usual has ended."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from conf.drift import DriftSettings
from feature_store.days import ordinal
from training.drift.compared import Found, Test, clearest, is_better, usual
from training.drift.day_counts import Block
from training.drift.drift_test import DriftTest
from training.drift.label_tests import calibration_test, label_test, rank_test
from training.drift.order_test import order_test
from training.drift.score_test import score_test

SHARES = {"score": 0.2, "label": 0.35, "auc": 0.35, "calibration": 0.1}
"""Each test's share of the day's level: labels decide, scores are watched."""
RANKED_SHARES = {"score": 0.25, "rank": 0.75}
"""The same where negatives are drawn."""
_ORDER: Mapping[str, Test] = {"auc": order_test, "rank": rank_test}
"""Of one side: what is better is no drift."""


def tests_of(
    pooled: Block,
    alike: Block,
    reference: Block,
    found: Found,
    drift: DriftSettings,
    *,
    sampled: bool,
) -> list[DriftTest]:
    """Those that can be made: of the scores, beside the days `alike`, and of the labels."""
    share = (RANKED_SHARES if sampled else SHARES)["score"]
    score = score_test(pooled, alike, share * drift.alpha, ordinal(pooled[0].ds))
    labels = label_tests_of(pooled, reference, found, drift, sampled=sampled)
    return [*([] if score is None else [score]), *labels]


def label_tests_of(
    pooled: Block, reference: Block, found: Found, drift: DriftSettings, *, sampled: bool
) -> list[DriftTest]:
    """The tests of the labels that can be made."""
    alpha = _alphas(drift, sampled=sampled)
    if sampled:
        tests = [clearest(rank_test, pooled, reference, found, alpha["rank"])]
    else:
        usual_days, seed = usual(reference, found), ordinal(pooled[0].ds)
        tests = [
            clearest(label_test, pooled, reference, found, alpha["label"]),
            clearest(order_test, pooled, reference, found, alpha["auc"]),
            calibration_test(pooled, usual_days, alpha["calibration"], seed),
        ]
    return [test for test in tests if test is not None]


def usual_today(
    pooled: Block, reference: Block, found: Found, drift: DriftSettings, *, sampled: bool
) -> tuple[Found, dict[str, str]]:
    """What is usual once the day is known, and the evidence where that changed.

    A lasting change that had become usual ends: where the day is better predicted than its days,
    or has another rate, and is like days before them, those are usual again. Where it is only
    better predicted, days from this one on are usual: together they would hide the way back down.
    """
    if not found.usual_since:
        return found, {}
    judged = partial(_judged, pooled, reference, drift=drift, sampled=sampled)
    better, tests = judged(found)
    drifted = [test.name for test in tests if test.drifted]
    if not better and "label" not in drifted:
        return found, {}
    for level in reversed(found.levels):
        before = found.without(level, pooled[-1].ds)
        # few days say little of how far apart a day may lie: all would be like them
        if len(usual(reference, before)) < drift.min_reference_days:
            continue
        better_still, again = judged(before)
        if not better_still and not any(test.drifted for test in again):
            return before, {"ended": level}
    return found, {} if drifted else {"usual_since": pooled[-1].ds}


def _judged(
    pooled: Block, reference: Block, found: Found, *, drift: DriftSettings, sampled: bool
) -> tuple[bool, list[DriftTest]]:
    """Whether the day is better predicted than what is usual, and the tests of its labels."""
    tests = label_tests_of(pooled, reference, found, drift, sampled=sampled)
    alpha = _alphas(drift, sampled=sampled)
    better = any(
        is_better(test, pooled, reference, found, alpha[name])
        for name, test in _ORDER.items()
        if name in alpha
    )
    # of one side, too: a low error has a p near 1
    exact = any(t.name == "calibration" and 1 - t.p < alpha["calibration"] for t in tests)
    return better or exact, tests


def _alphas(drift: DriftSettings, *, sampled: bool) -> dict[str, float]:
    shares = RANKED_SHARES if sampled else SHARES
    return {name: share * drift.alpha for name, share in shares.items()}
