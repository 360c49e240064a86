"""Simulated sketches, and the decision on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from benchmarks.drift_in_turn import decided
from conf.drift import DriftSettings
from feature_store.days import shift
from training.drift.day_counts import DayCounts
from training.drift.drift_test import DriftTest
from training.drift.outcome import DriftDecision
from training.measures.sketch import BINS, bin_of
from training.scoring.metrics import sigmoid

DRIFT = DriftSettings()
MONDAY = "2026-01-05"


def day(
    random: np.random.Generator,
    ds: str,
    rows: int = 10_000,
    change: float = 0.0,
    score: float = 0.0,
) -> DayCounts:
    """A day's sketch: its users and its rate differ mildly from those of other days.

    `change` is added to the true logits only (users click otherwise), `score` to the scores too.
    """
    logits = random.normal(
        -2.4 + score + random.normal(0, 0.03), np.exp(random.normal(0, 0.015)), rows
    )
    truth = sigmoid(logits + change + random.normal(0, 0.04))
    clicks = (random.random(rows) < truth).astype(float)
    bins = bin_of(logits)

    def per_bin(weights: np.ndarray) -> np.ndarray:
        return np.bincount(bins, weights, BINS)

    counts = per_bin(np.ones(rows))
    return DayCounts(ds, counts, counts, per_bin(clicks), per_bin(sigmoid(logits)))


def quiet_days(
    random: np.random.Generator, days: int, rows: int = 10_000, first: str = MONDAY
) -> list[DayCounts]:
    return [day(random, shift(first, number), rows) for number in range(days)]


def decision_of(
    today: DayCounts,
    before: Sequence[DayCounts],
    drift: DriftSettings = DRIFT,
    *,
    sampled: bool = False,
) -> DriftDecision:
    """The decision of a shop that trains every day."""
    return decided([*before, today], shift(today.ds, -1), drift=drift, sampled=sampled)


def quiet_evidence() -> str:
    """Evidence of a day on which one test was made, and found nothing."""
    test = DriftTest("label", 0.1, 0.0, 0.3, p=0.4, rows=300, days=20, drifted=False)
    return json.dumps({"tests": [asdict(test)]})
