"""Step check_drift: the day's sketch and the reference days', as the drift decision sees them."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.ledger import closed_days
from feature_store.step import StepContext, StepResult
from feature_store.tables import CANDIDATES, DRIFT, PROMOTIONS, SCORE_MAPS, SCORES, SKETCHES
from training.drift.day_counts import DayCounts
from training.drift.decision import DriftDecision, History, decide
from training.drift.score_map import carry, route
from training.measures.sketch import BINS
from training.registry.champion import standing_before

Floats = npt.NDArray[np.float64]


def run(context: StepContext) -> StepResult:
    """Decide whether the day trains; writes the one row of table `drift`."""
    decision = drift_decision(context)
    row = {
        "ds": context.ds,
        "decision": decision.decision,
        "train": decision.train,
        "reason": decision.reason,
        "evidence": json.dumps(decision.evidence, sort_keys=True),
    }
    context.lake.replace(
        DRIFT,
        {"ds": context.ds},
        pa.Table.from_pylist([row], context.lake.schema(DRIFT)),
        {"step": "check_drift", "ds": context.ds},
    )
    return StepResult(
        f"{decision.decision}: {decision.reason}",
        {"decision": decision.decision, "train": decision.train},
    )


def drift_decision(context: StepContext) -> DriftDecision:
    """The decision of the context's day, from the lake."""
    lake, ds, drift = context.lake, context.ds, context.settings.drift
    sampled = context.dataset.labels.kind == "sampled"
    standing = standing_before(lake, ds)
    if standing is None:
        return decide(ds, None, History((), False, None, None), drift, sampled=sampled)
    waived = {day.ds for day in closed_days(lake).values() if day.state == "waived"}
    first = shift(ds, -drift.reference_days)
    earlier = [day for day in lake.days(SKETCHES) if first <= day < ds and day not in waived]
    maps = _score_maps(lake, first, ds)
    counts = _day_counts(lake, [*earlier, ds], standing.version, maps, sampled=sampled)
    history = History(
        days=tuple(counts[day] for day in earlier if day in counts),
        has_champion=True,
        champion_trained_to=_trained_to(lake, ds),
        last_training=max((day for day in lake.days(CANDIDATES) if day < ds), default=None),
    )
    return decide(ds, counts.get(ds), history, drift, sampled=sampled)


def _day_counts(
    lake: Lake,
    days: list[str],
    version: int,
    maps: dict[int, tuple[int, Floats]],
    *,
    sampled: bool,
) -> dict[str, DayCounts]:
    """The sketch of each day that has one, carried over to `version`."""
    columns = ["ds", "model_version", "slice", "bin", "n", "clicks", "expected"]
    rows = lake.read(SKETCHES, days, columns)
    rows = rows.filter(pc.equal(rows.column("slice"), "all"))
    ranks = _ranks(lake, days) if sampled else {}
    routes = {
        v: route(maps, v, version) for v in pc.unique(rows.column("model_version")).to_pylist()
    }
    champions = _champions(lake, days)
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
        )
    return found


def _champions(lake: Lake, days: list[str]) -> dict[str, int]:
    """The version with which each of `days` began."""
    last = max(days)
    rows = lake.read(
        PROMOTIONS,
        [day for day in lake.days(PROMOTIONS) if day < last],
        ["ds", "champion_version", "state"],
    )
    done = sorted(
        (r["ds"], r["champion_version"]) for r in rows.to_pylist() if r["state"] == "done"
    )
    return {
        day: champion
        for day in days
        for champion in [next((v for ds, v in reversed(done) if ds < day), None)]
        if champion is not None
    }


def _score_maps(lake: Lake, first: str, ds: str) -> dict[int, tuple[int, Floats]]:
    """Replaced version to (its successor, the map), of the promotions on or after `first`.

    Where a version was replaced twice, the last time counts.
    """
    days = [day for day in lake.days(SCORE_MAPS) if first <= day < ds]
    rows = lake.read(SCORE_MAPS, days).sort_by([("ds", "ascending"), ("bin", "ascending")])
    replaced = rows.column("from_version").to_pylist()[::BINS]
    successors = rows.column("to_version").to_pylist()[::BINS]
    mapped = rows.column("mapped_logit").to_numpy().reshape(-1, BINS)
    return dict(zip(replaced, zip(successors, mapped, strict=True), strict=True))


def _ranks(lake: Lake, days: list[str]) -> dict[str, tuple[float, float, int]]:
    """Mean, variance and number of the positives' percentile ranks, per day."""
    rows = lake.read(SCORES, days, ["ds", "percentile_rank"])
    rows = rows.filter(pc.is_finite(rows.column("percentile_rank")))
    grouped = rows.group_by("ds").aggregate(
        [("percentile_rank", "mean"), ("percentile_rank", "variance"), ("percentile_rank", "count")]
    )
    return {
        row["ds"]: (
            row["percentile_rank_mean"],
            row["percentile_rank_variance"],
            row["percentile_rank_count"],
        )
        for row in grouped.to_pylist()
    }


def _trained_to(lake: Lake, ds: str) -> str | None:
    """The last training day of the champion with which `ds` begins."""
    days = [day for day in lake.days(PROMOTIONS) if day < ds]
    rows = lake.read(PROMOTIONS, days, ["ds", "promoted", "state"]).to_pylist()
    promoted = [row["ds"] for row in rows if row["promoted"] and row["state"] == "done"]
    return shift(max(promoted), -1) if promoted else None


def _per_bin(rows: pa.Table, column: str) -> Floats:
    values = rows.column(column).to_numpy().astype(np.float64)
    return np.asarray(np.bincount(rows.column("bin").to_numpy(), values, BINS), dtype=np.float64)
