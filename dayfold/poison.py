"""What the leak audit puts in the place of later days: seeded rows that contradict the log.

They are plausible on purpose: known users and items, times that a late event may have, answers to
impressions that are already labelled. Whatever reads them before their day comes to other results.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.dataset import DatasetConfig
from feature_store.days import days_between, shift
from feature_store.raw_fields import open_text

if TYPE_CHECKING:
    from conf.fields import Stream
    from feature_store.raw_zone import RawZone

Row = dict[str, Any]

MOST_ROWS = 20_000
"""Rows of a stream, at most, that poison is made of."""
_NEW_USERS = 97
"""Enough of them that none is taken for a bot."""
_MADE_NUMBERS = (None, 0.0, 1.0, 5.0, 1e6)
_JUNK = b'{"event_id": "cut off\n'


@dataclass(frozen=True)
class Material:
    """Raw rows that poison is made of."""

    events: Sequence[Row]
    """Of the last days that a late event may belong to, and of the days to be poisoned."""
    profiles: Sequence[Row]
    items: Sequence[Row]


def material_of(zone: RawZone, dataset: DatasetConfig, first: str, ds: str, last: str) -> Material:
    """What `zone` holds of [first, last], for poisoning the days after `ds`."""
    since = max(first, shift(ds, -dataset.cleaning.lateness_days))
    return Material(
        _rows_of(zone, "events", list(days_between(since, last))),
        _rows_of(zone, "profiles", list(days_between(first, last))),
        _rows_of(zone, "items", list(days_between(first, last))),
    )


def write_poisoned_day(
    root: Path, ds: str, material: Material, dataset: DatasetConfig, seed: int
) -> None:
    """Write all three streams of the raw day `ds` under `root`; the same seed, the same rows."""
    dice = random.Random(f"{seed} {ds}")  # noqa: S311
    streams: dict[str, list[Row]] = {
        "items": _changed_entities(material.items, "item_id", ds, dice),
        "profiles": _changed_entities(material.profiles, "user_id", ds, dice),
        "events": _poisoned_events(material.events, ds, dataset, dice),
    }
    for stream, rows in streams.items():
        folder = root / stream / f"ds={ds}"
        folder.mkdir(parents=True)
        lines = [json.dumps(row, default=_as_text).encode() + b"\n" for row in rows]
        (folder / "part-00000.jsonl").write_bytes(b"".join([*lines, _JUNK]))
        (folder / "_SUCCESS").touch()


def _poisoned_events(
    known: Sequence[Row], ds: str, dataset: DatasetConfig, dice: random.Random
) -> list[Row]:
    """For each known event: one that mixes the fields of others, and a positive answer to it.

    Some are delivered again under their own event_id with another item; some are of new users and
    items, whose ids come before and after all others.
    """
    fields = ("user_id", "item_id", "event_timestamp", "request_id", "position", *dataset.context)
    values = {name: [row.get(name) for row in known] for name in fields}
    values["event_timestamp"] += [f"{ds}T{hour:02}:30:00+00:00" for hour in range(24)]
    kinds, positive = sorted(dataset.event_types), sorted(dataset.positive)
    rows: list[Row] = []
    for number, row in enumerate(known):
        mixed = {name: dice.choice(values[name]) for name in fields}
        mixed |= {"event_type": dice.choice(kinds), "value": dice.choice(_MADE_NUMBERS)}
        answer = {**row, "event_type": dice.choice(positive), "value": 5.0}
        rows += [
            {**mixed, "event_id": f"poison-{ds}-{number}"},
            {**answer, "event_id": f"poison-{ds}-answer-{number}"},
        ]
        match number % 8:
            case 0:
                rows.append({**row, "item_id": mixed["item_id"], "value": mixed["value"]})
            case 1:
                new = {"user_id": f"!{number % _NEW_USERS}"}
                rows.append({**answer, "event_id": f"poison-{ds}-user-{number}", **new})
            case 2:
                new = {"item_id": f"~{ds}-{number}", **dict.fromkeys(dataset.context, "!")}
                rows.append({**answer, "event_id": f"poison-{ds}-item-{number}", **new})
    dice.shuffle(rows)
    return rows


def _changed_entities(known: Sequence[Row], key: str, ds: str, dice: random.Random) -> list[Row]:
    """Every known user (or item) with the attributes of others, and two that are new.

    Half of them claim that the change is as old as the row that it replaces.
    """
    names = sorted({name for row in known for name in row} - {key, "updated_at"})
    columns = {name: [row.get(name) for row in known] for name in names}
    for values in columns.values():
        dice.shuffle(values)
    now = f"{ds}T00:00:00+00:00"
    rows: list[Row] = []
    for number, row in enumerate(known):
        changed = {name: values[number] for name, values in columns.items()}
        since = now if number % 2 else row.get("updated_at", now)
        rows.append({**changed, key: row.get(key), "updated_at": since})
    attributes = {name: values[0] for name, values in columns.items() if values}
    return [*rows, *({**attributes, key: new, "updated_at": now} for new in ("!", "~"))]


# ---- reading ------------------------------------------------------------------------------------


def _rows_of(zone: RawZone, stream: Stream, days: Sequence[str]) -> list[Row]:
    """At most MOST_ROWS rows of `days`, the same share of each day."""
    share = MOST_ROWS // max(len(days), 1) + 1
    return [
        row
        for ds in days
        for row in islice((row for path in zone.files(stream, ds) for row in _parsed(path)), share)
    ]


def _parsed(path: Path) -> Iterator[Row]:
    """The rows of a raw file that can be read without any rule."""
    if path.name.endswith(".parquet"):
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
        return
    with open_text(path) as file:
        if ".csv" in path.suffixes:
            # What a row has beyond the header stands under no name.
            yield from ({n: v for n, v in row.items() if n} for row in csv.DictReader(file))
            return
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


def _as_text(value: object) -> str:
    """What JSON has no type for, as the raw zone writes it."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)
