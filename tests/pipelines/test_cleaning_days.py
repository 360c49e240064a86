"""Cleaning rules that look at other rows and other days; re-runs; the oracle in DuckDB."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from conf.cleaning import Cleaning
from conf.errors import CheckFailed, SourceError
from conf.pseudonym import pseudonym
from feature_store.days import shift
from feature_store.tables import EVENTS, INTAKE, QUARANTINE
from pipelines import clean_events
from tests.pipelines.workbench import KEY, MONDAY, Row, Workbench, assert_same_rows, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]


def _ids(bench: Workbench, ds: str) -> set[str]:
    return {row["event_id"] for row in bench.rows(EVENTS, ds)}


def _reasons(bench: Workbench, ds: str) -> Counter[str]:
    return Counter(row["reason"] for row in bench.rows(QUARANTINE, ds))


def test_of_two_arrivals_the_first_by_file_and_line_is_kept(bench: Bench) -> None:
    shop = bench()
    first, second = (event(f"{MONDAY} 10:00", "u1", item, event_id="e") for item in ("i1", "i2"))
    shop.write(MONDAY, [second], name="part-1.jsonl")
    shop.write(MONDAY, [first, second], name="part-0.jsonl.gz")
    shop.run("clean_events", MONDAY)
    (kept,) = shop.rows(EVENTS)
    assert kept["item_id"] == "i1"
    rejected = [(r["file"], r["line"]) for r in shop.rows(QUARANTINE)]
    assert sorted(rejected) == [("part-0.jsonl.gz", 2), ("part-1.jsonl", 1)]


def test_a_rejected_row_does_not_make_a_later_one_a_duplicate(bench: Bench) -> None:
    shop = bench()
    bad = event(f"{MONDAY} 10:00", "u1", "i1", event_id="e", value="many")
    good = event(f"{MONDAY} 10:00", "u1", "i1", event_id="e", value=1)
    shop.write(MONDAY, [bad, good])
    shop.run("clean_events", MONDAY)
    assert _ids(shop, MONDAY) == {"e"}
    assert _reasons(shop, MONDAY) == {"bad_value": 1}


def test_without_an_id_equal_events_are_one(bench: Bench) -> None:
    shop = bench()
    once = event(f"{MONDAY} 10:00", "u1", "i1", device="phone")
    other_key_order = dict(reversed(once.items()))
    other_place = {**once, "device": "desk"}
    shop.write(MONDAY, [once, other_key_order, other_place])
    shop.run("clean_events", MONDAY)
    assert len(shop.rows(EVENTS)) == 2
    assert _reasons(shop, MONDAY) == {"duplicate": 1}


def test_an_event_that_comes_again_within_the_window_is_a_duplicate(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = bench()
    # Lateness is two days, so an arrival is remembered for three.
    days = [shift(MONDAY, n) for n in range(7)]
    arrivals = {0: "a", 2: "a", 3: "a", 4: "a", 6: "a"}
    for n, ds in enumerate(days):
        again = [event(f"{ds} 10:00", "u1", "i1", event_id=arrivals[n])] if n in arrivals else []
        shop.write(ds, [*again, event(f"{ds} 11:00", "u1", "i1", event_id=f"own{n}")])
        shop.run("clean_events", ds)
    accepted = [n for n, ds in enumerate(days) if "a" in _ids(shop, ds)]
    # 2 and 3 repeat 0; 4 does not, for what was rejected is not remembered; 6 repeats 4.
    assert accepted == [0, 4]
    together = bench("together")
    (together.root / "raw").parent.mkdir(parents=True)
    (together.root / "raw").symlink_to(shop.root / "raw")
    # Neither does it depend on how many there are.
    monkeypatch.setattr("pipelines.spark._FEW_ROWS", 0)
    together.run("clean_events", *days)
    assert_same_rows(together.rows(EVENTS), shop.rows(EVENTS))
    assert_same_rows(together.rows(QUARANTINE), shop.rows(QUARANTINE))


def test_a_user_above_the_limit_is_a_bot_for_that_day_only(bench: Bench) -> None:
    shop = bench()
    tuesday = shift(MONDAY, 1)
    # The limit is five; a repetition is not another event.
    busy = [event(f"{MONDAY} 10:0{n}", "busy", "i1", event_id=f"b{n}") for n in range(5)]
    bot = [event(f"{MONDAY} 10:0{n}", "bot", "i1", event_id=f"x{n}") for n in range(6)]
    shop.write(MONDAY, [*busy, busy[0], *bot])
    shop.write(tuesday, [event(f"{tuesday} 10:00", "bot", "i1", event_id="x0")])
    shop.run("clean_events", MONDAY)
    shop.run("clean_events", tuesday)
    assert _ids(shop, MONDAY) == {f"b{n}" for n in range(5)}
    assert _reasons(shop, MONDAY) == {"bot": 6, "duplicate": 1}
    assert _ids(shop, tuesday) == {"x0"}


def test_a_late_event_belongs_to_its_arrival_day_and_its_own_day(bench: Bench) -> None:
    shop = bench(time_zone="America/New_York")
    # 02:00 UTC is the evening before in New York.
    shop.write(MONDAY, [event(f"{MONDAY} 02:00", "u1", "i1")])
    shop.run("clean_events", MONDAY)
    (row,) = shop.rows(EVENTS)
    assert (row["ds"], row["event_ds"]) == (MONDAY, "2026-01-04")


def test_an_empty_day_is_recorded(bench: Bench) -> None:
    shop = bench()
    shop.write(MONDAY)
    shop.run("clean_events", MONDAY)
    intake = {(r["stream"], r["outcome"]): r["rows"] for r in shop.rows(INTAKE)}
    assert set(intake.values()) == {0}
    assert set(intake) >= {("events", "read"), ("items", "clean")}


def test_counts_that_do_not_add_up_stop_the_step(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = bench()
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", "i1")])
    monkeypatch.setattr(clean_events, "count_rows", lambda *_: {(MONDAY, "events"): 2})
    with pytest.raises(CheckFailed, match="read 2 rows of events, but wrote 1"):
        shop.run("clean_events", MONDAY)
    assert shop.rows(EVENTS) == []


# ---- the oracle --------------------------------------------------------------------------------

ORACLE = """
with lines as (
    select filename, row_number() over (partition by filename) as line, column0 as text
    from read_csv($files, columns={'column0': 'VARCHAR'}, delim='\x02', quote='', escape='',
                  header=false, filename=true, null_padding=false)
),
read as (
    select *, case when json_valid(text) then text::json end as row from lines
),
fields as (
    select filename, line, text, row,
        trim(row ->> 'user_id') as user_id, trim(row ->> 'item_id') as item_id,
        row ->> 'event_type' as event_type, row ->> 'event_id' as event_id,
        row ->> 'value' as value,
        try_cast(row ->> 'event_timestamp' as timestamptz) as moment
    from read
),
judged as (
    select *, case
        when row is null or json_type(row) <> 'OBJECT' then 'malformed'
        when coalesce(user_id, '') = '' then 'missing_user_id'
        when coalesce(item_id, '') = '' then 'missing_item_id'
        when coalesce(event_type, '') not in ('impression', 'click', 'purchase')
            then 'unknown_event_type'
        when moment is null then 'bad_timestamp'
        when moment > timestamptz '2026-01-06 00:10:00+00' then 'future_timestamp'
        when moment < timestamptz '2026-01-03 00:00:00+00' then 'too_late'
        when value is not null and not coalesce(isfinite(try_cast(value as double)), false)
            then 'bad_value'
    end as reason
    from fields
),
numbered as (
    select *, row_number() over (
        partition by reason is null, event_id order by filename, line) as nth
    from judged
),
unique_events as (
    select *, case when reason is null and nth > 1 then 'duplicate' else reason end as reason2
    from numbered
),
bots as (
    select user_id from unique_events where reason2 is null group by user_id having count(*) > 12
)
select coalesce(reason2, case when user_id in (select user_id from bots) then 'bot' end, 'clean'),
    count(*)
from unique_events group by 1
"""


def _dirty_line(number: int, dice: random.Random) -> bytes:
    user = f"user-{min(int(dice.expovariate(0.25)), 40):03d}"
    row: Row = event(f"{MONDAY} {dice.randrange(24):02d}:30", user, f"i{dice.randrange(9)}")
    row |= {"event_id": f"e{dice.randrange(900)}", "value": dice.randrange(5)}
    kind = dice.randrange(24)
    changes: dict[int, Row] = {
        0: {"user_id": ""},
        1: {"item_id": None},
        2: {"event_type": "hover"},
        3: {"event_timestamp": "soon"},
        4: {"event_timestamp": "2026-01-09T00:00:00+00:00"},
        5: {"event_timestamp": "2026-01-02T23:00:00+00:00"},
        6: {"value": "much"},
        7: {"value": "inf", "user_id": " "},
    }
    row |= changes.get(kind, {})
    line = json.dumps(row).encode()
    return {8: line[:-7], 9: line + b" x", 10: line + line}.get(kind, line)


@pytest.mark.parametrize("few_rows", [0, 200_000])
def test_counts_agree_with_duckdb(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_rows: int
) -> None:
    monkeypatch.setattr("pipelines.spark._FEW_ROWS", few_rows)
    dice = random.Random(20260105)
    lines = [_dirty_line(n, dice) for n in range(1_500)]
    limits = Cleaning(lateness_days=2, future_tolerance_minutes=10, bot_events_per_day=12)
    shop = bench(cleaning=limits)
    # A hundred events of one user, so that there is a bot whatever the dice say.
    bot = [event(f"{MONDAY} 09:00", "robot", "i1", event_id=f"r{n}") for n in range(100)]
    shop.write(MONDAY, lines[:700], name="part-0.jsonl")
    shop.write(MONDAY, [*lines[700:], *bot], name="part-1.jsonl.gz")
    for number in (0, 1):
        name = f"part-{number}.jsonl"
        packed = shop.folder("events", MONDAY) / f"{name}.gz"
        plain = shop.folder("events", MONDAY) / name
        content = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
        (tmp_path / f"oracle-{number}.txt").write_bytes(content)
    shop.run("clean_events", MONDAY)
    found = {r["outcome"]: r["rows"] for r in shop.rows(INTAKE) if r["stream"] == "events"}
    assert found.pop("read") == 1_600
    files = [str(tmp_path / f"oracle-{number}.txt") for number in (0, 1)]
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    expected = dict(connection.execute(ORACLE, {"files": files}).fetchall())
    assert found == expected
    assert len(expected) == 11


def test_an_id_of_the_log_that_holds_the_users_own_holds_the_pseudonym_instead(
    bench: Bench,
) -> None:
    shop = bench()
    named = event(f"{MONDAY} 10:00", "anna-1", "i1", event_id="anna-1/77", request_id="r-anna-1")
    other = event(f"{MONDAY} 10:01", "anna-1", "i1", event_id="e78", request_id="r-2")
    shop.write(MONDAY, [named, other, named])
    shop.run("clean_events", MONDAY)
    anna = pseudonym(KEY, "anna-1")
    rows = {row["event_id"]: row["request_id"] for row in shop.rows(EVENTS, MONDAY)}
    assert rows == {f"{anna}/77": f"r-{anna}", "e78": "r-2"}


def test_a_raw_file_that_is_cut_off_is_named_as_the_users_mistake(
    bench: Bench,
) -> None:
    shop = bench()
    shop.write(MONDAY, [event(f"{MONDAY} 10:0{n}", "anna-1", "i1") for n in range(9)])
    folder = shop.root / "raw" / "events" / f"ds={MONDAY}"
    whole = gzip.compress(b"".join(b'{"user_id": "u%d"}\n' % n for n in range(5000)))
    (folder / "part-99.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="gzip -t"):
        shop.run("clean_events", MONDAY)
    (folder / "part-99.jsonl.gz").unlink()
    (folder / "part-98.parquet").write_bytes(b"PAR1 not quite")
    with pytest.raises(SourceError, match="part-98"):
        shop.run("clean_events", MONDAY)
