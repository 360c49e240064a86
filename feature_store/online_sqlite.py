"""The online store in a SQLite file: a day is one transaction.

A service reads it without Dayfold. Table `lists` (user_id, ds, model_version, items): `items` is a
JSON list of {rank, item_id, score, source, reason}. Tables `users` and `items` (id, vector) and
`layouts` (kind, layout): see `feature_store.online_vectors`. The row `*` is for who or what is not
known.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from conf.errors import ConcurrentWrite, OnlineStoreError
from feature_store.online import (
    Kind,
    OnlineDay,
    OnlineList,
    list_read,
    written_lists,
)
from feature_store.online_vectors import OnlineVector, layout_as_json, layout_of, unpacked
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
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS layouts (kind TEXT PRIMARY KEY, layout TEXT NOT NULL);
"""
# One statement reads vectors and their layout from one day.
_READ = {
    "users": "SELECT id, vector, layout FROM layouts JOIN users "
    "WHERE kind = 'users' AND id IN (SELECT value FROM json_each(?))",
    "items": "SELECT id, vector, layout FROM layouts JOIN items "
    "WHERE kind = 'items' AND id IN (SELECT value FROM json_each(?))",
}
_WRITE = {
    "users": ("DELETE FROM users", "INSERT INTO users VALUES (?, ?)"),
    "items": ("DELETE FROM items", "INSERT INTO items VALUES (?, ?)"),
}


class SqliteStore:
    """The `OnlineStore` of one dataset in a SQLite file."""

    def __init__(self, path: Path) -> None:
        """Open the store at `path`; the file comes with the first `write`."""
        self._path = path

    def write(self, day: OnlineDay) -> bool:
        """See `OnlineStore.write`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_TABLES)
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT ds FROM current").fetchone()
            if not day.lists.num_rows or (row is not None and row[0] > day.ds):
                connection.execute("ROLLBACK")
                return row is None or row[0] <= day.ds
            connection.execute("DELETE FROM lists")
            connection.executemany(
                "INSERT INTO lists VALUES (?, ?, ?, ?)",
                (
                    (user_id, day.ds, version, json.dumps(items))
                    for user_id, version, items in written_lists(day.lists)
                ),
            )
            for kind, vectors in day.vectors().items():
                delete, insert = _WRITE[kind]
                connection.execute(delete)
                connection.executemany(insert, vectors.packed(day.ds))
                connection.execute(
                    "INSERT OR REPLACE INTO layouts VALUES (?, ?)",
                    (kind, layout_as_json(vectors.layout)),
                )
            connection.execute("INSERT OR REPLACE INTO current VALUES (1, ?)", (day.ds,))
            connection.execute("COMMIT")
        return True

    def read_list(self, user_id: str) -> OnlineList | None:
        """See `OnlineStore.read_list`."""
        row = self._first(
            "SELECT user_id, ds, model_version, items FROM lists WHERE user_id IN (?, ?) "
            "ORDER BY user_id = ? LIMIT 1",
            (user_id, EVERYBODY, EVERYBODY),
        )
        if row is None:
            return None
        user_id, ds, version, items = row
        return list_read(user_id, ds, version, json.loads(items))

    def read_user(self, user_id: str) -> OnlineVector | None:
        """See `OnlineStore.read_user`."""
        return next(iter(self._read("users", [user_id])), None)

    def read_items(self, item_ids: Sequence[str]) -> list[OnlineVector]:
        """See `OnlineStore.read_items`."""
        return self._read("items", item_ids)

    def current_day(self) -> str | None:
        """See `OnlineStore.current_day`."""
        row = self._first("SELECT ds FROM current", ())
        return None if row is None else str(row[0])

    def entries_of(self, user_id: str) -> int:
        """See `OnlineStore.entries_of`."""
        lists = self._all("SELECT 1 FROM lists WHERE user_id = ?", (user_id,))
        return len(lists) + len(self._all("SELECT 1 FROM users WHERE id = ?", (user_id,)))

    def remove_user(self, user_id: str) -> int:
        """See `OnlineStore.remove_user`; the file is written anew, earlier days' bytes go too."""
        if not self._path.exists():
            return 0
        with self._connected() as connection:
            connection.executescript(_TABLES)
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("BEGIN IMMEDIATE")
            deleted = (
                connection.execute("DELETE FROM lists WHERE user_id = ?", (user_id,)),
                connection.execute("DELETE FROM users WHERE id = ?", (user_id,)),
            )
            removed = sum(cursor.rowcount for cursor in deleted)
            connection.execute("COMMIT")
            connection.execute("VACUUM")
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise ConcurrentWrite(
                f"{self._path}: somebody reads or writes the online store, so what was deleted is "
                "still in its write-ahead log. Next: run the same command again in a moment."
            )
        return removed

    def clear(self) -> None:
        """See `OnlineStore.clear`."""
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _read(self, kind: Kind, ids: Sequence[str]) -> list[OnlineVector]:
        rows = self._all(_READ[kind], [json.dumps([*ids, EVERYBODY])])
        found = {row[0]: unpacked(row[0], row[1], layout_of(row[2])) for row in rows}
        return [found[n] for n in (i if i in found else EVERYBODY for i in ids) if n in found]

    def _first(self, query: str, values: Sequence[str]) -> tuple[Any, ...] | None:
        return next(iter(self._all(query, values)), None)

    def _all(self, query: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
        if not self._path.exists():
            return []
        with self._connected() as connection:
            try:
                return connection.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                # The store was last written by a version that knew no vectors.
                if "no such table" in str(error):
                    return []
                raise

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
            ) as connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise OnlineStoreError(
                f"The online store {self._path} cannot be read or written: {error}. "
                "Next: check the file and the setting online_store, then run the step again."
            ) from error
