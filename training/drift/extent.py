"""How much a retraining trains: by kind and size of the change.

- `full` where `full_after_days` trainings in a row met labels that drifted all the same: going on
  from the parent does not take the change in. From then on, whatever is trained, the change is how
  the world is.
- `replay` where the change is gradual, so that the last days had moved already: the days before
  are like today, and more of them steady the training.
- `incremental` where it is sudden: rows of before it would hold the training back.
The trainings that follow on one change are of its first day's kind. One for which no change asks,
but the calendar, is `incremental`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conf.drift import DriftSettings, Extent
from conf.training import TrainingSettings
from feature_store.days import gap
from training.drift.day_counts import Block, DayCounts
from training.drift.drift_test import FEWEST_DAYS, Estimate
from training.drift.label_tests import log_observed_expected, mean_rank
from training.drift.order_test import auc_of
from training.drift.outcome import PastDecision

GRADUAL_DAYS = 5
"""Days before today that tell a gradual change from a sudden one."""
_MEDIAN_ERROR = 1.2533
"""Its standard error, in those of a mean of normal values."""


def recent_shift(name: str, pooled: Block, reference: Block) -> float:
    """How far the last days before today had moved already, in standard errors, towards today.

    Their median, less that of the days before them; above zero where it moved the way that today
    lies. 0 with too few days.

    Args:
        name: of the test that shows the change: of its statistic (of `calibration`, of the rate's).
        pooled: today's days.
        reference: the days before, ascending.
    """
    estimate = _ESTIMATES.get(name, _rate)
    today, found = (
        np.array([one[:2] for day in days if (one := estimate(day)) is not None]).reshape(-1, 2)
        for days in (pooled, reference)
    )
    recent, before = found[-GRADUAL_DAYS:], found[:-GRADUAL_DAYS]
    if len(recent) < FEWEST_DAYS or len(before) < FEWEST_DAYS or not len(today):
        return 0.0
    # the median of the days before is not moved by an earlier change
    middle = float(np.median(before[:, 0]))
    spread = max(float(before[:, 0].std(ddof=1)), float(np.sqrt(before[:, 1].mean())), 1e-9)
    towards = float(np.sign(today[:, 0].mean() - middle))
    # of the recent days too: one or two days of a sudden change do not make it a gradual one
    moved = float(np.median(recent[:, 0])) - middle
    return towards * moved / (_MEDIAN_ERROR * spread / float(np.sqrt(len(recent))))


def _rate(day: DayCounts) -> Estimate | None:
    return Estimate(*log_observed_expected([day])) if day.n else None


_ESTIMATES = {"auc": auc_of, "rank": mean_rank}


def usual_from_now(ds: str, drift: DriftSettings, past: Sequence[PastDecision]) -> str:
    """First day of the change that becomes usual, as trainings met it in vain; empty = none does.

    Args:
        ds: the day, whose labels drift, and which trains.
        drift: settings.
        past: what the days before it decided, ascending.
    """
    in_a_row: list[PastDecision] = []
    after = ds
    for one in reversed(past):
        if one.untested:
            continue
        # what was found long before is no part of the same row, whatever could not be tested since
        apart = gap(one.ds, after) > drift.pool_days + drift.min_gap_days
        if not one.labels_drifted or one.usual_since or apart:
            break
        in_a_row.append(one)
        after = one.ds
    # those that do not train were held back by `min_gap_days`
    in_vain = sum(one.train for one in in_a_row)
    return in_a_row[-1].since if in_vain >= drift.full_after_days else ""


def extent_of(
    drift: DriftSettings, moved: float, past: Sequence[PastDecision], usual_since: str
) -> tuple[Extent, str]:
    """How much a day trains whose labels drifted, and why, in words.

    Args:
        drift: settings.
        moved: from `recent_shift`.
        past: what the days before decided, ascending; and the day itself, if its labels drifted.
        usual_since: from `usual_from_now`.
    """
    if drift.extent != "auto":
        return drift.extent, "by drift.extent"
    if usual_since:
        many = drift.full_after_days
        return "full", f"the labels drift although {many} trainings in a row met them"
    change = last_change(past, drift.follow_up_days)
    of_change = [one for one in past if change and one.ds >= change.first and one.labels_drifted]
    kinds = [one.extent for one in of_change if one.extent and one.extent != "full"]
    if change and kinds:
        return kinds[-1], f"as on {change.first}, which trained on the change first"
    if moved > drift.gradual_from:
        return "replay", f"gradual: the {GRADUAL_DAYS} days before had moved by {moved:.1f} errors"
    return "incremental", f"sudden: the {GRADUAL_DAYS} days before had moved by {moved:.1f} errors"


@dataclass(frozen=True)
class Change:
    """Days whose labels drifted, of one change."""

    first: str
    last: str


def last_change(past: Sequence[PastDecision], follow_up_days: int) -> Change | None:
    """The last change that was found and has neither become usual nor ended; None = there is none.

    Of one change are days whose labels drifted, each at most `follow_up_days` after the one before.
    But a day that what served knew of already, and that came after a quiet one, begins another.
    """
    found: Change | None = None
    quiet = False
    for one in past:
        if one.usual_since or one.ended:
            found = None
        elif one.labels_drifted:
            same = found is not None and gap(found.last, one.ds) <= follow_up_days
            if found is None or not same or (quiet and found.first <= one.trained_to):
                found = Change(one.ds, one.ds)
            found = Change(found.first, one.ds)
        quiet = not one.labels_drifted and (quiet or not one.untested)
    return found


def extent_by_calendar(drift: DriftSettings) -> tuple[Extent, str]:
    """The same of a day that trains although no change was found."""
    if drift.extent != "auto":
        return drift.extent, "by drift.extent"
    return "incremental", "no change asks for more"


def training_of(training: TrainingSettings, drift: DriftSettings, extent: str) -> TrainingSettings:
    """The settings of a training of this extent."""
    if extent == "full":
        return training.model_copy(update={"start": "afresh", "distillation": 0.0})
    if extent == "replay" and training.start == "parent":
        factor = drift.replay_factor
        more = {
            "replay": "uniform" if training.replay == "none" else training.replay,
            "replay_share": training.replay_share * factor,
            "replay_rows": round(training.replay_rows * factor),
        }
        return training.model_copy(update=more)
    return training
