"""`dayfold upkeep`: merge small files, remove those that no version worth keeping names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from conf.settings import overrides_to_environment
from dayfold.hints import complete
from dayfold.options import Dataset, LakeRoot

if TYPE_CHECKING:
    from feature_store.upkeep import Swept


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
    opened = place.existing_lake()
    named = [version.table_versions for version in registered(place)]
    with erasing(opened.root):
        swept = sweep(opened, keep_days, named, dry_run=dry_run)
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
    console = Console(emoji=False, highlight=False)
    console.print(table)
    console.print(complete(_ending(swept, keep_days, dry_run=dry_run)), soft_wrap=True)


def _ending(swept: Sequence[Swept], keep_days: int, *, dry_run: bool) -> str:
    """What all of it comes to, and what to type now."""
    merged, files = sum(row.merged for row in swept), sum(row.files for row in swept)
    freed = sum(row.megabytes for row in swept)
    what = f"{merged} files merged into larger ones, {files} files removed ({freed:.1f} MiB)"
    if not dry_run:
        return f"Done: {what}."
    if not merged and not files:
        return "There is nothing to do."
    return f"Nothing was changed: {what} would be. Next: dayfold upkeep --keep-days {keep_days}"
