"""`dayfold drift`: what the drift check saw, and what it would decide under other settings."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from conf.settings import overrides_to_environment
from dayfold.options import Dataset, LakeRoot

_IN_A_PIPE = 200
"""Columns where nobody sees the edge of the screen."""

drift = typer.Typer(
    help="See what the drift check saw, and what it would decide under other settings.",
    no_args_is_help=True,
)


@drift.command("replay")
def replay(
    first: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.")],
    last: Annotated[str, typer.Option("--to", help="Last day.")],
    chosen: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another setting of drift, such as alpha=0.01; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Decide past days again under another configuration; nothing is written."""
    from rich.console import Console
    from rich.table import Table

    from dayfold import drift_replay
    from dayfold.workplace import open_workplace
    from feature_store.days import check_range, parse_day

    check_range(first, last)
    overrides_to_environment(dataset=dataset, lake=lake)
    workplace = open_workplace(lake)
    settings = drift_replay.changed_settings(workplace.settings.drift, chosen or [])
    days = parse_day(first, "--from"), parse_day(last, "--to")
    found = list(drift_replay.replay(workplace, *days, settings))
    if as_json:
        rows = [
            {
                "ds": one.ds,
                "was": one.was,
                "trained": one.trained,
                "decision": one.now.decision,
                "train": one.now.train,
                "extent": one.now.extent,
                "reason": one.now.reason,
            }
            for one in found
        ]
        print(json.dumps({"drift": settings.model_dump(), "days": rows}))  # noqa: T201
        return
    console = Console(
        emoji=False, highlight=False, width=None if sys.stdout.isatty() else _IN_A_PIPE
    )
    table = Table(title="Decided again", title_justify="left")
    for heading in ("day", "was", "trained", "now", "trains", "why"):
        table.add_column(heading, no_wrap=heading != "why")
    for one in found:
        same = (one.was, one.trained) == (one.now.decision, one.now.train)
        trained, trains = "yes" if one.trained else "-", one.now.extent or "-"
        mark = "" if same else " *"
        table.add_row(one.ds, one.was, trained, one.now.decision, trains + mark, one.now.reason)
    console.print(table, markup=False)
    before, after = sum(one.trained for one in found), sum(one.now.train for one in found)
    console.print(
        f"{len(found)} days: trained on {before}, would train on {after}. *: otherwise than "
        "it was. Each day is scored by the version that served then. Next: put what you chose "
        "under `drift:` in conf/base.yaml",
        soft_wrap=True,
    )


@drift.command("report")
def report(
    day: Annotated[
        str | None, typer.Option("--ds", help="Day, YYYY-MM-DD [the last decided one].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write [<home>/drift-<dataset>-<day>.html].")
    ] = None,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Write the drift report of a day: one HTML file, no network."""
    from rich.console import Console

    from dayfold.drift_report import write_drift_report
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day

    overrides_to_environment(dataset=dataset, lake=lake)
    workplace = open_workplace(lake)
    path = write_drift_report(workplace, parse_day(day, "--ds") if day else None, out)
    Console(emoji=False, highlight=False, soft_wrap=True).print(
        f"{path}\nNext: open it in a browser"
    )
