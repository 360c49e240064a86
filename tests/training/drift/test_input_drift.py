"""What moved among slices: the same of the same rows, whatever order they come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import SKETCHES
from tests.training.lake_fixture import small_dataset
from training.drift.input_drift import moved_slices

FIRST, DAYS, SLICES, BINS = "2026-01-05", 30, 8, 50


def test_a_day_that_is_explained_again_is_explained_in_the_same_digits(tmp_path: Path) -> None:
    lake = Lake(tmp_path, small_dataset())
    random = np.random.default_rng(0)
    days = [shift(FIRST, number) for number in range(DAYS + 1)]
    for ds in days:
        n = SLICES * BINS
        rows = pa.table(
            {
                "model_version": pa.array([1] * n, pa.int32()),
                "slice": np.repeat([f"ctx_place={value}" for value in range(SLICES)], BINS),
                "bin": pa.array(np.tile(np.arange(BINS), SLICES), pa.int32()),
                "n": pa.array(np.full(n, 100), pa.int64()),
                "clicks": random.random(n) * 10,
                "expected": random.random(n) * 10,
            }
        )
        lake.replace(SKETCHES, {"ds": ds}, rows, {"step": "test", "ds": ds})
    first = moved_slices(lake, days[-1], days[:-1])
    assert len(first) == 5
    for _ in range(20):
        assert moved_slices(lake, days[-1], days[:-1]) == first
