"""How much a retraining trains: by kind and size of the change.

- `full` where `full_after_days` days in a row trained and their labels drifted all the same: going
  on from the parent does not take the change in.
- `replay` where the change is gradual, so that the last days had moved already: the days before
  are like today, and more of them steady the training.
- `incremental` where it is sudden: rows of before it would hold the training back.
docs/drift.md has the measurements behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from conf.drift import DriftSettings, Extent
from conf.training import TrainingSettings
from training.drift.outcome import PastDecision

GRADUAL_DAYS = 5
"""Days before today that tell a gradual change from a sudden one."""


def extent_of(
    drift: DriftSettings, moved: float, past: Sequence[PastDecision]
) -> tuple[Extent, str]:
    """How much a day trains whose labels drifted, and why, in words.

    Args:
        drift: settings.
        moved: from `training.drift.label_tests.recent_shift`.
        past: what the days before decided, ascending.
    """
    if drift.extent != "auto":
        return drift.extent, "by drift.extent"
    in_vain = 0
    for one in reversed(past):
        if not (one.labels_drifted and one.train) or one.extent == "full":
            break
        in_vain += 1
    if in_vain >= drift.full_after_days:
        return "full", f"the labels drift although {in_vain} days in a row trained"
    if moved > drift.gradual_from:
        return "replay", f"gradual: the {GRADUAL_DAYS} days before had moved by {moved:.1f} errors"
    return "incremental", f"sudden: the {GRADUAL_DAYS} days before had moved by {moved:.1f} errors"


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
