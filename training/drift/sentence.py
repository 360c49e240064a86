"""The drift decision in one sentence, with what there is to gain and what a training costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feature_store.lake import Lake
from feature_store.tables import CANDIDATES, STEP_RUNS

Row = Mapping[str, Any]
_LEAST_GAIN = 0.0001
"""Nats per row, of which there is something to say."""
_OF_A_TRAINING = ("train", "evaluate", "promote")


def sentence(lake: Lake, row: Row, evidence: Row) -> str:
    """The decision in a sentence: what, how much is trained, why, the gain and the cost."""
    said = f"{row['decision']}: {row['reason']}."
    gain = evidence.get("gain", 0.0)
    if gain >= _LEAST_GAIN:
        said += f" Calibration alone would save {gain:.4f} nats of log loss per row."
    if row["train"]:
        spent, day = _last_cost(lake, row["ds"])
        if day:
            about = "It cost" if day == row["ds"] else f"It costs about as much as on {day}:"
            said += f" {about} {spent:.1f} CPU-seconds."
    return said


def _last_cost(lake: Lake, ds: str) -> tuple[float, str]:
    """CPU-seconds of training, testing and promoting on the last day up to `ds` that trained."""
    trained = [day for day in lake.days(CANDIDATES) if day <= ds]
    for day in reversed(trained[-2:]):
        steps = lake.read(STEP_RUNS, [day], ["step", "cpu_seconds"]).to_pylist()
        spent = [
            float(step["cpu_seconds"])
            for step in steps
            if step["step"].split(".")[0] in _OF_A_TRAINING
        ]
        if any(step["step"].startswith("train") for step in steps):
            return sum(spent), day
    return 0.0, ""
