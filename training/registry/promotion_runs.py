"""One MLflow run of kind `promotion` for each event of the ledger of promotions."""

from __future__ import annotations

from feature_store.promotion_ledger import PromotionEvent
from training.registry.registry import Registry
from training.registry.versions import client_of


def log_event(registry: Registry, event: PromotionEvent) -> str:
    """The id of the event's run: the one that is there, or a new one."""
    if (there := _first_run(registry, event)) is not None:
        return there
    tags = {
        "dayfold.kind": "promotion",
        "dayfold.event": event.name,
        "dayfold.ds": event.ds,
        "kind": event.kind,
        "version": str(event.version),
        "replaced_version": str(event.replaced_version),
        "blocked": "" if event.kind == "release" else ", ".join(event.blocks),
        "reason": event.reason[:5000],
        "actor": event.actor,
        "mlflow.note.content": f"{_note(event)}. {event.reason}"[:5000],
    }
    name = f"{event.ds} {event.kind}"
    client = client_of(registry)
    mine = str(client.create_run(registry.experiment_id, tags=tags, run_name=name).info.run_id)
    client.set_terminated(mine, "FINISHED")
    first = _first_run(registry, event) or mine
    if first != mine:  # another machine has logged it meanwhile: both keep the same one
        client.delete_run(mine)
    return first


def log_answer(registry: Registry, proposal: PromotionEvent, event: PromotionEvent) -> None:
    """Make the run of `proposal` say what became of it by `event`; nothing where it has no run."""
    run_id = _first_run(registry, proposal)
    if run_id is not None:
        became = _ANSWERS.get(event.kind, f"taken back by the {event.kind}")
        note = (
            f"{proposal.kind} after {proposal.ds}: version {proposal.version} waited for a human's "
            f"word, and was {became} after {event.ds}. {event.reason}"
        )
        client_of(registry).set_tag(run_id, "mlflow.note.content", note[:5000])


_ANSWERS = {"approval": "approved", "rejection": "rejected"}


def _note(event: PromotionEvent) -> str:
    """What happened, in a sentence without its full stop: a proposal serves nothing."""
    said = f"{event.kind} after {event.ds}: version {event.version}"
    if event.kind == "proposal":
        word = f"dayfold approve {event.version} --reason WHY"
        return f"{said} waits for a human's word, until a later day proposes another: {word}"
    blocks = ", ".join(event.blocks)
    if event.kind == "release":
        said = f"{event.kind} after {event.ds}: {blocks} may be used again; version {event.version}"
    instead = f" in the place of {event.replaced_version}" if event.replaced_version else ""
    if event.kind == "rejection":
        said, instead = f"{event.kind} after {event.ds}: {blocks} is blocked, version", ""
        said += f" {event.version} goes on and"
    blocked = f"; blocked: {blocks}" if blocks and event.kind == "rollback" else ""
    return f"{said} serves{instead}{blocked}"


def _first_run(registry: Registry, event: PromotionEvent) -> str | None:
    runs = client_of(registry).search_runs(
        [registry.experiment_id], f"tags.`dayfold.event` = '{event.name}'"
    )
    first = min(runs, key=lambda run: (run.info.start_time, run.info.run_id), default=None)
    return None if first is None else str(first.info.run_id)
