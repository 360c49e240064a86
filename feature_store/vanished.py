"""Versions whose files are gone: a reader is told so, and by whom."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from conf.errors import MissingPartition
from feature_store.tables import Table


def require_files(table: Table, version: int, files: Iterable[str]) -> None:
    """Pass if the `files` that a version of `table` names are there.

    Raises:
        MissingPartition: some are not.
    """
    gone = [uri for uri in files if not Path(uri).exists()]
    if gone:
        raise MissingPartition(
            f"{table.key} version {version} cannot be read any more: {len(gone)} of its files are "
            f"gone, for example {gone[0]}. `dayfold forget` or `dayfold upkeep` removed them. "
            "Next: read the version that the ledger names for the day, or the current one."
        )
