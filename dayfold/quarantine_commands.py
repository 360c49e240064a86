"""`dayfold quarantine`: look at rejected rows, and take repaired ones in again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conf.errors import ConfigError
from conf.settings import overrides_to_environment
from dayfold.options import Dataset, LakeRoot, Raw

quarantine = typer.Typer(help="Look at rejected rows; take repaired ones in again.")


_console = Console(emoji=False, highlight=False)


@quarantine.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    ds: Annotated[str | None, typer.Option("--ds", help="Arrival day, YYYY-MM-DD.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only rows rejected for this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show this many rows.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="All rows, machine-readable.")] = False,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Show the rows that the cleaning of a day rejected: `dayfold quarantine --ds 2026-02-08`."""
    if context.invoked_subcommand is not None:
        return
    from dayfold import quarantine as rejected
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day

    if ds is None:
        raise ConfigError("Which day? For example: dayfold quarantine --ds 2026-02-08")
    overrides_to_environment(dataset=dataset, lake=lake)
    rows = rejected.rejected_rows(open_workplace(lake), parse_day(ds, "--ds"), reason)
    if as_json:
        _console.print(rejected.as_json(rows), markup=False, soft_wrap=True)
    else:
        for line in rejected.rejected_lines(ds, rows, reason, limit):
            _console.print(line, markup=False, soft_wrap=True)


@quarantine.command()
def rules(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    dataset: Dataset = None,
) -> None:
    """Show what a row must be to be clean: every rule of the dataset, in the order applied."""
    from dayfold import rule_list
    from dayfold.workplace import open_workplace

    overrides_to_environment(dataset=dataset)
    declared = open_workplace().dataset
    if as_json:
        _console.print(rule_list.as_json(declared), markup=False, soft_wrap=True)
    else:
        _console.print(rule_list.rule_table(declared))
        _console.print(rule_list.NEXT, markup=False)


@quarantine.command()
def replay(
    ds: Annotated[str, typer.Option("--ds", help="Day on which the rows were rejected.")],
    into: Annotated[str, typer.Option(help="Later day, not run yet, on which they arrive.")],
    reason: Annotated[
        str | None, typer.Option(help="Rows rejected for it, as they stand in the raw files.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Rows mended by hand, in a format of the raw zone.")
    ] = None,
    dataset: Dataset = None,
    raw: Raw = None,
    lake: LakeRoot = None,
) -> None:
    """Deliver rejected events again, as late arrivals of a day that has not run."""
    from dayfold.quarantine_replay import replay_rows
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day

    overrides_to_environment(dataset=dataset, raw=raw, lake=lake)
    said = replay_rows(
        open_workplace(lake), parse_day(ds, "--ds"), parse_day(into, "--into"), reason, file
    )
    _console.print(said, markup=False, soft_wrap=True)
