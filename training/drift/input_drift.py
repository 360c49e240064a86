"""What moved among the inputs, and in which slices the labels did: to explain, not to alarm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.lake import Lake
from feature_store.tables import INPUT_COUNTS, SKETCHES
from training.drift.day_counts import Floats

SHOWN = 5
_VALUES_SHOWN = 3
FEWEST_ROWS = 100
"""Of a slice, on the day; with fewer chance has the word."""


def moved_inputs(lake: Lake, ds: str, days: list[str]) -> list[dict[str, Any]]:
    """The fields that moved most on `ds`, most first; empty where there is nothing to compare.

    The distance is the total variation between the day's shares and the mean of `days`: the share
    of rows that have another value. `usual` is the median of the same of each of these days.
    """
    rows = lake.read(INPUT_COUNTS, [*days, ds])
    fields = [_moved(name, *_matrix(rows, name, ds)) for name in _names(rows, ds)]
    found = [field for field in fields if field is not None]
    return sorted(found, key=lambda f: f["usual_distance"] - f["distance"])[:SHOWN]


def moved_slices(lake: Lake, ds: str, days: list[str]) -> list[dict[str, Any]]:
    """The slices whose observed/expected clicks moved most, in standard errors, most first."""
    columns = ["ds", "slice", "n", "clicks", "expected"]
    # without threads, and by day: the last digits of sums depend on the order of what is summed
    rows = lake.read(SKETCHES, [*days, ds], columns).group_by(["ds", "slice"], use_threads=False)
    sums = rows.aggregate([(name, "sum") for name in ("n", "clicks", "expected")])
    before: dict[str, list[float]] = {}
    today: dict[str, dict[str, Any]] = {}
    for row in sums.sort_by([("ds", "ascending"), ("slice", "ascending")]).to_pylist():
        if row["ds"] == ds:
            today[row["slice"]] = row
        else:
            before.setdefault(row["slice"], []).append(_log_ratio(row))
    found = [
        _moved_slice(name, row, np.array(before[name]))
        for name, row in today.items()
        if name != "all" and row["n_sum"] >= FEWEST_ROWS and len(before.get(name, [])) > 1
    ]
    return sorted(found, key=lambda one: -abs(one["errors"]))[:SHOWN]


def _moved_slice(name: str, row: dict[str, Any], before: Floats) -> dict[str, Any]:
    normal = float(np.median(before))
    error = float(np.hypot(before.std(ddof=1), 1 / np.sqrt(max(row["expected_sum"], 0.5))))
    now = _log_ratio(row)
    return {
        "slice": name,
        "rows": row["n_sum"],
        "log_observed_expected": now,
        "normal": normal,
        "errors": (now - normal) / error,
    }


def _log_ratio(row: dict[str, Any]) -> float:
    return float(np.log((row["clicks_sum"] + 0.5) / (row["expected_sum"] + 0.5)))


def _names(rows: pa.Table, ds: str) -> list[str]:
    today = rows.filter(pc.equal(rows["ds"].cast(pa.string()), ds))
    return sorted(pc.unique(today["field"]).to_pylist())


def _matrix(rows: pa.Table, field: str, ds: str) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Values (V,), the day's rows (V,), the other days' (k, V); share of new rows, and (k,)."""
    mine = rows.filter(pc.equal(rows["field"], field))
    days, day = np.unique(mine["ds"].cast(pa.string()).to_numpy(False), return_inverse=True)
    values, value = np.unique(mine["value"].to_numpy(), return_inverse=True)
    counts, new = np.zeros((2, len(days), len(values)))
    counts[day, value], new[day, value] = mine["rows"].to_numpy(), mine["new"].to_numpy()
    fresh = new.sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
    today = days == ds
    return values, counts[today][0], counts[~today], fresh[today], fresh[~today]


def _moved(
    field: str, values: Floats, today: Floats, days: Floats, new: Floats, new_before: Floats
) -> dict[str, Any] | None:
    if len(days) <= 1 or not today.sum():
        return None
    shares = days / np.maximum(days.sum(axis=1, keepdims=True), 1)
    now, normal = today / today.sum(), shares.mean(axis=0)
    others = (shares.sum(axis=0) - shares) / (len(shares) - 1)
    most = np.argsort(-np.abs(now - normal))[:_VALUES_SHOWN]
    return {
        "field": field,
        "distance": float(np.abs(now - normal).sum() / 2),
        "usual_distance": float(np.median(np.abs(shares - others).sum(axis=1) / 2)),
        "new_share": float(new[0]),
        "usual_new_share": float(np.median(new_before)),
        "values": [
            {"value": int(values[v]), "share": float(now[v]), "normal_share": float(normal[v])}
            for v in most
        ],
    }
