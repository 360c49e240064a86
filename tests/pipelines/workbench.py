"""A small raw zone and lake in a temporary folder, and the Spark steps run on them."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.cleaning import Cleaning
from conf.dataset import Attribute, DatasetConfig, Labels
from conf.fields import Stream
from conf.settings import FeatureSettings, Settings
from feature_store.lake import Lake
from feature_store.step import StepContext, StepResult, resolve
from feature_store.tables import Table
from pipelines.steps import STEPS

KEY = bytes.fromhex("00112233445566778899aabbccddeeff" * 2)
"""The key that tests/conftest.py puts into the environment."""
MONDAY = "2026-01-05"

Row = dict[str, Any]


def dataset(**changes: Any) -> DatasetConfig:
    """A shop with one attribute of each kind and one context field."""
    declared: dict[str, Any] = {
        "name": "bench",
        "user_attributes": (
            Attribute(name="gender", kind="categorical"),
            Attribute(name="interests", kind="multi"),
            Attribute(name="age", kind="numeric", bins=(18, 30)),
        ),
        "item_attributes": (Attribute(name="category", kind="categorical"),),
        "context": ("device",),
        "positive": {"click": 1.0, "purchase": 3.0},
        "labels": Labels(kind="impressions", attribution_window_minutes=60),
        "cleaning": Cleaning(lateness_days=2, future_tolerance_minutes=10, bot_events_per_day=5),
    }
    return DatasetConfig(**{**declared, **changes})


def event(at: str, user: str, item: str, kind: str = "click", **others: Any) -> Row:
    """One raw event; `at` is "2026-01-05 10:00" in UTC."""
    stamp = f"{at.replace(' ', 'T')}:00+00:00"
    return {
        "event_timestamp": stamp,
        "user_id": user,
        "item_id": item,
        "event_type": kind,
        **others,
    }


@dataclass(frozen=True)
class Workbench:
    """One dataset's raw zone and lake under `root`."""

    root: Path
    dataset: DatasetConfig
    sequence_length: int = 3

    @property
    def settings(self) -> Settings:
        return Settings(
            home=str(self.root / "home"),
            raw=str(self.root / "raw"),
            lake=str(self.root / "lake"),
            dataset=self.dataset.name,
            features=FeatureSettings(sequence_length=self.sequence_length),
        )

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "lake", self.dataset)

    def folder(self, stream: Stream, ds: str) -> Path:
        folder = self.root / "raw" / stream / f"ds={ds}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(
        self,
        ds: str,
        events: Iterable[Row | bytes] = (),
        profiles: Iterable[Row | bytes] = (),
        items: Iterable[Row | bytes] = (),
        name: str = "part-0.jsonl",
    ) -> None:
        """The raw day `ds` as JSON lines; bytes are written as they are."""
        streams: dict[Stream, Iterable[Row | bytes]] = {
            "items": items,
            "profiles": profiles,
            "events": events,
        }
        for stream, rows in streams.items():
            lines = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows]
            content = b"".join(line + b"\n" for line in lines)
            packed = gzip.compress(content) if name.endswith(".gz") else content
            folder = self.folder(stream, ds)
            (folder / name).write_bytes(packed)
            (folder / "_SUCCESS").touch()

    def run(self, step: str, *days: str) -> StepResult:
        """Run one step for one day, or for several at once."""
        entry = {declared.name: declared.entry for declared in STEPS}[step]
        return resolve(entry)(StepContext(days, self.lake, self.dataset, self.settings))

    def run_all(self, *days: str) -> None:
        """Run every Spark step for one day, or for several at once."""
        for step in STEPS[1:]:
            self.run(step.name, *days)

    def rows(self, table: Table, *days: str) -> list[Row]:
        """The rows of `days` (default: all), in an order of their own."""
        wanted = days or tuple(self.lake.days(table))
        rows = self.lake.read(table, wanted).to_pylist()
        return sorted(rows, key=lambda row: json.dumps(_key(row), default=str))


def _key(row: Row) -> Row:
    return {name: value for name, value in row.items() if not isinstance(value, float)}


def assert_same_rows(actual: Sequence[Row], expected: Sequence[Row]) -> None:
    """The same rows in the same order; floats within 1e-9."""
    assert len(actual) == len(expected)
    for found, wanted in zip(actual, expected, strict=True):
        assert found.keys() == wanted.keys()
        different = {n: (found[n], wanted[n]) for n in found if not _same(found[n], wanted[n])}
        assert not different, different


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-12)
    return bool(found == wanted)


def by(rows: Iterable[Mapping[str, Any]], *keys: str) -> dict[Any, Row]:
    """The rows by the values of `keys`."""
    return {
        tuple(row[k] for k in keys) if len(keys) > 1 else row[keys[0]]: dict(row) for row in rows
    }
