"""A server's log of answers (`dayfold serve --log`) as a table; what is no answer is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa

from conf.errors import ConfigError

_DAY = slice(0, 10)
SHOWN = pa.schema(
    [
        ("ds", pa.string()),
        ("user_id", pa.string()),
        ("version", pa.string()),
        ("item_id", pa.string()),
    ]
)


def shown_by_log(path: Path) -> tuple[pa.Table, int]:
    """What users were shown, each pair once a day: (n,) of `SHOWN`; and how many lines are damaged.

    Answers to nobody in particular are left out. A line that a full disk or a kill cut off costs
    itself alone.

    Raises:
        ConfigError: there is no such file, or not one of its lines is an answer.
    """
    columns: dict[str, list[str]] = {name: [] for name in SHOWN.names}
    damaged = answers = 0
    for answer in _answers(path):
        if answer is None:
            damaged += 1
            continue
        answers += 1
        ds, user, version, items = answer
        if user is None:
            continue
        for name, values in (("ds", ds), ("user_id", user), ("version", version)):
            columns[name] += [values] * len(items)
        columns["item_id"] += items
    if damaged and not answers:
        raise ConfigError(
            f"--log {path} is no log of answers, expected JSON lines as `dayfold serve --log` "
            f"writes them; none of its {damaged} lines is one."
        )
    table = pa.table(columns, schema=SHOWN)
    return table.group_by(SHOWN.names).aggregate([]), damaged


def _answers(path: Path) -> Iterator[tuple[str, str | None, str, list[str]] | None]:
    """Day, user, version and items of each line; None where it is no answer."""
    try:
        with path.open("rb") as lines:
            for line in lines:
                if line.strip():
                    yield _answer(line)
    except OSError as error:
        raise ConfigError(
            f"--log {path} cannot be read ({error.strerror}): expected the file that `dayfold "
            "serve --log FILE` writes."
        ) from error


def _answer(line: bytes) -> tuple[str, str | None, str, list[str]] | None:
    try:
        said = json.loads(line)
        ds = date.fromisoformat(said["at"][_DAY]).isoformat()
        user, version, items = said["user_id"], said["version"], said["items"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    sound = isinstance(version, str) and isinstance(items, list) and isinstance(user, str | None)
    if not sound or not all(isinstance(item, str) for item in items):
        return None
    return ds, user, version, items
