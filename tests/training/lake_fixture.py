"""A small lake made with NumPy (no Spark): the same tables that the Spark steps write.

`small_lake(root)` has 8 users' worth of structure in a few thousand events over `days` days: users
and items have a hidden group, an item of the own group is liked more often, so that a scorer has
something to learn. Users and items are born over time; five in a hundred events arrive a day late.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from conf.dataset import Attribute, DatasetConfig, Labels
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import (
    ENCODED_ITEMS,
    EVENTS,
    EXAMPLES,
    ITEMS,
    USERS,
    VOCABULARIES,
    Table,
)
from tests.training.log_fixture import (
    FIRST_DAY,
    GROUPS,
    Log,
    day_name,
    put_day,
    simulated,
    utc,
)
from tests.training.state_fixture import write_states
from tests.training.taken_fixture import put_taken


def small_dataset(kind: str = "impressions") -> DatasetConfig:
    """A dataset with every kind of attribute and one context field."""
    valued = kind in {"threshold", "rating"}
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
        positive={"rating": 1.0} if valued else {"click": 1.0, "purchase": 1.0},
        labels=Labels(
            kind=kind,  # type: ignore[arg-type]
            threshold=4.0 if valued else None,
            scale=(1.0, 5.0) if kind == "rating" else None,
        ),
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
    log, label = simulated(generator, kind, days, users, items, per_day)
    first, last = FIRST_DAY, shift(FIRST_DAY, days - 1)
    write_entities(lake, log, generator)
    write_states(lake, log, first, last)
    write_examples(lake, log, label, generator)
    write_events(lake, log)
    return lake


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
    so_far: dict[Table, list[pa.Table]] = {VOCABULARIES: [], USERS: [], ENCODED_ITEMS: []}
    for number in range(first, int(log.day.max()) + 1):
        rows = small if number == first else []
        new = {f: known[born == number] for f, (known, born) in births.items()}
        rows = [*rows, *((f, f"{f[0]}{i:05d}", int(i)) for f, ids in new.items() for i in ids)]
        vocabulary = pa.table(
            {
                "field": pa.array([r[0] for r in rows], pa.string()),
                "value": pa.array([r[1] for r in rows], pa.string()),
                "id": pa.array([r[2] for r in rows], pa.int32()),
                "born_on": pa.array([day_name(number)] * len(rows), pa.string()),
            }
        )
        # a few users change their profile again
        again = births["user_id"][0][births["user_id"][1] < number]
        again = again[generator.random(len(again)) < 0.05]
        changed = np.concatenate([new["user_id"], again])
        of_day = {
            VOCABULARIES: vocabulary,
            USERS: _users(changed, number, generator),
            ENCODED_ITEMS: _items(new["item_id"], number),
        }
        for table, today in of_day.items():
            so_far[table].append(today)
            base = lake.is_base_day(table, day_name(number))
            put_day(lake, table, number, pa.concat_tables(so_far[table]) if base else today)
        put_day(lake, ITEMS, number, _clean_items(new["item_id"], number))


def _users(ids: np.ndarray, number: int, generator: np.random.Generator) -> pa.Table:
    start = np.full(len(ids), np.datetime64(int(number), "D"))
    return pa.table(
        {
            "user_index": ids.astype(np.int32),
            "valid_from": utc(start),
            "attr_age": generator.integers(1, 5, len(ids)).astype(np.int32),
            "attr_city": generator.integers(1, 5, len(ids)).astype(np.int32),
            "attr_interests": pa.array([[2 + int(i) % GROUPS] for i in ids], pa.list_(pa.int32())),
        }
    )


def _items(ids: np.ndarray, number: int) -> pa.Table:
    start = utc(np.full(len(ids), np.datetime64(int(number), "D")))
    return pa.table(
        {
            "item_index": ids.astype(np.int32),
            "valid_from": start,
            "available_from": start,
            "available_until": pa.nulls(len(ids), pa.timestamp("us", tz="UTC")),
            "text": [f"Item {i}. {'wxyz'[int(i) % GROUPS]}" for i in ids],
            "attr_category": (2 + ids % GROUPS).astype(np.int32),
            "attr_tags": pa.array(
                [sorted({2 + int(i) % 5, 2 + int(i) % 3})[: int(i) % 3] for i in ids],
                pa.list_(pa.int32()),
            ),
        }
    )


def _clean_items(ids: np.ndarray, number: int) -> pa.Table:
    start = utc(np.full(len(ids), np.datetime64(int(number), "D")))
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
                "event_timestamp": utc(part.at),
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
        put_day(lake, EVENTS, number, table)
        put_taken(lake, day_name(number))


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
                "event_timestamp": utc(part.at),
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
        put_day(lake, EXAMPLES, number, table)
