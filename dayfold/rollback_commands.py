"""`dayfold rollback`, `release` and `history`: what serves, changed by hand and told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from conf.errors import ConfigError
from conf.settings import overrides_to_environment
from dayfold.options import Dataset, LakeRoot
from dayfold.workplace import Workplace, open_workplace

_IN_A_PIPE = 160
"""Columns where nobody sees the edge of the screen."""
Reason = Annotated[str, typer.Option(help="Why; kept in the ledger and in MLflow.")]


def rollback(
    reason: Reason = "",
    to: Annotated[
        int | None, typer.Option(help="Version to go back to [the one before the champion].")
    ] = None,
    day: Annotated[
        str | None, typer.Option(help="Bad day: go back to how it began, and block it.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with what was killed on the way.")] = False,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Go back to an earlier version: alias, lists, warm-start parents; block what was bad."""
    from dayfold import rollback as rolling
    from feature_store.days import parse_day

    if resume and (to is not None or day is not None):
        asked = f"--to {to}" if to is not None else f"--day {day}"
        raise ConfigError(
            f"--resume goes on with the change that was begun, and {asked} asks for another: "
            "expected one of them. Next: dayfold rollback --resume; then, if it is still "
            f"wanted, dayfold rollback {asked} --reason WHY"
        )
    workplace, say = workplace_of(dataset, lake), said()
    if resume:
        event = rolling.resume(workplace, say)
    else:
        bad = parse_day(day, "--day") if day else None
        event = rolling.roll_back(workplace, to=to, day=bad, reason=reason, say=say)
    if event.kind != "rollback":
        from dayfold.approval_commands import answered

        say(answered(workplace, event))
        return
    stays = event.version == event.replaced_version
    instead = " as before" if stays else f", instead of {event.replaced_version}"
    say(f"version {event.version} ({event.scorer}) serves{instead}")
    if event.day:
        say(
            f"{event.day} is blocked: no training uses it until "
            f"`dayfold release --day {event.day} --reason WHY`"
        )
    if event.versions:
        named = ", ".join(map(str, event.versions))
        release_one = f"dayfold release --version {event.versions[0]} --reason WHY"
        say(f"blocked versions: {named}; `{release_one}` lets one serve again")
    say("Next: dayfold history")


def release(
    reason: Reason = "",
    day: Annotated[str | None, typer.Option(help="Blocked day, YYYY-MM-DD.")] = None,
    version: Annotated[int | None, typer.Option(help="Blocked version.")] = None,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Let a day, or a version, that a rollback blocked be used again."""
    from dayfold import rollback as rolling
    from feature_store.days import parse_day

    workplace = workplace_of(dataset, lake)
    day = parse_day(day, "--day") if day else None
    event = rolling.release(workplace, day=day, version=version, reason=reason)
    say = said()
    if version is not None:
        back = f"dayfold rollback --to {version} --reason WHY"
        served = rolling.has_served(workplace, version)
        # it has never been the champion: a share beside it, and not all requests at once
        pooled = f"dayfold pool set {event.version}=0.9 {version}=0.1"
        say(f"version {version} may serve again. Next: {back if served else pooled}")
        return
    say(f"{day} is no longer blocked: trainings whose parent knows only days before it use it")
    say("A parent that was trained on later days has passed it by. Next: dayfold history")


def history(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Show what served when, why it changed, and what is blocked."""
    from dayfold.standing_lines import standing_lines
    from feature_store.champion import waiting_now
    from feature_store.promotion_ledger import all_events, blocked_after

    opened = workplace_of(dataset, lake).existing_lake()
    events = all_events(opened)
    blocked, proposal = blocked_after(events), waiting_now(opened)
    if as_json:
        rows = [
            {
                "ds": e.ds,
                "kind": e.kind,
                "state": e.state,
                "at": e.at.isoformat(),
                "version": e.version,
                "scorer": e.scorer,
                "replaced_version": e.replaced_version,
                "day": e.day,
                "versions": list(e.versions),
                "reason": e.reason,
                "actor": e.actor,
            }
            for e in events
        ]
        all_blocked = {"days": sorted(blocked.days), "versions": sorted(blocked.versions)}
        waits = proposal.version if proposal else 0
        print(json.dumps({"events": rows, "blocked": all_blocked, "waits": waits}))  # noqa: T201
        return
    say = said()
    if not events:
        say("Nothing was promoted yet. Next: dayfold status")
        return
    table = RichTable(title="What served, from when", title_justify="left")
    for heading in ("after", "what", "serves", "instead of"):
        table.add_column(heading, no_wrap=True)
    for heading in ("blocked or released", "by", "why"):
        table.add_column(heading)
    for e in events:
        named = ", ".join(e.blocks)
        state = "" if e.state == "done" else f" ({e.state})"
        serves = f"v{e.version} {e.scorer}" if e.version else "-"
        if e.kind == "proposal":
            serves = f"v{e.version} would"
        before = f"v{e.replaced_version}" if e.replaced_version else "-"
        cells = (e.ds, e.kind + state, serves, before, named or "-", e.actor, e.reason)
        table.add_row(*map(escape, cells))
    width = None if sys.stdout.isatty() else _IN_A_PIPE
    Console(emoji=False, highlight=False, width=width).print(table)
    for line in standing_lines(opened):
        say(line)


def workplace_of(dataset: str | None, lake: Path | None) -> Workplace:
    """Where the command works."""
    overrides_to_environment(dataset=dataset, lake=lake)
    return open_workplace(lake)


def said() -> Callable[[str], None]:
    """What prints a line as it is."""
    console = Console(emoji=False, highlight=False, soft_wrap=True)
    return lambda line: console.print(line, markup=False)
