"""The online store: the published lists for look-ups by user, one database file.

A day's lists replace those before in one transaction: a reader sees the old day or the new one. A
service reads it without Dayfold: table `lists` (user_id, ds, model_version, items), where `items`
is a JSON list of {rank, item_id, score, source}; the row `*` is for users without one.
"""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from feature_store.tables import EVERYBODY

_WAIT_SECONDS = 30.0
_TABLES = """
CREATE TABLE IF NOT EXISTS current (one INTEGER PRIMARY KEY CHECK (one = 1), ds TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lists (
    user_id TEXT PRIMARY KEY,
    ds TEXT NOT NULL,
    model_version INTEGER NOT NULL,
    items TEXT NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class ListedItem:
    """One rank of a list."""

    rank: int
    """From 1."""
    item_id: str
    score: float | None
    """The ranker's logit; None where popularity topped up."""
    source: str
    """model or popularity."""


@dataclass(frozen=True)
class OnlineList:
    """What a service answers with for one user."""

    user_id: str
    """The pseudonym, or `*` if the user has no list of their own."""
    ds: str
    model_version: int
    items: tuple[ListedItem, ...]


class OnlineStore:
    """The published lists of one dataset in a SQLite file."""

    def __init__(self, path: Path) -> None:
        """Open the store at `path`; the file comes with the first `write_lists`."""
        self._path = path

    def write_lists(self, ds: str, rows: pa.Table) -> bool:
        """Replace all lists by those of `ds`; False if the store holds a later day's already.

        Args:
            ds: the day of the lists.
            rows: rows of table `recommendations`; none leaves the store as it is.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as connection:
            connection.executescript(_TABLES)
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT ds FROM current").fetchone()
            if not rows.num_rows or (row is not None and row[0] > ds):
                connection.execute("ROLLBACK")
                return row is None or row[0] <= ds
            connection.execute("DELETE FROM lists")
            connection.executemany("INSERT INTO lists VALUES (?, ?, ?, ?)", _lists(ds, rows))
            connection.execute("INSERT OR REPLACE INTO current VALUES (1, ?)", (ds,))
            connection.execute("COMMIT")
        return True

    def read_list(self, user_id: str) -> OnlineList | None:
        """The list of `user_id` (a pseudonym), else the one for everybody; None = there is none."""
        if not self._path.exists():
            return None
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT user_id, ds, model_version, items FROM lists WHERE user_id IN (?, ?) "
                "ORDER BY user_id = ? LIMIT 1",
                (user_id, EVERYBODY, EVERYBODY),
            ).fetchone()
        if row is None:
            return None
        items = tuple(ListedItem(**item) for item in json.loads(row[3]))
        return OnlineList(row[0], row[1], row[2], items)

    def current_day(self) -> str | None:
        """The day whose lists are there; None before the first."""
        if not self._path.exists():
            return None
        with closing(self._connect()) as connection:
            row = connection.execute("SELECT ds FROM current").fetchone()
        return None if row is None else str(row[0])

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        return connection


def _lists(ds: str, rows: pa.Table) -> Iterator[tuple[str, str, int, str]]:
    """One database row per user."""
    rows = rows.sort_by([("user_id", "ascending"), ("rank", "ascending")])
    names = ("user_id", "model_version", "rank", "item_id", "score", "source")
    entries = zip(*(rows.column(name).to_pylist() for name in names), strict=True)
    for (user_id, version), group in itertools.groupby(entries, key=lambda entry: entry[:2]):
        items = [
            {
                "rank": rank,
                "item_id": item_id,
                "score": score if math.isfinite(score) else None,
                "source": source,
            }
            for _, _, rank, item_id, score, source in group
        ]
        yield user_id, ds, version, json.dumps(items)
