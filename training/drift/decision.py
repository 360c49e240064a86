"""The drift decision: does the day train, and how much? Pure functions.

`retrain` on label drift; `watch` on score drift alone, and on label drift while the budget does
not allow a training; `skip`; `not_enough_data`, which trains every so many days and says so. The
tests of one day share one level. Labels are final: an example enters the day on which its label
became so. `train` also where nothing changed and no day of late has trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from conf.drift import DriftSettings
from feature_store.days import gap, shift
from training.drift.compared import found_by, pooled_days, usual
from training.drift.day_counts import Block, DayCounts
from training.drift.day_tests import tests_of, usual_today
from training.drift.drift_test import FEWEST_DAYS, DriftTest
from training.drift.extent import (
    extent_by_calendar,
    extent_of,
    last_change,
    recent_shift,
    usual_from_now,
)
from training.drift.gain import expected_gain
from training.drift.label_tests import FEWEST_RANKED
from training.drift.outcome import DriftDecision, History, PastDecision
from training.drift.score_test import moved_groups


def decide(
    ds: str,
    today: DayCounts | None,
    history: History,
    drift: DriftSettings,
    *,
    sampled: bool,
) -> DriftDecision:
    """The decision of `ds`.

    Args:
        ds: the day.
        today: its sketch; None = no rows.
        history: what came before.
        drift: level, numbers of days and rows.
        sampled: whether negatives are drawn: then the ranks of the positives are tested, and
            counted as labelled rows, because drawn rows say nothing of the world.
    """
    if not history.has_champion:
        return _by_calendar(DriftDecision("retrain", False, "no champion yet"), drift)
    if today is None or not today.n:
        return DriftDecision("not_enough_data", False, "no example became final today", {"rows": 0})
    decision = _decided(ds, today, history, drift, sampled=sampled)
    since = _days_since_training(ds, history)
    if decision.train or (since is not None and since < drift.max_gap_days):
        return decision
    reason = (
        f"{decision.reason}; trains all the same: {_last_trained(since)}, expected is a training "
        f"every {_days(drift.max_gap_days, 'day')} (drift.max_gap_days)"
    )
    return _by_calendar(replace(decision, reason=reason), drift)


def _by_calendar(decision: DriftDecision, drift: DriftSettings) -> DriftDecision:
    """It trains, and not because of a change."""
    extent, rule = extent_by_calendar(drift)
    evidence = {**decision.evidence, "extent_rule": rule}
    return replace(decision, train=True, evidence=evidence, extent=extent)


def _decided(
    ds: str, today: DayCounts, history: History, drift: DriftSettings, *, sampled: bool
) -> DriftDecision:
    """The decision by what the day says."""
    found = found_by(history.decisions)
    enough = partial(_enough, drift=drift, sampled=sampled)
    pooled, reference = pooled_days(today, history.days, drift, found, enough)
    same_class = [day for day in reference if day.weekend == today.weekend]
    evidence: dict[str, Any] = {
        "rows": today.n,
        "pooled_days": len(pooled),
        **_labelled(pooled, sampled=sampled),
        "reference_days": len(reference),
        "weekday_class_days": len(same_class),
        "found_days": len(found.days & {day.ds for day in reference}),
        "trained_to": history.champion_trained_to or "",
    }
    if len(pooled) > 1:
        evidence["first_tested"] = pooled[-1].ds
    if lacking := _lacking(evidence, drift):
        return _untested(ds, lacking, history, drift, evidence)
    # Pooled days are of both classes, and so must be the days they are compared with.
    alike = same_class if len(pooled) == 1 else reference
    found, changed = usual_today(pooled, reference, found, drift, sampled=sampled)
    tests = tests_of(pooled, alike, reference, found, drift, sampled=sampled)
    evidence |= {"tests": [asdict(test) for test in tests], "moved": moved_groups(pooled, alike)}
    evidence |= changed | ({"reference_since": found.usual_since} if found.usual_since else {})
    if all(test.name == "score" for test in tests):
        what = "ranked positives" if sampled else "rows"
        lacking = f"fewer than {FEWEST_DAYS} days with {what} to compare the labels with"
        if sampled and today.ranked < FEWEST_RANKED:
            lacking = f"{today.ranked} ranked positives today of {FEWEST_RANKED}"
        return _untested(ds, lacking, history, drift, evidence)
    usual_days = usual(reference, found)
    decision = _from_tests(ds, tests, pooled, usual_days, history, drift, evidence)
    decision = replace(decision, reason=decision.reason + _what_is_usual(changed))
    if sampled or not evidence.get("labels_drifted"):
        return decision
    return replace(decision, evidence={**decision.evidence, "gain": expected_gain(pooled)})


def _days_since_training(ds: str, history: History) -> int | None:
    return None if history.last_training is None else gap(history.last_training, ds)


def _labelled(pooled: Block, *, sampled: bool) -> dict[str, float]:
    """What the tests of labels go by: of drawn rows the ranked positives alone."""
    if sampled:
        return {"pooled_rows": sum(day.ranked for day in pooled)}
    expected = sum(float(day.expected.sum()) for day in pooled)
    return {
        "pooled_rows": sum(day.n for day in pooled),
        "pooled_expected_clicks": round(expected, 1),
    }


def _enough(pooled: Block, *, drift: DriftSettings, sampled: bool) -> bool:
    return not _lacking(_labelled(pooled, sampled=sampled), drift)


def _lacking(evidence: Mapping[str, Any], drift: DriftSettings) -> str:
    """What of the evidence is too little, in words."""
    wanted = {
        "reference_days": drift.min_reference_days,
        "weekday_class_days": drift.min_weekday_class_days,
        "pooled_rows": drift.min_labelled_rows,
        "pooled_expected_clicks": drift.min_expected_clicks,
    }
    return ", ".join(
        f"{evidence[what]} {what.replace('_', ' ')} of {least}"
        for what, least in wanted.items()
        if what in evidence and evidence[what] < least
    )


def _what_is_usual(changed: Mapping[str, str]) -> str:
    """What `usual_today` said, in words."""
    if "ended" in changed:
        return f"; what was usual before {changed['ended']} is so again"
    if "usual_since" in changed:
        return "; people are better known than of late: what is usual begins anew with this day"
    return ""


def _untested(
    ds: str, lacking: str, history: History, drift: DriftSettings, evidence: dict[str, Any]
) -> DriftDecision:
    """The decision where there are too few data; a change that was found is followed up anyway."""
    if found := _not_learned(ds, history, drift):
        why = f"{lacking}; {_learned_to(found, history)}"
        return _respond(ds, why, 0.0, history, drift, evidence)
    since = _days_since_training(ds, history)
    every = max(min(drift.fallback_every_days, drift.max_gap_days), drift.min_gap_days)
    reason = f"{lacking}; meanwhile training every {_days(every, 'day')}, {_last_trained(since)}"
    decision = DriftDecision("not_enough_data", False, reason, evidence)
    return _by_calendar(decision, drift) if since is None or since >= every else decision


def _from_tests(
    ds: str,
    tests: Sequence[DriftTest],
    pooled: Sequence[DayCounts],
    usual_days: Sequence[DayCounts],
    history: History,
    drift: DriftSettings,
    evidence: dict[str, Any],
) -> DriftDecision:
    """The decision where at least one test of the labels was made; adds to `evidence`."""
    score = [test for test in tests if test.name == "score"]
    label = [test for test in tests if test.drifted and test.name != "score"]
    found = None if evidence.get("ended") else _not_learned(ds, history, drift)
    if label or found:
        shown_by = min(label or [t for t in tests if t.name != "score"], key=lambda t: t.p)
        moved = recent_shift(shown_by.name, pooled, usual_days)
        evidence |= {"labels_drifted": bool(label), "recent_shift": moved}
        why = "; ".join(map(_sentence, label)) or _learned_to(str(found), history)
        return _respond(ds, why, moved, history, drift, evidence)
    if any(test.drifted for test in score):
        reason = f"{_sentence(score[0])}; the labels are as expected"
        return DriftDecision("watch", False, reason, evidence)
    least = min(tests, key=lambda test: test.p)
    reason = f"as usual: {_sentence(least)}"
    if not score:
        reason += "; scores were not compared, too few days can be carried over to this champion"
    return DriftDecision("skip", False, reason, evidence)


def _not_learned(ds: str, history: History, drift: DriftSettings) -> str | None:
    """The first day of the last change that was found, if what serves was trained on none of it."""
    change = last_change(history.decisions, drift.follow_up_days)
    if change is None:
        return None
    # what `min_gap_days` holds back is trained on when they are over
    untrained = history.last_training is None or history.last_training < change.last
    most = drift.min_gap_days - 1 if untrained else 0
    if drift.follow_up_days:
        most = max(drift.follow_up_days, drift.min_gap_days)
    if gap(change.last, ds) > most:
        return None
    trained_to = history.champion_trained_to
    return change.first if trained_to is None or trained_to < change.first else None


def _learned_to(found: str, history: History) -> str:
    trained_to = history.champion_trained_to
    known = f"trained up to {trained_to}" if trained_to else "from before all days of reference"
    return f"the change of {found} is not learned yet: the champion was {known}"


def _respond(
    ds: str,
    why: str,
    moved: float,
    history: History,
    drift: DriftSettings,
    evidence: dict[str, Any],
) -> DriftDecision:
    """To labels that drifted: train, as much as the change asks for and the budget allows."""
    since = _days_since_training(ds, history)
    if since is not None and since < drift.min_gap_days:
        return DriftDecision(
            "watch",
            False,
            f"{why}; {_last_trained(since)}, the next training is on "
            f"{shift(ds, drift.min_gap_days - since)} at the earliest (drift.min_gap_days)",
            evidence,
        )
    usual_since, past = "", history.decisions
    if evidence.get("labels_drifted"):
        usual_since = usual_from_now(ds, drift, past)
        knew = history.champion_trained_to or ""
        past = (*past, PastDecision(ds, True, False, None, trained_to=knew))
    extent, rule = extent_of(drift, moved, past, usual_since)
    evidence |= {"extent_rule": rule} | ({"usual_since": usual_since} if usual_since else {})
    return DriftDecision("retrain", True, f"{why}; {extent} training ({rule})", evidence, extent)


_NAMES = {
    "score": "score divergence",
    "label": "log(observed/expected clicks)",
    "rank": "mean percentile rank of the positives",
    "auc": "AUC",
    "calibration": "calibration error per click",
}


def _days(count: int, one: str) -> str:
    return f"{count} days" if count > 1 else one


def _last_trained(since: int | None) -> str:
    return "never trained yet" if since is None else f"last trained {_days(since, '1 day')} ago"


def _sentence(test: DriftTest) -> str:
    return (
        f"{_NAMES[test.name]} is {test.value:.4g}, normal {test.normal:.4g}, "
        f"{'beyond' if test.drifted else 'within'} {test.threshold:.4g} "
        f"(p {test.p:.2g}, {test.rows:,} rows of {_days(test.window, 'the day')}, "
        f"{test.days} reference days)"
    )
