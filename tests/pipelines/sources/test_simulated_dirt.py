"""The truth's counts against a second reading of the files that shares no code with the first."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.sources.simulator import DirtRates, SimulationSettings, simulate

DAYS = [f"2026-01-{day:02d}" for day in range(1, 13)]
DIRTY = SimulationSettings(
    users=250,
    items=80,
    seed=5,
    world_start=date(2026, 1, 1),
    dirt=DirtRates(
        duplicate=0.02,
        redelivered=0.02,
        malformed=0.03,
        missing_user_id=0.01,
        missing_item_id=0.01,
        unknown_event_type=0.01,
        bad_timestamp=0.01,
        future_timestamp=0.01,
        late=0.03,
        far_late=0.01,
        bot_day=0.4,
        bot_events=1500,
    ),
)
TYPES = {"impression", "click", "favourite", "purchase"}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dirty")
    simulate(folder, DAYS[0], DAYS[-1], DIRTY)
    return folder


def _lines(raw: Path, ds: str) -> list[bytes]:
    parts = sorted((raw / "events" / f"ds={ds}").glob("part-*"))
    return [line for part in parts for line in gzip.decompress(part.read_bytes())[:-1].split(b"\n")]


def _truth(raw: Path, ds: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((raw / "_truth" / f"ds={ds}.json").read_text())
    return content


def _malformed(line: bytes) -> str | None:
    if not line.strip():
        return "malformed_blank"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "malformed_bad_utf8"
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError:
        return "malformed_truncated"
    if not text[end:]:
        return None
    return "malformed_two_objects" if text[end:].startswith("{") else "malformed_trailing_junk"


def _wrong_value(row: dict[str, Any], ds: str) -> str | None:
    for field in ("user_id", "item_id"):
        if not row.get(field):
            return f"missing_{field}"
    if row["event_type"] not in TYPES:
        return "unknown_event_type"
    try:
        happened = datetime.fromisoformat(row["event_timestamp"])
    except (TypeError, ValueError):
        return "bad_timestamp"
    midnight = datetime.fromisoformat(ds).replace(tzinfo=UTC)
    if happened > midnight + timedelta(days=1, minutes=10):
        return "future_timestamp"
    return "far_late" if happened < midnight - timedelta(days=2) else None


def test_every_line_is_counted_once_and_under_what_is_wrong_with_it(raw: Path) -> None:
    seen: dict[str, set[bytes]] = {}
    for ds in DAYS:
        lines, truth = _lines(raw, ds), _truth(raw, ds)
        counts: Counter[str] = Counter()
        seen[ds] = set()
        parsed = [(line, _malformed(line)) for line in lines]
        users = Counter(json.loads(line)["user_id"] for line, wrong in parsed if not wrong)
        for line, malformed in parsed:
            row = {} if malformed else json.loads(line)
            reason = malformed or _wrong_value(row, ds)
            if reason is None and users[row["user_id"]] > 1000:
                reason = "bot"
            if reason is None and any(line in seen[day] for day in seen if day != ds):
                reason = "redelivered"
            if reason is None and line in seen[ds]:
                reason = "duplicate"
            seen[ds].add(line)
            counts[reason or f"clean {row['event_type']}"] += 1
        clean = {kind: counts.pop(f"clean {kind}", 0) for kind in truth["clean"]}
        assert clean == truth["clean"], ds
        assert dict(sorted(counts.items())) == truth["dirt"], ds
        assert len(lines) == truth["lines"] == sum(clean.values()) + sum(counts.values())


def test_every_kind_of_dirt_occurs(raw: Path) -> None:
    total: Counter[str] = Counter()
    for ds in DAYS:
        total.update(_truth(raw, ds)["dirt"])
    assert set(total) == {
        "bad_timestamp",
        "bot",
        "duplicate",
        "far_late",
        "future_timestamp",
        "malformed_bad_utf8",
        "malformed_blank",
        "malformed_trailing_junk",
        "malformed_truncated",
        "malformed_two_objects",
        "missing_item_id",
        "missing_user_id",
        "redelivered",
        "unknown_event_type",
    }


def test_late_events_are_clean_and_counted(raw: Path) -> None:
    before = set(_lines(raw, DAYS[0]))
    for ds in DAYS[1:]:
        lines = set(_lines(raw, ds))
        rows = [json.loads(line) for line in lines - before if not _malformed(line)]
        late = [row for row in rows if not _wrong_value(row, ds) and row["event_timestamp"] < ds]
        assert len(late) == _truth(raw, ds)["late"] > 0
        before = lines


def test_duckdb_counts_the_same_slates_as_the_truth(raw: Path) -> None:
    """By the day of the slate, over all arrival days: what was shown, whenever it arrived."""
    (shown, clicked) = duckdb.sql(
        f"""
        select count(distinct (request_id, item_id)) filter (event_type = 'impression'),
               count(distinct (request_id, item_id)) filter (event_type = 'click')
        from read_json('{raw}/events/ds=*/part-*', format='newline_delimited', ignore_errors=true,
                       columns={{'request_id': 'VARCHAR', 'item_id': 'VARCHAR',
                                 'user_id': 'VARCHAR', 'event_type': 'VARCHAR'}})
        where request_id like 'r20260104-%' and user_id <> '' and item_id is not null
        """  # noqa: S608
    ).fetchall()[0]
    truth = _truth(raw, "2026-01-04")
    assert (shown, clicked) == (truth["impressions"], truth["clicks"])


def test_the_overview_holds_every_day_and_the_planted_drifts(raw: Path) -> None:
    overview = json.loads((raw / "_truth" / "drift.json").read_text())
    assert overview["planted"] == []
    assert overview["days"] == {ds: _truth(raw, ds) for ds in DAYS}


def test_dirt_can_be_turned_off(tmp_path: Path) -> None:
    none = DirtRates.model_validate(
        {name: 0 for name in DirtRates.model_fields if name != "far_late_days"}
    )
    summary = simulate(tmp_path, DAYS[0], DAYS[2], DIRTY.model_copy(update={"dirt": none}))
    assert summary.dirt == {}
    lines = [line for ds in DAYS[:3] for line in _lines(tmp_path, ds)]
    assert len(set(lines)) == len(lines) == summary.events
    assert all(json.loads(line)["event_id"] for line in lines)
