"""The sketches of days as the drift tests and the charts see them, read from the lake."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.champion import champions_on
from feature_store.lake import Lake
from feature_store.tables import DAILY_METRICS, SCORE_MAPS, SKETCHES
from training.drift.day_counts import DayCounts, Floats
from training.drift.score_map import carry, route
from training.measures.sketch import BINS


def counts_of(
    lake: Lake,
    days: list[str],
    version: int,
    maps: dict[int, tuple[int, Floats]],
    *,
    sampled: bool,
) -> dict[str, DayCounts]:
    """The sketch of each of `days` that has one, carried over to `version`.

    Args:
        lake: where they lie.
        days: which ones.
        version: in whose terms they are wanted.
        maps: from `score_maps`.
        sampled: whether negatives are drawn; then the ranks of the positives are read too.
    """
    columns = ["ds", "model_version", "slice", "bin", "n", "clicks", "expected"]
    rows = lake.read(SKETCHES, days, columns)
    rows = rows.filter(pc.equal(rows.column("slice"), "all"))
    ranks = _ranks(lake, days) if sampled else {}
    routes = {
        v: route(maps, v, version) for v in pc.unique(rows.column("model_version")).to_pylist()
    }
    champions = champions_on(lake, days)
    found: dict[str, DayCounts] = {}
    for day in pc.unique(rows.column("ds")).to_pylist():
        mine = rows.filter(pc.equal(rows.column("ds"), day))
        scored_by = champions.get(day, version)
        mine = mine.filter(pc.equal(mine.column("model_version"), scored_by))
        if not mine.num_rows:
            continue
        own = _per_bin(mine, "n")
        mapped = routes.get(scored_by)
        mean, variance, ranked = ranks.get(day, (None, 0.0, 0))
        found[day] = DayCounts(
            ds=day,
            carried=None if mapped is None else carry(own, mapped),
            rows=own,
            clicks=_per_bin(mine, "clicks"),
            expected=_per_bin(mine, "expected"),
            rank_mean=mean,
            rank_variance=variance,
            ranked=ranked,
            version=scored_by,
        )
    return found


def score_maps(lake: Lake, first: str, ds: str) -> dict[int, tuple[int, Floats]]:
    """Replaced version to (its successor, the map), of the promotions on or after `first`.

    Those before `ds` alone. Where a version was replaced twice, the last time counts.
    """
    days = [day for day in lake.days(SCORE_MAPS) if first <= day < ds]
    rows = lake.read(SCORE_MAPS, days)
    # a rollback adds a second map to a day
    rows = rows.sort_by([(name, "ascending") for name in ("ds", "from_version", "bin")])
    replaced = rows.column("from_version").to_pylist()[::BINS]
    successors = rows.column("to_version").to_pylist()[::BINS]
    mapped = rows.column("mapped_logit").to_numpy().reshape(-1, BINS)
    return dict(zip(replaced, zip(successors, mapped, strict=True), strict=True))


def _ranks(lake: Lake, days: list[str]) -> dict[str, tuple[float, float, int]]:
    """Mean, variance and number of the positives' percentile ranks, per day.

    From the days' metrics: to read the scores of all days again would cost their rows.
    """
    rows = lake.read(DAILY_METRICS, days, ["ds", "subject", "metric", "value", "n"])
    rows = rows.filter(pc.equal(rows.column("subject"), "champion"))
    said = {(row["ds"], row["metric"]): row for row in rows.to_pylist()}
    return {
        ds: (mean["value"], said[ds, "std_percentile_rank"]["value"] ** 2, mean["n"])
        for (ds, metric), mean in said.items()
        if metric == "mean_percentile_rank" and (ds, "std_percentile_rank") in said
    }


def _per_bin(rows: pa.Table, column: str) -> Floats:
    values = rows.column(column).to_numpy().astype(np.float64)
    return np.asarray(np.bincount(rows.column("bin").to_numpy(), values, BINS), dtype=np.float64)
