"""The day's run: its pictures, its data, and the notes of its candidates' runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dataset import DatasetConfig
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.promotion_ledger import blocked_before
from feature_store.step import StepContext
from feature_store.tables import (
    CANDIDATE_SCORES,
    CANDIDATES,
    DAILY_METRICS,
    EVALUATIONS,
    EXAMPLES,
    GATES,
    PROMOTIONS,
    SCORES,
    SKETCHES,
)
from training.drift.counted_days import counts_of, score_maps
from training.measures.sketch import BINS
from training.plots.over_days import CHAMPION, draw_over_days
from training.plots.score_histogram import draw_score_histogram
from training.registry.inputs import DataInput, log_inputs, version_on
from training.registry.registry import Registry
from training.review.candidate import log_page, log_pictures, score_picture
from training.review.day_tags import outcome_tag, waited
from training.review.drift_page import drift_page
from training.review.note import candidate_note
from training.scoring.day_scores import DayScores

DRIFT_PAGE = "drift.html"
CHART_DAYS = 28
"""Days of the chart of metrics."""
PANELS = {
    "impressions": ("auc", "log_loss", "observed_expected"),
    "threshold": ("auc", "log_loss", "observed_expected"),
    "rating": ("rmse", "mae", "mean_error"),
    "sampled": ("mean_percentile_rank", "recall_at_1_percent"),
}
"""Metrics of the chart, by the kind of labels."""


def review_day(context: StepContext, registry: Registry, run_id: str) -> None:
    """Log pictures and data to the day's run, and to its candidates' runs what became of them."""
    lake, ds = context.lake, context.ds
    rows = lake.read(EXAMPLES, [ds], ["example_id"]).num_rows
    log_inputs(
        registry,
        context.settings.path(context.settings.home),
        run_id,
        lake,
        DataInput(EXAMPLES, version_on(lake, EXAMPLES, ds), ds, ds, rows, "evaluation"),
    )
    pictures = day_pictures(context)
    log_pictures(registry, run_id, pictures)
    page = drift_page(context, pictures["score_histogram"])
    if page is not None:
        log_page(registry, run_id, DRIFT_PAGE, page)
    log_candidates(lake, registry, ds)


def log_candidates(lake: Lake, registry: Registry, ds: str) -> None:
    """Log to the runs of the candidates of `ds` what became of them."""
    candidates = {row["scorer"]: row for row in lake.read(CANDIDATES, [ds]).to_pylist()}
    promotion = next(iter(lake.read(PROMOTIONS, [ds]).to_pylist()), None)
    blocked = blocked_before(lake, ds)
    for gate in lake.read(GATES, [ds]).to_pylist():
        scorer = gate["scorer"]
        note = candidate_note(
            gate, candidates.get(scorer), waits=waited(gate, promotion), blocked=blocked
        )
        tags = {"mlflow.note.content": note, "gate": outcome_tag(gate, promotion)}
        if gate["version"]:
            tags["version"] = str(gate["version"])
        registry.log(registry.scorer_run(ds, scorer), tags=tags)


def day_pictures(context: StepContext) -> dict[str, Any | None]:
    """Figures by name; None = there was nothing to draw."""
    lake, ds, kind = context.lake, context.ds, context.dataset.labels.kind
    champion = lake.read(SCORES, [ds])
    scores = {CHAMPION: champion} | _by_scorer(lake.read(CANDIDATE_SCORES, [ds]))
    return {
        **_calibration(scores, context.dataset),
        "score_histogram": score_histogram(context, champion),
        "metrics_over_days": _over_days(lake, ds, PANELS[kind]),
    }


def _by_scorer(rows: pa.Table) -> dict[str, pa.Table]:
    names = sorted(pc.unique(rows.column("scorer")).to_pylist())
    return {name: rows.filter(pc.equal(rows.column("scorer"), name)) for name in names}


def _calibration(scores: Mapping[str, pa.Table], dataset: DatasetConfig) -> dict[str, Any | None]:
    """Of the champion and of the candidates that scored the rows that it scored."""
    n = max((rows.num_rows for rows in scores.values()), default=0)
    ordered = {
        name: rows.sort_by("example_id") for name, rows in scores.items() if rows.num_rows == n
    }
    models = {
        name: DayScores(
            rows.column("logit").to_numpy(),
            np.asarray(rows.column("percentile_rank").to_numpy(), dtype=np.float64),
        )
        for name, rows in ordered.items()
    }
    labels = [rows.column("label").to_numpy() for rows in ordered.values()]
    sampled = dataset.labels.kind == "sampled"
    return score_picture(models, labels[0] if labels else np.empty(0), sampled=sampled)


def score_histogram(context: StepContext, champion: pa.Table) -> Any | None:
    """Today's sketch among those of the days before, in the terms of the version that scored."""
    if not champion.num_rows:
        return None
    lake, ds, settings = context.lake, context.ds, context.settings
    version = int(champion.column("model_version")[0].as_py())
    first = shift(ds, -settings.drift.reference_days)
    days = [day for day in lake.days(SKETCHES) if first <= day < ds]
    counts = counts_of(lake, [*days, ds], version, score_maps(lake, first, ds), sampled=False)
    if ds not in counts:
        return None
    before = [counts[day].carried for day in days if day in counts]
    carried = [day for day in before if day is not None]
    return draw_score_histogram(
        counts[ds].rows,
        np.array(carried).reshape(-1, BINS),
        version=version,
        probabilities=context.dataset.labels.kind in ("impressions", "threshold"),
    )


def _over_days(lake: Lake, ds: str, metrics: tuple[str, ...]) -> Any | None:
    """The champion's and the candidates' metrics of the last days, promotions marked."""
    days = [shift(ds, back - CHART_DAYS + 1) for back in range(CHART_DAYS)]
    champion = lake.read(DAILY_METRICS, days).to_pylist()
    tested = lake.read(EVALUATIONS, days).to_pylist()
    begun = min((row["ds"] for row in [*champion, *tested]), default=ds)
    panels: dict[str, dict[str, dict[str, float]]] = {}
    for metric in metrics:
        lines: dict[str, dict[str, float]] = {CHAMPION: {}}
        for row in champion:
            if row["subject"] == CHAMPION and row["metric"] == metric:
                lines[CHAMPION][row["ds"]] = row["value"]
        for row in sorted(tested, key=lambda row: str(row["scorer"])):
            if row["metric"] == metric:
                lines.setdefault(row["scorer"], {})[row["ds"]] = row["value"]
        panels[metric] = lines
    columns = ["ds", "promoted", "state", "champion_version"]
    promotions = {
        row["ds"]: row["champion_version"]
        for row in lake.read(PROMOTIONS, days, columns).to_pylist()
        if row["promoted"] and row["state"] == "done"
    }
    return draw_over_days([day for day in days if day >= begun], panels, promotions)
