"""Poison is made of whatever format the raw zone has, and is the same for the same seed."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from conf.dataset import load_dataset
from conf.fields import STREAMS
from dayfold.poison import material_of, write_poisoned_day
from feature_store.raw_zone import RawZone

DATASET = load_dataset("simulated")
DAY, NEXT = "2026-01-31", "2026-02-01"


def _zone(root: Path) -> RawZone:
    """A day whose events are Parquet, profiles packed CSV, items packed JSON."""
    for stream in STREAMS:
        (root / stream / f"ds={DAY}").mkdir(parents=True)
    at = datetime(2026, 1, 31, 9, 30)
    events = [
        {"event_timestamp": at, "user_id": f"u{n}", "item_id": "i1", "event_type": "impression"}
        for n in range(16)
    ]
    pq.write_table(pa.Table.from_pylist(events), root / f"events/ds={DAY}/part-0.parquet")
    with gzip.open(root / f"profiles/ds={DAY}/part-0.csv.gz", "wt") as file:
        file.write("user_id,updated_at,interests\nu1,2026-01-30T00:00:00Z,a|b\nu2,,c,too many\n")
    item = {"item_id": "i1", "updated_at": "2026-01-30T00:00:00Z", "tags": ["x", "y"]}
    lines = [json.dumps(item), "{broken", "[1]"]
    with pa.output_stream(str(root / f"items/ds={DAY}/part-0.jsonl.zst")) as packed:
        packed.write("\n".join(lines).encode())
    return RawZone(root)


def _written(zone: RawZone, root: Path, seed: int) -> dict[str, list[dict[str, object]]]:
    material = material_of(zone, DATASET, DAY, DAY, DAY)
    write_poisoned_day(root, NEXT, material, DATASET, seed)
    lines = {
        s: (root / s / f"ds={NEXT}/part-00000.jsonl").read_text().splitlines() for s in STREAMS
    }
    return {stream: [json.loads(line) for line in rows[:-1]] for stream, rows in lines.items()}


def test_every_format_becomes_poison(tmp_path: Path) -> None:
    rows = _written(_zone(tmp_path / "raw"), tmp_path / "poison", 7)
    answers = [row for row in rows["events"] if "answer" in str(row.get("event_id"))]
    assert {row["user_id"] for row in answers} == {f"u{n}" for n in range(16)}
    assert {row["event_timestamp"] for row in answers} == {"2026-01-31T09:30:00+00:00"}
    assert {row["event_type"] for row in answers} <= set(DATASET.positive)
    assert len(rows["events"]) == 16 * 2 + 3 * 2
    assert [row["user_id"] for row in rows["profiles"]] == ["u1", "u2", "!", "~"]
    assert {row["interests"] for row in rows["profiles"]} == {"a|b", "c"}
    assert [row["item_id"] for row in rows["items"]] == ["i1", "!", "~"]
    assert rows["items"][0]["tags"] == ["x", "y"]


def test_the_same_seed_gives_the_same_poison_and_another_one_another(tmp_path: Path) -> None:
    zone = _zone(tmp_path / "raw")
    first, again, other = (
        _written(zone, tmp_path / name, seed) for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert first == again
    assert first["events"] != other["events"]
