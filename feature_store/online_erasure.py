"""Erasing a person from the online store: their rows, and the bytes that held them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from conf.errors import ConcurrentWrite

_WAIT_SECONDS = 30.0


def erase_online(path: Path, user_id: str) -> int:
    """Remove every row that names `user_id` (a pseudonym) from the store at `path`; how many.

    The file is written anew, so that neither free pages nor the write-ahead log keep what was
    there, earlier days' lists included.

    Raises:
        ConcurrentWrite: somebody else has the store open; call again.
    """
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("BEGIN IMMEDIATE")
            removed = sum(_erase_table(connection, table, user_id) for table in _tables(connection))
            connection.execute("COMMIT")
            connection.execute("VACUUM")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise ConcurrentWrite(_in_use(path)) from error
    if busy:
        raise ConcurrentWrite(_in_use(path))
    return removed


def rows_online(path: Path, user_id: str) -> int:
    """Rows of the store that name `user_id`."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS)) as connection:
        return sum(
            connection.execute(
                f'SELECT count(*) FROM "{table}" WHERE {_names(connection, table)}',  # noqa: S608
                {"user": user_id},
            ).fetchone()[0]
            for table in _tables(connection)
        )


def _erase_table(connection: sqlite3.Connection, table: str, user_id: str) -> int:
    where = _names(connection, table)
    deleted = connection.execute(f'DELETE FROM "{table}" WHERE {where}', {"user": user_id})  # noqa: S608
    return deleted.rowcount


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [str(name) for (name,) in rows]


def _names(connection: sqlite3.Connection, table: str) -> str:
    """The condition that a column, whichever, holds the user."""
    columns = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
    return " OR ".join(f'instr("{column[1]}", :user) > 0' for column in columns)


def _in_use(path: Path) -> str:
    return (
        f"{path}: somebody reads or writes the online store, so what was deleted is still in its "
        "write-ahead log. Next: run the same command again in a moment."
    )
