"""Step publish: lists and feature vectors go out, the day is logged, the ledger closes it.

The ledger row is written last: a day that is killed before is open, and runs again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import RegistryError
from conf.lineage import code_version, config_hash
from feature_store.champion import standing_after
from feature_store.ledger import close_day, table_versions
from feature_store.online import OnlineDay, open_online_store
from feature_store.promotion_ledger import BY_HAND, blocked_now, events_until
from feature_store.step import StepContext, StepResult
from feature_store.tables import (
    DAILY_METRICS,
    DRIFT,
    EVERYBODY,
    EXAMPLES,
    GATES,
    INTAKE,
    PROMOTIONS,
    RECOMMENDATIONS,
    STEP_RUNS,
    Table,
)
from training.features.online_rows import vectors_of_day
from training.features.reader import FeatureReader
from training.registry.pages import describe_timeline
from training.registry.pool import pool_of, without_share
from training.registry.registry import Registry
from training.registry.release import write_release
from training.review.day import review_day
from training.review.day_tags import day_tags, serving_after
from training.review.note import day_note


def run(context: StepContext) -> StepResult:
    """Publish the lists of the day and close it; writes its row of table `ledger`."""
    lake, ds, settings = context.lake, context.ds, context.settings
    lists = lake.read(RECOMMENDATIONS, [ds])
    current = open_online_store(settings).write(_online_day(context, lists))
    warnings = _release(context) if current else ()
    note = _note(context, lists, current=current)
    _log(context, lists)
    lineage = {
        "step": "publish",
        "ds": ds,
        "code_version": code_version(),
        "config_hash": config_hash(settings, context.dataset),
    }
    close_day(lake, ds, "published", note, lineage)
    return StepResult(note, {"lists": _users(lists)}, warnings=warnings)


def _online_day(context: StepContext, lists: pa.Table) -> OnlineDay:
    """What the online store is to hold: the lists, and the vectors at the end of the day."""
    lake, ds = context.lake, context.ds
    if not lists.num_rows:
        return OnlineDay(ds, lists)
    reader = FeatureReader(lake, ds, ds)
    users, items = vectors_of_day(lake, reader, ds, context.settings.recommend.active_days)
    return OnlineDay(ds, lists, users, items)


def _release(context: StepContext) -> tuple[tuple[str, str], ...]:
    """What serves from now on goes to the release folder; nothing before the first champion.

    A version that cannot be released does not stop the lists: the warning says so.
    """
    settings, standing = context.settings, standing_after(context.lake, context.ds)
    if standing is not None:
        registry = Registry(settings, context.lake.id)
        blocked = blocked_now(context.lake).versions
        pool = pool_of(registry, standing.version, blocked)
        try:
            write_release(registry, pool, settings.path(settings.serving.release))
        except RegistryError as error:
            return ((context.ds, str(error)),)
        if said := without_share(pool, standing.version):
            return ((context.ds, said),)
    return ()


def _note(context: StepContext, lists: pa.Table, *, current: bool) -> str:
    """One sentence: what went out, by what, and what was decided."""
    promotion = _row(context, PROMOTIONS)
    standing = standing_after(context.lake, context.ds)
    by = "popularity, there is no champion yet"
    if standing is not None:
        mine = lists.filter(pc.not_equal(lists.column("user_id"), EVERYBODY))
        made = set(mine.column("model_version").to_pylist()) or {standing.version}
        champion = f"version {standing.version} ({standing.scorer})"
        others = ", ".join(map(str, sorted(made - {standing.version})))
        parts = [champion] * (standing.version in made)
        by = " and ".join([*parts, f"version {others} of the pool"] if others else parts)
    out = f"published {_users(lists):,} lists by {by}" if lists.num_rows else "published no lists"
    if not current:
        out += "; the online store keeps those of a later day"
    if standing is None:
        return out
    by_hand = serving_after(context.lake, context.ds, promotion).by_hand
    if promotion is not None and by_hand:
        own = promotion["champion_version"]
        return f"{out}, after the {by_hand}, in place of the day's version {own}"
    drift = _row(context, DRIFT)
    changed = bool(promotion and promotion["promoted"])
    ending = "champion promoted" if changed else "champion kept"
    return f"{out}; {ending}" + (f" ({drift['decision']})" if drift else "")


def _log(context: StepContext, lists: pa.Table) -> None:
    """Log the day to its run and to the timeline."""
    lake, ds = context.lake, context.ds
    registry = Registry(context.settings, lake.id)
    run_id = registry.day_run(ds)
    metrics = _metrics(context)
    drift = _row(context, DRIFT)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_json(folder / "settings.json", context.settings.shown())
        _write_json(folder / "dataset.json", context.dataset.model_dump(mode="json"))
        _write_json(folder / "table_versions.json", table_versions(lake, ds))
        if drift is not None:
            _write_json(folder / "drift.json", json.loads(str(drift["evidence"])))
        registry.log(run_id, metrics=metrics, tags=_tags(context, lists, metrics), artifacts=folder)
    registry.timeline(ds, metrics)
    describe_timeline(registry)
    review_day(context, registry, run_id)
    registry.finish_day(ds)


def _tags(context: StepContext, lists: pa.Table, metrics: Mapping[str, float]) -> dict[str, object]:
    """What runs are filtered by, and the note on the day's page."""
    lake, ds = context.lake, context.ds
    promotion, drift = _row(context, PROMOTIONS), _row(context, DRIFT)
    gates = sorted(lake.read(GATES, [ds]).to_pylist(), key=lambda row: str(row["scorer"]))
    out = f"{_users(lists):,} lists went out" if lists.num_rows else "no lists went out"
    examples = lake.read(EXAMPLES, [ds], ["example_id"]).num_rows
    serving = serving_after(lake, ds, promotion)
    tags: dict[str, object] = {
        "mlflow.note.content": day_note(out, promotion, serving, drift, gates, metrics, examples),
    }
    if not _changed_since(context):
        tags |= {
            "code_version": code_version(),
            "config_hash": config_hash(context.settings, context.dataset),
        }
    return tags | day_tags(lake, ds)


def _changed_since(context: StepContext) -> bool:
    """Whether only the lists are made again, after a change by hand: who computed the day stays."""
    lake, ds = context.lake, context.ds
    runs = lake.read(STEP_RUNS, [ds], ["step", "finished_at"]).to_pylist()
    promoted = [run["finished_at"] for run in runs if run["step"] == "promote"]
    hands = [event.at for event in events_until(lake, ds, BY_HAND, since=ds) if event.ds == ds]
    return bool(promoted and hands) and max(hands) > max(promoted)


def _metrics(context: StepContext) -> dict[str, float]:
    """The numbers of the day, by the name under which charts show them."""
    lake, ds = context.lake, context.ds
    metrics = {
        f"{row['subject']}.{row['metric']}": float(row["value"])
        for row in lake.read(DAILY_METRICS, [ds]).to_pylist()
    }
    for row in lake.read(INTAKE, [ds]).to_pylist():
        metrics[f"intake.{row['stream']}.{row['outcome']}"] = float(row["rows"])
    promotion, drift = _row(context, PROMOTIONS), _row(context, DRIFT)
    if promotion is not None:
        metrics["champion_version"] = float(serving_after(lake, ds, promotion).version)
        metrics["promoted"] = float(bool(promotion["promoted"]))
    if drift is not None:
        metrics["trained"] = float(lake.read(GATES, [ds]).num_rows > 0)
        metrics |= _drift_metrics(json.loads(str(drift["evidence"])))
    return metrics


def _drift_metrics(evidence: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """Value and threshold of each drift test."""
    return {
        f"drift.{test['name']}.{part}": float(test[part])
        for test in evidence.get("tests", [])
        for part in ("value", "threshold")
    }


def _row(context: StepContext, table: Table) -> dict[str, object] | None:
    rows: list[dict[str, object]] = context.lake.read(table, [context.ds]).to_pylist()
    return rows[0] if rows else None


def _users(lists: pa.Table) -> int:
    """How many users have a list of their own."""
    users = pc.unique(lists.column("user_id"))
    return int(pc.sum(pc.not_equal(users, EVERYBODY)).as_py() or 0)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
