"""One MLflow run of kind `promotion` for each event of the ledger of promotions."""

from __future__ import annotations

from feature_store.promotion_ledger import PromotionEvent
from training.registry.registry import Registry
from training.registry.versions import client_of


def log_event(registry: Registry, event: PromotionEvent) -> str:
    """The id of the event's run: the one that is there, or a new one."""
    client = client_of(registry)
    found = client.search_runs(
        [registry.experiment_id], f"tags.`dayfold.event` = '{event.name}'", max_results=1
    )
    if found:
        return str(found[0].info.run_id)
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
    run = client.create_run(registry.experiment_id, tags=tags, run_name=name)
    client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)
