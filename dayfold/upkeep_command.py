"""`dayfold upkeep`: merge small files, remove those that no version worth keeping names."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from conf.errors import ConfigError
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
    """Merge small files and remove old ones; what registered models name stays readable."""
    from dayfold.registered import registered
    from dayfold.workplace import open_workplace
    from feature_store.locks import erasing
    from feature_store.upkeep import sweep

    overrides_to_environment(dataset=dataset, lake=lake)
    place = open_workplace()
    if not (root := place.lake().root).is_dir():
        raise ConfigError(f"There is no lake at {root}. Next: pass another --lake or --dataset.")
    named = [version.table_versions for version in registered(place)]
    with erasing(root):
        swept = sweep(place.lake(), keep_days, named, dry_run=dry_run)
    title = f"Small files to be merged, and files older than {keep_days} days to be removed"
    if not dry_run:
        title = f"Small files merged, and files older than {keep_days} days removed"
    table = RichTable(title=title, title_justify="left")
    table.add_column("table")
    for heading in ("merged", "removed", "MiB", "earlier versions kept"):
        table.add_column(heading, justify="right")
    for row in swept:
        counts = (f"{row.merged}", f"{row.files}", f"{row.megabytes:.1f}", f"{row.kept_versions}")
        table.add_row(row.table, *counts)
    Console(emoji=False, highlight=False).print(table)
