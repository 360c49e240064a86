"""A small lake made with NumPy (no Spark): the same tables that the Spark steps write.

`small_lake(root)` has 8 users' worth of structure in a few thousand events over `days` days: users
and items have a hidden group, an item of the own group is liked more often, so that a scorer has
something to learn. Users and items are born over time; five in a hundred events arrive a day late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from conf.dataset import Attribute, DatasetConfig, Labels
from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import (
    ENCODED_ITEMS,
    EVENTS,
    EXAMPLES,
    HALF_LIVES_DAYS,
    ITEM_STATS,
    ITEMS,
    STATISTICS,
    USER_SEQUENCES,
    USER_STATS,
    USERS,
    VOCABULARIES,
    Table,
    decayed,
)

FIRST_DAY = "2026-01-01"
GROUPS = 4
LINEAGE = {"step": "fixture", "ds": ""}
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Log:
    """Events, sorted by time. Ids are vocabulary ids (from 2); `day` is the day of arrival."""

    user: np.ndarray
    item: np.ndarray
    at: np.ndarray
    kind: np.ndarray
    value: np.ndarray
    day: np.ndarray

    def take(self, rows: np.ndarray) -> Log:
        return Log(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def small_dataset(kind: str = "impressions") -> DatasetConfig:
    """A dataset with every kind of attribute and one context field."""
    return DatasetConfig(
        name="small",
        user_attributes=(
            Attribute(name="age", kind="numeric", bins=(18.0, 40.0)),
            Attribute(name="city", kind="categorical"),
            Attribute(name="interests", kind="multi"),
        ),
        item_attributes=(
            Attribute(name="category", kind="categorical"),
            Attribute(name="tags", kind="multi"),
        ),
        context=("device",),
        positive={"rating": 1.0} if kind == "threshold" else {"click": 1.0, "purchase": 1.0},
        labels=Labels(kind=kind, threshold=4.0 if kind == "threshold" else None),  # type: ignore[arg-type]
    )


def small_lake(
    root: Path,
    kind: str = "impressions",
    days: int = 12,
    users: int = 60,
    items: int = 40,
    per_day: int = 300,
    seed: int = 0,
) -> Lake:
    """A lake of `days` days from FIRST_DAY on, with labels of this `kind`."""
    lake = Lake(root, small_dataset(kind))
    generator = np.random.default_rng(seed)
    log, label = _simulate(generator, kind, days, users, items, per_day)
    first, last = FIRST_DAY, shift(FIRST_DAY, days - 1)
    write_entities(lake, log, generator)
    write_states(lake, log, first, last)
    write_examples(lake, log, label, generator)
    write_events(lake, log)
    return lake


def _simulate(
    generator: np.random.Generator, kind: str, days: int, users: int, items: int, per_day: int
) -> tuple[Log, np.ndarray]:
    n = days * per_day
    event_day = np.repeat(np.arange(days), per_day)
    grown = 0.6 + 0.4 * (event_day + 1) / days  # not every entity is there on the first day
    user = (generator.random(n) * users * grown).astype(np.int32)
    item = (generator.random(n) ** 1.5 * items * grown).astype(np.int32)
    liked = generator.random(n) < np.where(user % GROUPS == item % GROUPS, 0.6, 0.1)
    seconds = np.sort(generator.integers(0, 86_400, (days, per_day)), axis=1).ravel()
    at = np.datetime64(FIRST_DAY, "us") + event_day * DAY + seconds.astype("timedelta64[s]")
    late = (generator.random(n) < 0.05) & (event_day < days - 1)
    day = ordinal(FIRST_DAY) + event_day + late
    if kind == "threshold":
        value = np.where(liked, 5.0, 2.0)
        log = Log(user + 2, item + 2, at, np.full(n, "rating"), value, day)
        return log, liked.astype(float)
    nothing = np.full(n, np.nan)
    seen = Log(user + 2, item + 2, at, np.full(n, "impression"), nothing, day)
    clicks = seen.take(liked)
    clicks = Log(
        clicks.user,
        clicks.item,
        clicks.at + np.timedelta64(60, "s"),
        np.full(int(liked.sum()), "click"),
        clicks.value,
        clicks.day,
    )
    if kind == "sampled":
        return clicks, np.ones(len(clicks.user))
    pairs = zip(_columns(seen), _columns(clicks), strict=True)
    both = Log(*(np.concatenate(pair) for pair in pairs))
    order = np.argsort(both.at, kind="stable")
    label = np.concatenate([liked.astype(float), np.full(len(clicks.user), np.nan)])
    return both.take(order), label[order]


def _columns(log: Log) -> list[np.ndarray]:
    return [getattr(log, name) for name in log.__dataclass_fields__]


def day_name(number: int) -> str:
    """The day `number` days after 1970-01-01."""
    return str(np.datetime64(int(number), "D"))


def _instants(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype("datetime64[us]"), pa.timestamp("us", tz="UTC"))


def write_entities(lake: Lake, log: Log, generator: np.random.Generator) -> None:
    """Vocabularies, encoded users and items, clean items; each on the day of birth."""
    births = {}
    for field, ids in (("user_id", log.user), ("item_id", log.item)):
        known = np.unique(ids)
        born = np.full(known.max() + 1, np.iinfo(np.int64).max)
        np.minimum.at(born, ids, log.day)
        births[field] = (known, born[known])
    first = int(log.day.min())
    small = [
        (name, value, identity)
        for name, values in (
            ("user.city", "abc"),
            ("user.interests", "wxyz"),
            ("item.category", "wxyz"),
            ("item.tags", "pqrst"),
            ("context.device", "mt"),
        )
        for identity, value in enumerate(values, start=2)
    ]
    for number in range(first, int(log.day.max()) + 1):
        rows = small if number == first else []
        new = {f: known[born == number] for f, (known, born) in births.items()}
        rows = [*rows, *((f, f"{f[0]}{i:05d}", int(i)) for f, ids in new.items() for i in ids)]
        vocabulary = pa.table(
            {
                "field": pa.array([r[0] for r in rows], pa.string()),
                "value": pa.array([r[1] for r in rows], pa.string()),
                "id": pa.array([r[2] for r in rows], pa.int32()),
            }
        )
        _put(lake, VOCABULARIES, number, vocabulary)
        # a few users change their profile again
        again = births["user_id"][0][births["user_id"][1] < number]
        again = again[generator.random(len(again)) < 0.05]
        changed = np.concatenate([new["user_id"], again])
        _put(lake, USERS, number, _users(changed, number, generator))
        _put(lake, ENCODED_ITEMS, number, _items(new["item_id"], number))
        _put(lake, ITEMS, number, _clean_items(new["item_id"], number))


def _put(lake: Lake, table: Table, number: int, rows: pa.Table) -> None:
    if rows.num_rows:
        lake.replace(table, {"ds": day_name(number)}, rows, LINEAGE)


def _users(ids: np.ndarray, number: int, generator: np.random.Generator) -> pa.Table:
    start = np.full(len(ids), np.datetime64(int(number), "D"))
    return pa.table(
        {
            "user_index": ids.astype(np.int32),
            "valid_from": _instants(start),
            "attr_age": generator.integers(1, 5, len(ids)).astype(np.int32),
            "attr_city": generator.integers(1, 5, len(ids)).astype(np.int32),
            "attr_interests": pa.array([[2 + int(i) % GROUPS] for i in ids], pa.list_(pa.int32())),
        }
    )


def _items(ids: np.ndarray, number: int) -> pa.Table:
    start = _instants(np.full(len(ids), np.datetime64(int(number), "D")))
    return pa.table(
        {
            "item_index": ids.astype(np.int32),
            "valid_from": start,
            "available_from": start,
            "available_until": pa.nulls(len(ids), pa.timestamp("us", tz="UTC")),
            "attr_category": (2 + ids % GROUPS).astype(np.int32),
            "attr_tags": pa.array(
                [sorted({2 + int(i) % 5, 2 + int(i) % 3})[: int(i) % 3] for i in ids],
                pa.list_(pa.int32()),
            ),
        }
    )


def _clean_items(ids: np.ndarray, number: int) -> pa.Table:
    start = _instants(np.full(len(ids), np.datetime64(int(number), "D")))
    return pa.table(
        {
            "item_id": [f"i{i:05d}" for i in ids],
            "updated_at": start,
            "available_from": start,
            "available_until": pa.nulls(len(ids), pa.timestamp("us", tz="UTC")),
            "title": [f"Item {i}" for i in ids],
            "description": [None] * len(ids),
            "attr_category": ["wxyz"[int(i) % GROUPS] for i in ids],
            "attr_tags": pa.array([[] for _ in ids], pa.list_(pa.string())),
        }
    )


def write_events(lake: Lake, log: Log) -> None:
    """The clean events, ids as logged."""
    for number in np.unique(log.day):
        rows = np.flatnonzero(log.day == number)
        part = log.take(rows)
        table = pa.table(
            {
                "event_id": [f"e{row}" for row in rows],
                "event_timestamp": _instants(part.at),
                "event_ds": [str(d) for d in part.at.astype("datetime64[D]")],
                "user_id": [f"u{i:05d}" for i in part.user],
                "item_id": [f"i{i:05d}" for i in part.item],
                "event_type": part.kind.tolist(),
                "value": pa.array(part.value, pa.float64(), from_pandas=True),
                "request_id": pa.nulls(len(rows), pa.string()),
                "position": pa.nulls(len(rows), pa.int32()),
                "context": pa.array([[] for _ in rows], pa.map_(pa.string(), pa.string())),
            }
        )
        _put(lake, EVENTS, number, table)


def write_examples(lake: Lake, log: Log, label: np.ndarray, generator: np.random.Generator) -> None:
    """One example per event with a label (not NaN), on the day it arrived."""
    device = generator.integers(0, 4, len(label)).astype(np.int32)
    for number in np.unique(log.day):
        rows = np.flatnonzero((log.day == number) & ~np.isnan(label))
        part = log.take(rows)
        day = part.at.astype("datetime64[D]")
        table = pa.table(
            {
                "example_id": [f"e{row}" for row in rows],
                "event_timestamp": _instants(part.at),
                "event_ds": [str(d) for d in day],
                "user_index": part.user.astype(np.int32),
                "item_index": part.item.astype(np.int32),
                "request_id": pa.nulls(len(rows), pa.string()),
                "position": pa.nulls(len(rows), pa.int32()),
                "hour": ((part.at - day) // np.timedelta64(1, "h")).astype(np.int32),
                "weekday": ((day.astype(int) + 3) % 7).astype(np.int32),
                "label": label[rows],
                "value": pa.array(part.value, pa.float64(), from_pandas=True),
                "weight": np.ones(len(rows)),
                **({"ctx_device": device[rows]} if lake.dataset.context else {}),
            }
        )
        _put(lake, EXAMPLES, number, table)


def write_states(lake: Lake, log: Log, first: str, last: str, length: int = 50) -> None:
    """User and item sums and user sequences, folded day by day."""
    positive = np.array([lake.dataset.positive.get(str(k), 0.0) for k in log.kind])
    valued = ~np.isnan(log.value)
    amounts = {name: (log.kind == name).astype(float) for name in STATISTICS[:4]}
    amounts |= {"positive": positive, "valued": valued.astype(float)}
    amounts["value"] = np.where(valued, log.value, 0.0)
    events = np.stack([amounts[name] for name in STATISTICS], axis=1)
    for table, entity, ids in (
        (USER_STATS, "user_index", log.user),
        (ITEM_STATS, "item_index", log.item),
    ):
        _fold(lake, table, entity, ids, log, events, first, last)
    sequences: dict[int, list[tuple[np.datetime64, int]]] = {}
    for number in range(ordinal(first), ordinal(last) + 1):
        today = np.flatnonzero((log.day == number) & (positive > 0))
        for row in today:
            sequences.setdefault(int(log.user[row]), []).append((log.at[row], int(log.item[row])))
        base = lake.is_base_day(USER_SEQUENCES, day_name(number))
        users = sorted(sequences if base else {int(u) for u in log.user[today]})
        kept = {u: sorted(sequences[u])[-length:] for u in users}
        rows = pa.table(
            {
                "user_index": pa.array(users, pa.int32()),
                "item_indices": pa.array(
                    [[i for _, i in kept[u]] for u in users], pa.list_(pa.int32())
                ),
                "event_timestamps": pa.array(
                    [[t.item().replace(tzinfo=UTC) for t, _ in kept[u]] for u in users],
                    pa.list_(pa.timestamp("us", tz="UTC")),
                ),
            }
        )
        _put(lake, USER_SEQUENCES, number, rows)


def _fold(
    lake: Lake,
    table: Table,
    entity: str,
    ids: np.ndarray,
    log: Log,
    events: np.ndarray,
    first: str,
    last: str,
) -> None:
    half_lives = np.array(HALF_LIVES_DAYS, dtype=float)
    size = int(ids.max()) + 1
    state = np.zeros((size, len(STATISTICS), len(half_lives)))
    earliest = np.full(size, np.datetime64(datetime(2200, 1, 1), "us"))
    latest = np.full(size, np.datetime64(datetime(1970, 1, 1), "us"))
    for number in range(ordinal(first), ordinal(last) + 1):
        today = np.flatnonzero(log.day == number)
        age = (np.datetime64(number + 1, "D").astype("datetime64[us]") - log.at[today]) / DAY
        state *= 0.5 ** (1 / half_lives)
        decay = 0.5 ** (age[:, None, None] / half_lives)
        np.add.at(state, ids[today], events[today][:, :, None] * decay)
        np.minimum.at(earliest, ids[today], log.at[today])
        np.maximum.at(latest, ids[today], log.at[today])
        base = lake.is_base_day(table, day_name(number))
        every = np.flatnonzero(latest > np.datetime64("1970-01-01"))
        rows = every if base else np.unique(ids[today])
        columns = {
            decayed(name, h): state[rows, i, j]
            for i, name in enumerate(STATISTICS)
            for j, h in enumerate(HALF_LIVES_DAYS)
        }
        table_rows = pa.table(
            {
                entity: rows.astype(np.int32),
                "first_event_timestamp": _instants(earliest[rows]),
                "last_event_timestamp": _instants(latest[rows]),
                **columns,
            }
        )
        _put(lake, table, number, table_rows)
