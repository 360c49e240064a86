"""What makes a run readable on MLflow's pages: tables, and what the timeline says of itself."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from feature_store.days import ordinal
from training.registry.registry import Registry
from training.registry.run_writer import RunWriter
from training.registry.versions import client_of

_TABLES = "mlflow.loggedArtifacts"
"""Tag that tells the pages which artifacts are tables."""
_COST_ON_TIMELINE = "dayfold.cost_on_timeline"
"""Tag of a day's run, set before its cost is on the timeline."""
_TIMELINE_NOTE = (
    "One point per day; the step is the day's number since 1970-01-01, and *Time (wall)* as x-axis "
    "(the wheel beside the search) shows dates. Open **Model metrics** and search, by regular "
    "expression: `champion.(auc|log_loss|observed_expected)$` before anything trained on the day, "
    "`recall_at_10$` of the lists beside popularity, `promoted|trained` (1 = yes), `drift.` value "
    "and threshold, `intake.`, `cost.total`. What happened on a day stands in the run named like "
    "it."
)


def log_table(
    registry: Registry,
    run_id: str,
    name: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> None:
    """Make the artifact `name` (.json) of the run a table that the pages show as one.

    What an earlier try has written is replaced (`MlflowClient.log_table` would add to it).
    """
    client = client_of(registry)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        path.write_text(json.dumps({"columns": list(columns), "data": [list(r) for r in rows]}))
        client.log_artifact(run_id, str(path))
    known = json.loads(client.get_run(run_id).data.tags.get(_TABLES, "[]"))
    entry = {"path": name, "type": "table"}
    if entry not in known:
        client.set_tag(run_id, _TABLES, json.dumps([*known, entry]))


def describe_timeline(registry: Registry) -> None:
    """Say on the timeline's page how to read it."""
    run_id, note = _timeline(registry)
    if note != _TIMELINE_NOTE:
        client_of(registry).set_tag(run_id, "mlflow.note.content", _TIMELINE_NOTE)


def cost_on_timeline(registry: Registry, ds: str, metrics: Mapping[str, float]) -> None:
    """Add what `ds` has cost, known only when its last step has ended, to the timeline.

    Raises:
        RegistryError: the registry belongs to another lake.
    """
    client = client_of(registry)
    day = RunWriter(client, registry.day_run(ds))
    again = _COST_ON_TIMELINE in day.tags
    if not again:
        day.texts({}, {_COST_ON_TIMELINE: True})
    run = RunWriter(client, _timeline(registry)[0])
    run.metrics(ordinal(ds), {n: {ordinal(ds): v} for n, v in metrics.items()}, again=again)


def _timeline(registry: Registry) -> tuple[str, str]:
    """The timeline's run and its note; a day is put on it before anything else is said of it."""
    (run,) = client_of(registry).search_runs(
        [registry.experiment_id],
        "tags.`dayfold.kind` = 'timeline'",
        max_results=1,
        order_by=["attributes.start_time ASC"],
    )
    return str(run.info.run_id), str(run.data.tags.get("mlflow.note.content", ""))
