"""A home of 12 closed days with two users of interest, and searches for what is left of one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from conf.settings import Settings
from dayfold.workplace import Workplace
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.ledger import close_day
from feature_store.online_vectors import Section, Vectors
from feature_store.tables import (
    EVENTS,
    EXAMPLES,
    INTAKE,
    QUARANTINE,
    RECOMMENDATIONS,
    TABLES,
    USER_SEQUENCES,
    USER_STATS,
    USERS,
    VOCABULARIES,
)
from tests.training.lake_fixture import small_dataset, small_lake
from tests.training.log_fixture import FIRST_DAY

ANNA, BERT = "u00009", "u00010"
"""What the small lake calls two users that are there from the first days on."""
DAYS = [shift(FIRST_DAY, n) for n in range(12)]
LAST = DAYS[-1]


def vectors(*users: str) -> Vectors:
    """A vector of one number for each of `users`."""
    ones = np.ones(len(users), np.int64)
    return Vectors(users, (Section("clicks", "float32"),), (ones[:, None],), (ones,))


def lists(ds: str) -> pa.Table:
    users = [ANNA, BERT, "*"]
    return pa.table(
        {
            "ds": [ds] * 3,
            "user_id": users,
            "rank": pa.array([1] * 3, pa.int32()),
            "item_id": ["i00002"] * 3,
            "score": [0.5] * 3,
            "source": ["model"] * 3,
            "model_version": pa.array([1] * 3, pa.int32()),
            "reason": ["because it is popular"] * 3,
        }
    )


def closed_lake(root: Path) -> Lake:
    """A lake of 12 closed days with lists, a replaced list, an intake, a rejected line."""
    lake = small_lake(root, per_day=120)
    for ds in DAYS:
        clean = lake.read(EVENTS, [ds]).num_rows
        outcomes = {"read": clean + 1, "clean": clean, "malformed": 1}
        intake = [{"stream": "events", "outcome": o, "rows": n} for o, n in outcomes.items()]
        lake.replace(INTAKE, {"ds": ds}, pa.Table.from_pylist(intake), {"step": "clean_events"})
        line = {"stream": "events", "file": "part-0.jsonl", "line": 1, "reason": "malformed"}
        rejected = pa.Table.from_pylist([line | {"masked_line": f"*** {ANNA} ***"}])
        lake.replace(QUARANTINE, {"ds": ds}, rejected, {"step": "clean_events"})
        lake.replace(RECOMMENDATIONS, {"ds": ds}, lists(ds), {"step": "recommend"})
        versions = {table.key: lake.version(table) for table in TABLES if lake.delta(table)}
        close_day(lake, ds, "published", "published", {}, versions)
    lake.replace(RECOMMENDATIONS, {"ds": LAST}, lists(LAST).slice(1), {"step": "recommend"})
    return lake


class SmallPlace(Workplace):
    """A workplace whose commits name no code (asking git takes longer than a test)."""

    def lineage(self) -> dict[str, str]:
        return {}


def at(home: Path) -> Workplace:
    return SmallPlace(Settings(home=str(home), dataset="small"), small_dataset())


def quiet(_: str) -> None:
    pass


def files_naming(root: Path, user_id: str) -> list[str]:
    """Files below `root` in whose bytes, or decompressed values, the text occurs."""
    return [
        str(path.relative_to(root))
        for path in sorted(root.rglob("*"))
        if path.is_file() and (user_id.encode() in path.read_bytes() or _values_name(path, user_id))
    ]


def _values_name(path: Path, user_id: str) -> bool:
    if path.suffix != ".parquet":
        return False
    with pq.ParquetFile(path) as file:
        return user_id in json.dumps(file.read().to_pylist(), default=str)


def index_of(lake: Lake, user_id: str) -> int:
    return next(
        row["id"]
        for row in lake.read(VOCABULARIES, lake.days(VOCABULARIES)).to_pylist()
        if row["field"] == "user_id" and row["value"] == user_id
    )


def files_with_index(lake: Lake, index: int) -> list[str]:
    """Parquet files of the tables keyed by user_index that hold this one, in any version."""
    found = []
    for table in (USERS, USER_STATS, USER_SEQUENCES, EXAMPLES):
        for path in Path(lake.uri(table)).rglob("*.parquet"):
            if (
                index
                in pq.read_table(path, columns=["user_index"], partitioning=None)[0].to_pylist()
            ):
                found.append(str(path))
    return found


def content(lake: Lake) -> dict[str, list[str]]:
    """The rows of all tables, whatever the order; times of closing aside."""
    return {
        table.key: sorted(
            json.dumps({k: v for k, v in row.items() if k != "closed_at"}, default=str)
            for row in lake.read(table, lake.days(table)).to_pylist()
        )
        for table in TABLES
        if lake.delta(table) is not None
    }
