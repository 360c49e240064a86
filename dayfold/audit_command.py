"""`dayfold audit leaks`: proof that nothing of a day depends on what came after it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from conf.errors import ConfigError
from conf.settings import overrides_to_environment
from dayfold.launch import EXIT_FAILED
from dayfold.options import Dataset, Raw

if TYPE_CHECKING:
    from dayfold.audit import Audit

audit = typer.Typer(help="Prove what the lake promises.")


@audit.callback()
def _audits() -> None:
    """Keep `leaks` a command of its own while it is the only one."""


@audit.command()
def leaks(
    day: Annotated[str, typer.Option("--day", help="Nothing up to it may change, YYYY-MM-DD.")],
    first: Annotated[
        str | None, typer.Option("--from", help="Build from this day on [the first one].")
    ] = None,
    later: Annotated[int, typer.Option(min=1, max=28, help="Days after it to poison.")] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="Leave both builds for a look.")] = False,
    dataset: Dataset = None,
    raw: Raw = None,
) -> None:
    """Poison all that comes after a day in a copy of the log, rebuild, compare; exit 1 on a leak.

    Takes as long as building the days four times; the raw zone and the lake are only read.
    """
    from dayfold.audit import audit_leaks, span_of
    from dayfold.run import require_java
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day

    overrides_to_environment(dataset=dataset, raw=raw)
    parse_day(day, "--day")
    if first is not None:
        parse_day(first, "--from")
    workplace = open_workplace()
    if not (zone := workplace.raw_zone()).is_complete(day):
        known = zone.complete_days()
        raise ConfigError(
            f"--day {day}: the raw zone has no complete events of that day, expected one of "
            f"{known[0]} to {known[-1]}."
            if known
            else f"{zone.root} has no complete day yet."
        )
    span = span_of(workplace.raw_zone(), day, first, later)
    require_java()
    # In a pipe nobody sees the edge of the screen.
    console = Console(emoji=False, highlight=False, width=None if sys.stdout.isatty() else 200)
    found = audit_leaks(
        workplace, span, lambda text: console.print(text, markup=False, soft_wrap=True), keep=keep
    )
    console.print(_table(found, day))
    for copy in found.kept or ():
        console.print(f"kept: {copy.home}", markup=False, soft_wrap=True)
    if not found.passed:
        raise typer.Exit(EXIT_FAILED)


def _table(found: Audit, day: str) -> RichTable:
    verdict = "nothing depends on what came later" if found.passed else "NOT PROVEN"
    table = RichTable(title=f"Up to {day}: {verdict}", title_justify="left")
    for heading in ("what", "built", "days", "rows", "outcome", "first difference"):
        justify = "right" if heading in {"days", "rows"} else "left"
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for row in found.compared:
        cells = (row.what, row.build, f"{row.days}", f"{row.rows:,}", row.outcome, row.detail)
        table.add_row(*(escape(cell) for cell in cells))
    return table
