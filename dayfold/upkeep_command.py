"""`dayfold upkeep`: remove files that no version worth keeping names."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from conf.settings import overrides_to_environment
from dayfold.options import Dataset, LakeRoot


def upkeep(
    keep_days: Annotated[
        int, typer.Option(min=1, help="Keep what the last days' versions name.")
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Remove old files of the lake; the versions that registered models name stay readable."""
    from dayfold.workplace import open_workplace
    from feature_store.upkeep import sweep

    overrides_to_environment(dataset=dataset, lake=lake)
    swept = sweep(open_workplace().lake(), keep_days, dry_run=dry_run)
    title = f"{'Would be removed' if dry_run else 'Removed'}: older than {keep_days} days"
    table = RichTable(title=title, title_justify="left")
    table.add_column("table")
    for heading in ("files", "MiB", "earlier versions kept"):
        table.add_column(heading, justify="right")
    for row in swept:
        table.add_row(row.table, f"{row.files}", f"{row.megabytes:.1f}", f"{row.kept_versions}")
    Console(emoji=False, highlight=False).print(table)
