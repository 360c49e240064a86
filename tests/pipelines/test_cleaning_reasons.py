"""Each cleaning rule on rows of its own: one dirty day, cleaned once, looked at by many tests."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from pyspark.sql import SparkSession

from conf.pseudonym import pseudonym
from feature_store.tables import EVENTS, INTAKE, ITEMS, PROFILES, QUARANTINE
from tests.pipelines.workbench import KEY, MONDAY, Row, Workbench, by, dataset, event

pytestmark = pytest.mark.spark

NOON = f"{MONDAY} 12:00"
GOOD = event(NOON, "alice-0001", "i1", event_id="good", device="phone", value=2)


def _json(row: Row) -> bytes:
    return json.dumps(row).encode()


def _with(event_id: str, **changes: object) -> Row:
    """The good event with an id of its own and some fields changed; None takes a field away."""
    row = {**GOOD, "event_id": event_id, **changes}
    return {name: value for name, value in row.items() if value is not None}


CASES: dict[str, tuple[Row | bytes, str]] = {
    "good": (GOOD, "clean"),
    "trailing junk": (_json(_with("m1")) + b" retry", "malformed"),
    "two objects": (_json(_with("m2")) + _json(_with("m3")), "malformed"),
    "two objects with a comma": (_json(_with("m4")) + b"," + _json(_with("m5")), "malformed"),
    "an early bracket": (_json(_with("m6")) + b"] {}", "malformed"),
    "a truncated line": (_json(_with("m7"))[:-9], "malformed"),
    "an array": (b"[" + _json(_with("m8")) + b"]", "malformed"),
    "not JSON at all": (b"GET /index.html alice-0001 12345", "malformed"),
    "null": (b"null", "malformed"),
    "single quotes": (b"{'user_id': 'alice-0001'}", "malformed"),
    "bad bytes": (_json(_with("u1", device="@")).replace(b"@", b"\xff\xfe"), "invalid_utf8"),
    "an empty line": (b"", "blank_line"),
    "blanks": (b" \t ", "blank_line"),
    "no user": (_with("a1", user_id=None), "missing_user_id"),
    "an empty user": (_with("a2", user_id=" "), "missing_user_id"),
    "a null user": (_json({**GOOD, "event_id": "a3", "user_id": None}), "missing_user_id"),
    "a NaN user": (_json({**GOOD, "event_id": "a4", "user_id": float("nan")}), "missing_user_id"),
    "no item": (_with("b1", item_id=None), "missing_item_id"),
    "no user and no item": (_with("b2", user_id="", item_id=""), "missing_user_id"),
    "an unknown type": (_with("c1", event_type="hover"), "unknown_event_type"),
    "no type": (_with("c2", event_type=None), "unknown_event_type"),
    "no time": (_with("d1", event_timestamp=None), "bad_timestamp"),
    "a word for a time": (_with("d2", event_timestamp="yesterday"), "bad_timestamp"),
    "no offset": (_with("d3", event_timestamp=f"{MONDAY}T12:00:00"), "bad_timestamp"),
    "an impossible day": (_with("d4", event_timestamp="2026-02-30T12:00:00Z"), "bad_timestamp"),
    "a day only": (_with("d5", event_timestamp=MONDAY), "bad_timestamp"),
    "an endless epoch": (_with("d6", event_timestamp=1e300), "bad_timestamp"),
    "the last moment allowed": (_with("t1", event_timestamp="2026-01-06T00:10:00Z"), "clean"),
    "a moment later": (_with("t2", event_timestamp="2026-01-06T00:10:00.001Z"), "future_timestamp"),
    "two days late": (_with("t3", event_timestamp="2026-01-03T00:00:00Z"), "clean"),
    "later still": (_with("t4", event_timestamp="2026-01-02T23:59:59.999Z"), "too_late"),
    "value of text": (_with("v1", value="many"), "bad_value"),
    "value NaN": (_json({**GOOD, "event_id": "v2", "value": float("nan")}), "bad_value"),
    "value infinite": (_with("v3", value="Infinity"), "bad_value"),
    "value beyond doubles": (_with("v4", value="1e999"), "bad_value"),
    "half a position": (_with("v5", position=1.5), "bad_value"),
    "an id that JSON escapes": (
        _with("CORP\\alice-0001/7", user_id="CORP\\alice-0001", value="many"),
        "bad_value",
    ),
    "an id in JSON in a field": (
        _with("v7", user_id='al"ice-0001', device=r'{"who": "al\"ice-0001"}', value="many"),
        "bad_value",
    ),
    "an id where the line is cut": (
        _with("v8", request_id="x" * 300 + "alice-0001" * 30, value="many"),
        "bad_value",
    ),
    "value as text": (_with("v6", value=" 2.5 "), "clean"),
    "seen before": (_with("good", item_id="i9"), "duplicate"),
    "epoch seconds": (_with("e1", event_timestamp=1767614400), "clean"),
    "epoch milliseconds": (_with("e2", event_timestamp="1767614400000"), "clean"),
    "another offset": (_with("e3", event_timestamp="2026-01-05T17:30:00+05:30"), "clean"),
    "an offset without colon": (_with("e4", event_timestamp="2026-01-05 13:00:00.0+0100"), "clean"),
    "no seconds": (_with("e5", event_timestamp="2026-01-05T12:00Z"), "clean"),
    "a byte order mark": (b"\xef\xbb\xbf" + _json(_with("bom")), "clean"),
    "a return": (_json(_with("cr")) + b"\r", "clean"),
}

PROFILES_OF_THE_DAY: list[Row | bytes] = [
    {"user_id": "alice-0001", "updated_at": f"{MONDAY}T10:00:00Z", "gender": "f", "age": 40},
    {
        "user_id": "alice-0001",
        "updated_at": f"{MONDAY}T11:00:00Z",
        "gender": "x",
        "interests": ["b", "a", "b", " "],
    },
    {"user_id": "alice-0001", "updated_at": f"{MONDAY}T09:00:00Z", "gender": "old-secret"},
    {"user_id": "bob", "updated_at": "soon", "gender": "bad-secret"},
    {"updated_at": f"{MONDAY}T10:00:00Z"},
    {"user_id": "carol", "updated_at": f"{MONDAY}T10:00:00Z", "age": "old"},
    {"user_id": "dave", "updated_at": "2027-01-01T00:00:00Z"},
    b'{"user_id": "erin-private", "gender": "cut-sec',
]
ITEMS_OF_THE_DAY: list[Row | bytes] = [
    {
        "item_id": "i1",
        "updated_at": f"{MONDAY}T00:00:00Z",
        "available_from": "2026-01-06T00:00:00Z",
        "title": "A chair",
        "category": "home",
    },
    {"item_id": "i2", "updated_at": f"{MONDAY}T00:00:00Z", "available_until": "never"},
    {"updated_at": f"{MONDAY}T00:00:00Z"},
]


@dataclass(frozen=True)
class DirtyDay:
    """The day, cleaned."""

    bench: Workbench
    clean: dict[str, Row]
    """clean.events by event_id."""
    rejected: dict[tuple[str, int], Row]
    """The quarantine by (stream, line)."""


@pytest.fixture(scope="module")
def day(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DirtyDay:
    bench = Workbench(tmp_path_factory.mktemp("dirty"), dataset())
    # A bot limit that this day's one user does not reach.
    bench = Workbench(
        bench.root,
        dataset(cleaning=bench.dataset.cleaning.model_copy(update={"bot_events_per_day": 99})),
    )
    events = [row for row, _ in CASES.values()]
    bench.write(MONDAY, events, PROFILES_OF_THE_DAY, ITEMS_OF_THE_DAY)
    bench.run("clean_events", MONDAY)
    return DirtyDay(
        bench,
        by(bench.rows(EVENTS), "event_id"),
        by(bench.rows(QUARANTINE), "stream", "line"),
    )


@pytest.mark.parametrize("name", CASES)
def test_a_row_is_clean_or_rejected_for_its_reason(day: DirtyDay, name: str) -> None:
    line = list(CASES).index(name) + 1
    rejected = day.rejected.get(("events", line))
    assert (rejected["reason"] if rejected else "clean") == CASES[name][1]


def test_every_row_read_is_clean_or_has_one_reason(day: DirtyDay) -> None:
    intake = {(r["stream"], r["outcome"]): r["rows"] for r in day.bench.rows(INTAKE)}
    reasons = [reason for _, reason in CASES.values()]
    assert intake.pop(("events", "read")) == len(CASES)
    assert intake.pop(("profiles", "read")) == len(PROFILES_OF_THE_DAY)
    assert intake.pop(("items", "read")) == len(ITEMS_OF_THE_DAY)
    events = {outcome: n for (stream, outcome), n in intake.items() if stream == "events"}
    assert events == {reason: reasons.count(reason) for reason in set(reasons)}
    others = {key: n for key, n in intake.items() if key[0] != "events"}
    assert others == {
        ("profiles", "clean"): 1,
        ("profiles", "superseded"): 2,
        ("profiles", "bad_timestamp"): 1,
        ("profiles", "missing_user_id"): 1,
        ("profiles", "bad_value"): 1,
        ("profiles", "future_timestamp"): 1,
        ("profiles", "malformed"): 1,
        ("items", "clean"): 1,
        ("items", "bad_timestamp"): 1,
        ("items", "missing_item_id"): 1,
    }


def test_a_clean_event_has_its_fields(day: DirtyDay) -> None:
    good = day.clean["good"]
    assert good["event_timestamp"].isoformat() == f"{MONDAY}T12:00:00+00:00"
    assert good["user_id"] == pseudonym(KEY, "alice-0001")
    assert (good["item_id"], good["event_type"], good["event_ds"]) == ("i1", "click", MONDAY)
    assert (good["value"], good["position"], good["request_id"]) == (2.0, None, None)
    assert good["context"] == [("device", "phone")]


def test_an_event_of_a_fast_clock_belongs_to_the_day_on_which_it_arrived(day: DirtyDay) -> None:
    # That day's state holds it: it must not be read for the event itself.
    assert day.clean["t1"]["event_timestamp"].isoformat() == "2026-01-06T00:10:00+00:00"
    assert day.clean["t1"]["event_ds"] == MONDAY


@pytest.mark.parametrize("event_id", ["e1", "e2", "e3", "e4", "e5"])
def test_every_way_to_write_noon_is_noon(day: DirtyDay, event_id: str) -> None:
    assert day.clean[event_id]["event_timestamp"] == day.clean["good"]["event_timestamp"]


def test_the_latest_profile_of_a_day_wins(day: DirtyDay) -> None:
    (profile,) = day.bench.rows(PROFILES)
    assert profile["user_id"] == pseudonym(KEY, "alice-0001")
    assert profile["attr_gender"] == "x"
    assert profile["attr_interests"] == ["b", "a"]
    assert profile["attr_age"] is None


def test_an_item_keeps_its_availability(day: DirtyDay) -> None:
    (item,) = day.bench.rows(ITEMS)
    assert item["available_from"].isoformat() == "2026-01-06T00:00:00+00:00"
    assert (item["available_until"], item["attr_category"]) == (None, "home")


def test_the_quarantine_shows_the_fault_and_no_person(day: DirtyDay) -> None:
    lines = {row["masked_line"] for row in day.rejected.values()}
    everything = "\n".join(lines)
    assert all(len(line) <= 500 for line in lines)
    for secret in ("alice", "ice-0", "CORP", "bob", "carol", "dave", "erin", "secret"):
        assert secret not in everything
    unknown = day.rejected["events", list(CASES).index("an unknown type") + 1]
    assert json.loads(unknown["masked_line"])["event_type"] == "hover"
    assert json.loads(unknown["masked_line"])["user_id"] == "***"
    truncated = day.rejected["events", list(CASES).index("a truncated line") + 1]
    assert '"event_type": "***"' in truncated["masked_line"]


def test_no_raw_user_id_is_stored_anywhere(day: DirtyDay) -> None:
    for path in (day.bench.root / "lake").rglob("*"):
        if path.is_file():
            assert b"alice-0001" not in path.read_bytes()
