"""Rejected rows are shown without persons, and mended ones arrive on a later day."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from conf.cleaning import Cleaning
from conf.errors import ConfigError, MissingPartition, OrderError, SourceError
from dayfold.quarantine import rejected_lines, rejected_rows
from dayfold.quarantine_replay import copy_rows, replay_rows
from dayfold.rule_list import listed_rules, rule_table
from dayfold.workplace import Workplace
from feature_store.days import shift
from feature_store.ledger import close_day
from feature_store.tables import EVENTS, QUARANTINE
from pipelines.sources.raw_zone import write_day
from tests.pipelines.workbench import MONDAY, Row, Workbench, dataset, event

pytestmark = pytest.mark.spark
TUESDAY = shift(MONDAY, 1)
UNKNOWN = "unknown_event_type"


def hover(number: int) -> Row:
    return event(f"{MONDAY} 10:0{number}", "anna-1", "i1", "hover", event_id=f"h{number}")


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """A Monday whose log has an event type that nobody declared, in three formats."""
    shop = Workbench(tmp_path_factory.mktemp("quarantine"), dataset())
    good = event(f"{MONDAY} 10:09", "anna-1", "i1", event_id="good")
    shop.write(MONDAY, [good, hover(1), b"junk"], name="part-0.jsonl.gz")
    folder = shop.folder("events", MONDAY)
    text = io.StringIO()
    table = csv.DictWriter(text, list(good))
    table.writeheader()
    table.writerows([good | {"event_id": "good2"}, hover(2)])
    (folder / "part-1.csv").write_text(text.getvalue())
    stamped = [
        row | {"event_timestamp": datetime.fromisoformat(row["event_timestamp"])}
        for row in (hover(3), good | {"event_id": "good3"}, hover(4))
    ]
    pq.write_table(pa.Table.from_pylist(stamped), folder / "part-2.parquet")
    shop.run("clean_events", MONDAY)
    return shop


def place(shop: Workbench) -> Workplace:
    return Workplace(shop.settings, shop.dataset)


def test_rejected_rows_are_listed_by_reason_without_persons(cleaned: Workbench) -> None:
    rows = rejected_rows(place(cleaned), MONDAY, UNKNOWN)
    assert [(row["file"], row["line"]) for row in rows] == [
        ("part-0.jsonl.gz", 2),
        ("part-1.csv", 3),  # its first line is the header
        ("part-2.parquet", 1),
        ("part-2.parquet", 3),
    ]
    assert len(rejected_rows(place(cleaned), MONDAY, None)) == 5
    shown = list(rejected_lines(MONDAY, rows, UNKNOWN, limit=2))
    assert shown[0] == f"{MONDAY}: events {UNKNOWN} 4"
    assert shown[1] == f"events/part-0.jsonl.gz:2  {UNKNOWN}"
    assert ["hover" in line for line in shown] == [False, False, True, False, True, False]
    assert shown[-1] == "2 of 4 rows; all of them: --limit 4, or --json"
    assert "anna" not in "".join(shown)
    nothing = list(rejected_lines(MONDAY, [], "bot", limit=2))
    assert nothing == [f"{MONDAY}: nothing rejected as bot"]


def test_the_rules_of_a_dataset_are_listed_with_its_own() -> None:
    own = {"stream": "events", "field": "value", "between": [0.5, 5], "event_types": ["rating"]}
    rules = {
        "stars": own | {"severity": "warn", "reason": "odd", "fail_above": 0.25},
        "bot": {"severity": "off"},
    }
    declared = dataset(cleaning=Cleaning.model_validate({"rules": rules}))
    listed = {(row["stream"], row["rule"]): row for row in listed_rules(declared)}
    assert listed["events", "stars"] == {
        "stream": "events",
        "rule": "stars",
        "reason": "odd",
        "severity": "warn",
        "requires": "0.5 <= value <= 5 (rating only)",
        "warn_above": None,
        "fail_above": 0.25,
    }
    assert listed["events", "bot"]["severity"] == "off"
    names = [name for stream, name in listed if stream == "events"]
    assert names.index("bad_value") < names.index("stars") < names.index("duplicate")
    console = Console(width=120, file=io.StringIO())
    console.print(rule_table(declared))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "stars (odd)" in shown
    assert "fail_above 0.25" in shown


def test_rows_arrive_again_once_their_type_is_declared(cleaned: Workbench) -> None:
    later = replace(cleaned, dataset=dataset(further_event_types=("hover",)))
    later.write(TUESDAY, [event(f"{TUESDAY} 09:00", "anna-1", "i1", event_id="next")])
    for _ in range(2):
        said = replay_rows(place(later), MONDAY, TUESDAY, UNKNOWN, None)
    assert f"4 rows rejected as {UNKNOWN} on {MONDAY} arrive on {TUESDAY}" in said
    later.run("clean_events", TUESDAY)
    arrived = {row["event_id"]: row["event_ds"] for row in later.rows(EVENTS, TUESDAY)}
    assert arrived == {"next": TUESDAY} | {f"h{n}": MONDAY for n in (1, 2, 3, 4)}
    assert later.rows(QUARANTINE, TUESDAY) == []
    assert len(later.rows(QUARANTINE, MONDAY)) == 5


def test_a_day_that_is_written_after_a_replay_keeps_it(cleaned: Workbench) -> None:
    wednesday = shift(MONDAY, 2)
    replay_rows(place(cleaned), MONDAY, wednesday, UNKNOWN, None)
    folder = cleaned.folder("events", wednesday)
    before = {path.name for path in folder.glob("part-replay-*")}
    write_day(cleaned.root / "raw", "events", wednesday, [b"{}"])
    after = {path.name for path in folder.glob("part-*")}
    assert len(before) == 3
    assert after == before | {"part-00000.jsonl.gz"}


def test_a_row_is_found_where_lines_end_in_another_way(tmp_path: Path) -> None:
    source, target = tmp_path / "part-0.csv", tmp_path / "part-1.csv"
    source.write_bytes(b"item_id\ra\r\nb\n\xff\rd")
    copy_rows(source, [3, 4], target)
    assert target.read_bytes() == b"item_id\nb\n\xff\n"


def test_rows_of_a_file_that_has_changed_are_not_guessed(cleaned: Workbench) -> None:
    file = cleaned.folder("events", MONDAY) / "part-1.csv"
    before = file.read_bytes()
    file.write_bytes(before.replace(b"good2", b"good3"))
    with pytest.raises(SourceError, match=r"part-1\.csv is gone or has changed.*--file"):
        replay_rows(place(cleaned), MONDAY, TUESDAY, UNKNOWN, None)
    file.write_bytes(before)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"user_id":"u1"}\n\n{"user_id":"***"}\n', "row 2: this is a row as the quar"),
        ("a.jsonl", '{"user_id":"u1","context":{"device":"tv"}}\n', "row 1: this is a row as"),
        ("a.csv", "item_id,user_id\ni1,u1\ni2,***\n", "row 2: this is a row as the quarantine"),
        ("a.jsonl", '{"user_id":"u1"}\n{"user_id":', "after row 1: cannot be read"),
        ("a.jsonl", "[1]\n", "row 1: expected an object"),
        ("a.jsonl.gz", "no gzip", "after row 0: cannot be read"),
        ("a.parquet", "no parquet", "after row 0: cannot be read"),
    ],
)
def test_rows_as_the_quarantine_shows_them_are_not_taken_in(
    cleaned: Workbench, tmp_path: Path, name: str, content: str, said: str
) -> None:
    wednesday = shift(MONDAY, 2)
    (tmp_path / name).write_text(content)
    folder = cleaned.folder("events", wednesday)
    before = set(folder.iterdir())
    with pytest.raises(SourceError, match=said):
        replay_rows(place(cleaned), MONDAY, wednesday, None, tmp_path / name)
    assert set(folder.iterdir()) == before


def test_a_rule_that_warns_has_no_rows_in_the_quarantine(cleaned: Workbench) -> None:
    rules = {"seen": {"stream": "events", "field": "value", "between": [0, 1], "severity": "warn"}}
    warned = replace(cleaned, dataset=dataset(cleaning=Cleaning.model_validate({"rules": rules})))
    with pytest.raises(ConfigError, match=r"seen: this rule has severity `warn`.*dayfold status"):
        rejected_rows(place(warned), MONDAY, "seen")
    with pytest.raises(ConfigError, match=r"'odd' is not known: .*dayfold quarantine rules"):
        rejected_rows(place(warned), MONDAY, "odd")


def test_rows_of_a_rule_that_is_gone_are_listed_and_taken_in_again(cleaned: Workbench) -> None:
    def under(**rule: object) -> Workbench:
        rules = {"no_rival": {"stream": "events", "field": "item_id", "one_of": ["i9"], **rule}}
        declared = dataset(cleaning=Cleaning.model_validate({"rules": rules}))
        return replace(cleaned, dataset=declared)

    ruled = under()
    ruled.run("clean_events", MONDAY)
    rejected = rejected_rows(place(ruled), MONDAY, "no_rival")
    assert rejected
    again = replay_rows(place(ruled), MONDAY, shift(MONDAY, 1), "no_rival", None)
    assert again.startswith("cleaning.rules.no_rival is on: rows that break it come back. ")
    for later in (cleaned, under(severity="off"), under(severity="warn")):
        assert rejected_rows(place(later), MONDAY, "no_rival") == rejected
        said = replay_rows(place(later), MONDAY, shift(MONDAY, 1), "no_rival", None)
        assert f"{len(rejected)} rows rejected as no_rival" in said


def test_a_refused_replay_delivers_nothing(cleaned: Workbench) -> None:
    file = cleaned.folder("events", MONDAY) / "part-1.csv"
    before = file.read_bytes()
    file.write_bytes(before + b"\n")
    wednesday = shift(MONDAY, 2)
    folder = cleaned.folder("events", wednesday)
    found = set(folder.glob("*")) if folder.exists() else None
    with pytest.raises(SourceError, match="has changed"):
        replay_rows(place(cleaned), MONDAY, wednesday, UNKNOWN, None)
    file.write_bytes(before)
    assert (set(folder.glob("*")) if folder.exists() else None) == found


def test_what_is_replayed_next_leaves_what_was_replayed_before(
    cleaned: Workbench, tmp_path: Path
) -> None:
    wednesday = shift(MONDAY, 2)
    for name, number in (("a.jsonl", 8), ("b.jsonl", 9)):
        mended = tmp_path / name
        mended.write_text(json.dumps(hover(number) | {"event_type": "click"}))
        for _ in range(2):
            replay_rows(place(cleaned), MONDAY, wednesday, None, mended)
    for reason in (UNKNOWN, "malformed"):
        replay_rows(place(cleaned), MONDAY, wednesday, reason, None)
    cleaned.write(wednesday)
    cleaned.run("clean_events", wednesday)
    assert {"h8", "h9"} <= {row["event_id"] for row in cleaned.rows(EVENTS, wednesday)}
    rejected = [row["reason"] for row in cleaned.rows(QUARANTINE, wednesday)]
    assert (rejected.count(UNKNOWN), rejected.count("malformed")) == (4, 1)


def test_rows_mended_by_hand_arrive_too(cleaned: Workbench, tmp_path: Path) -> None:
    wednesday = shift(MONDAY, 2)
    mended = tmp_path / "mended.jsonl.gz"
    mended.write_bytes(gzip.compress(json.dumps(hover(7) | {"event_type": "click"}).encode()))
    cleaned.write(wednesday)
    replay_rows(place(cleaned), MONDAY, wednesday, None, mended)
    cleaned.run("clean_events", wednesday)
    assert "h7" in {row["event_id"] for row in cleaned.rows(EVENTS, wednesday)}


def test_what_cannot_be_taken_in_again_is_refused(cleaned: Workbench, tmp_path: Path) -> None:
    closed = shift(MONDAY, 9)
    close_day(cleaned.lake, closed, "published", "", {}, {})
    workplace = place(cleaned)
    with pytest.raises(OrderError, match=f"{closed} is published"):
        replay_rows(workplace, MONDAY, closed, UNKNOWN, None)
    with pytest.raises(ConfigError, match="must be a day after"):
        replay_rows(workplace, MONDAY, MONDAY, UNKNOWN, None)
    with pytest.raises(ConfigError, match=r"lateness_days \(2\)"):
        replay_rows(workplace, MONDAY, shift(MONDAY, 3), UNKNOWN, None)
    with pytest.raises(ConfigError, match=r"either --reason .* or --file"):
        replay_rows(workplace, MONDAY, shift(MONDAY, 3), None, None)
    with pytest.raises(ConfigError, match=r"'hover' is not known.*orphan_click"):
        rejected_rows(workplace, MONDAY, "hover")
    with pytest.raises(MissingPartition, match="was not cleaned"):
        rejected_rows(workplace, shift(MONDAY, 20), None)
    with pytest.raises(SourceError, match="no such file"):
        replay_rows(workplace, MONDAY, shift(MONDAY, 3), None, tmp_path / "none.jsonl")
