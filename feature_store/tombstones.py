"""Tombstones: who is forgotten, and how far that has come.

A tombstone names a pseudonym for good: whoever reads raw data drops what belongs to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa

from feature_store.lake import Lake
from feature_store.tables import FORGOTTEN

LINEAGE = {"step": "forget"}
"""What the commits of a request to be forgotten say of themselves."""


@dataclass(frozen=True)
class Tombstone:
    """One row of table `forgotten`."""

    ds: str
    user_id: str
    """The pseudonym."""
    requested_at: datetime
    reason: str
    state: Literal["begun", "done"] = "begun"
    finished_at: datetime | None = None
    removed: Mapping[str, int] = field(default_factory=dict)
    """Rows by table key."""
    model_versions: tuple[int, ...] = ()
    raw_days: tuple[str, ...] = ()
    """Days whose raw files hold the user; kept until the tombstone is done."""


def forgotten_users(lake: Lake) -> list[str]:
    """The pseudonyms of all users with a tombstone, ascending. No file is read for it."""
    delta = lake.delta(FORGOTTEN)
    return [] if delta is None else sorted({part["user_id"] for part in delta.partitions()})


def tombstones(lake: Lake) -> list[Tombstone]:
    """All tombstones, by pseudonym."""
    rows = lake.read(FORGOTTEN, lake.days(FORGOTTEN)).sort_by("user_id").to_pylist()
    return [
        Tombstone(
            **{
                **row,
                "removed": json.loads(row["removed"]),
                "model_versions": tuple(json.loads(row["model_versions"])),
                "raw_days": tuple(json.loads(row["raw_days"])),
            }
        )
        for row in rows
    ]


def tombstone_of(lake: Lake, user_id: str) -> Tombstone | None:
    """The tombstone of a pseudonym, or None."""
    return next((found for found in tombstones(lake) if found.user_id == user_id), None)


def put_tombstone(lake: Lake, tombstone: Tombstone) -> None:
    """Write `tombstone` in the place of the one that its user has."""
    row = {
        **{name: getattr(tombstone, name) for name in tombstone.__dataclass_fields__},
        "removed": json.dumps(dict(tombstone.removed), sort_keys=True),
        "model_versions": json.dumps(sorted(tombstone.model_versions)),
        "raw_days": json.dumps(sorted(tombstone.raw_days)),
    }
    rows = pa.Table.from_pylist([row], lake.schema(FORGOTTEN))
    partition = {"ds": tombstone.ds, "user_id": tombstone.user_id}
    lake.replace(FORGOTTEN, partition, rows, LINEAGE)


def drop_earlier_states(lake: Lake, tombstone: Tombstone) -> None:
    """Delete what the tombstone said before: a done one does not tell the user's days."""
    current = {Path(uri) for uri in lake.file_uris(FORGOTTEN, [tombstone.ds])}
    folder = Path(lake.uri(FORGOTTEN), f"ds={tombstone.ds}", f"user_id={tombstone.user_id}")
    for path in set(folder.glob("*.parquet")) - current:
        path.unlink(missing_ok=True)
