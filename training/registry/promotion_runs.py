"""One MLflow run of kind `promotion` for each event of the ledger of promotions."""

from __future__ import annotations

from feature_store.promotion_ledger import PromotionEvent
from training.registry.registry import Registry
from training.registry.versions import client_of


def log_event(registry: Registry, event: PromotionEvent) -> str:
    """The id of the event's run: the one that is there, or a new one."""
    if (there := _first_run(registry, event)) is not None:
        return there
    blocked = ", ".join([*([event.day] if event.day else []), *(f"v{v}" for v in event.versions)])
    note = f"{event.kind} after {event.ds}: version {event.version} serves"
    note += f" in the place of {event.replaced_version}" if event.replaced_version else ""
    tags = {
        "dayfold.kind": "promotion",
        "dayfold.event": event.name,
        "dayfold.ds": event.ds,
        "kind": event.kind,
        "version": str(event.version),
        "replaced_version": str(event.replaced_version),
        "blocked": blocked,
        "reason": event.reason[:5000],
        "actor": event.actor,
        "mlflow.note.content": f"{note}. {event.reason}"[:5000],
    }
    name = f"{event.ds} {event.kind}"
    client = client_of(registry)
    mine = str(client.create_run(registry.experiment_id, tags=tags, run_name=name).info.run_id)
    client.set_terminated(mine, "FINISHED")
    first = _first_run(registry, event) or mine
    if first != mine:  # another machine has logged it meanwhile: both keep the same one
        client.delete_run(mine)
    return first


def _first_run(registry: Registry, event: PromotionEvent) -> str | None:
    runs = client_of(registry).search_runs(
        [registry.experiment_id], f"tags.`dayfold.event` = '{event.name}'"
    )
    first = min(runs, key=lambda run: (run.info.start_time, run.info.run_id), default=None)
    return None if first is None else str(first.info.run_id)
