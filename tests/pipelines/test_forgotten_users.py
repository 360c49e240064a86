"""Cleaning takes nothing of a forgotten user in, whichever way the rows come."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conf.errors import ConfigError
from conf.pseudonym import pseudonym
from dayfold.forget import forget
from dayfold.quarantine_replay import replay_rows
from dayfold.workplace import Workplace
from feature_store.days import shift
from feature_store.ledger import close_day
from feature_store.tables import (
    EVENTS,
    INTAKE,
    PROFILES,
    QUARANTINE,
    TABLES,
    USER_STATS,
    VOCABULARIES,
)
from feature_store.tombstones import Tombstone, put_tombstone
from tests.dayfold.forget_fixture import files_naming
from tests.pipelines.workbench import KEY, MONDAY, Row, Workbench, assert_same_rows, dataset, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]
TUESDAY, WEDNESDAY = shift(MONDAY, 1), shift(MONDAY, 2)
ANNA, BERT, CLEO = "anna-0001", "bert-0001", "cleo-0001"
GONE = pseudonym(KEY, ANNA)


def tombstone(shop: Workbench, user: str = ANNA) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    put_tombstone(shop.lake, Tombstone("2026-03-01", pseudonym(KEY, user), now, "test"))


def profile(user: str, ds: str) -> Row:
    return {"user_id": user, "updated_at": f"{ds}T00:00:00Z", "gender": "female", "age": 31}


def day(ds: str, *users: str) -> list[Row]:
    """Two impressions and a click of each user, with ids that name the user."""
    return [
        event(f"{ds} 10:0{n}", user, f"i{n}", kind, event_id=f"{user}-{ds}-{n}{kind[0]}", value=n)
        for user in users
        for n, kind in ((1, "impression"), (2, "impression"), (2, "click"))
    ]


def test_rows_of_a_forgotten_user_leave_a_count_and_no_text(bench: Bench) -> None:
    shop = bench()
    broken = day(MONDAY, ANNA)[0] | {"item_id": None, "event_id": "x1"}
    junk = json.dumps(day(MONDAY, ANNA)[1]).encode() + b" retry"
    shop.write(MONDAY, [*day(MONDAY, ANNA, BERT), broken, junk], [profile(ANNA, MONDAY)])
    tombstone(shop)
    shop.run("clean_events", MONDAY)
    counts = {(r["stream"], r["outcome"]): r["rows"] for r in shop.rows(INTAKE, MONDAY)}
    of_events = {outcome: rows for (stream, outcome), rows in counts.items() if stream == "events"}
    assert of_events["read"] == 8 == sum(of_events.values()) - 8
    assert of_events["clean"] == 3
    assert of_events["forgotten"] >= 4
    assert counts["profiles", "forgotten"] == 1
    assert shop.rows(PROFILES, MONDAY) == []
    rejected = [r for r in shop.rows(QUARANTINE, MONDAY) if r["reason"] == "forgotten"]
    assert {row["masked_line"] for row in rejected} == {""}
    assert files_naming(Path(shop.lake.uri(EVENTS)).parent, ANNA) == []
    assert {row["user_id"] for row in shop.rows(EVENTS, MONDAY)} == {pseudonym(KEY, BERT)}


def test_a_tombstone_does_not_change_who_else_is_a_bot_or_a_duplicate(bench: Bench) -> None:
    with_anna, without = bench("with"), bench("without")
    many = [event(f"{MONDAY} 11:0{n}", ANNA, "i1", event_id=f"b{n}") for n in range(7)]
    others = day(MONDAY, BERT, CLEO)
    with_anna.write(MONDAY, [*others, *others[:2], *many])
    without.write(MONDAY, [*others, *others[:2]])
    for shop in (with_anna, without):
        tombstone(shop)
        shop.run("clean_events", MONDAY)
    assert_same_rows(with_anna.rows(EVENTS), without.rows(EVENTS))
    assert {r["reason"] for r in with_anna.rows(QUARANTINE)} == {"forgotten", "duplicate"}


@pytest.mark.slow
def test_forgotten_and_run_again_the_lake_is_the_same_and_other_ids_stay(bench: Bench) -> None:
    shop = bench()
    days = {MONDAY: (BERT, ANNA), TUESDAY: (ANNA, CLEO), WEDNESDAY: (BERT, ANNA, CLEO)}
    for ds, users in days.items():
        shop.write(ds, day(ds, *users), [profile(user, ds) for user in users])
    shop.run_all(MONDAY, TUESDAY)
    shop.run_all(WEDNESDAY)
    ids = {w["value"]: w["id"] for w in shop.rows(VOCABULARIES) if w["field"] == "user_id"}
    assert len(ids) == 3
    for ds in days:
        close_day(shop.lake, ds, "published", "", {})
    done = forget(Workplace(shop.settings, shop.dataset), GONE, "", lambda _: None)
    assert done.raw_days == tuple(days)
    assert done.removed[EVENTS.key] == 9
    forgotten = {table: shop.rows(table) for table in TABLES if shop.lake.delta(table)}
    users = {r["user_index"] for r in forgotten[USER_STATS]}
    assert users == set(ids.values()) - {ids[GONE]}
    # The raw files still hold the user: day by day, and in bulk over the day of birth.
    for again in ((MONDAY,), (TUESDAY,), (WEDNESDAY,), (MONDAY, TUESDAY)):
        shop.run_all(*again)
        words = {w["value"]: w["id"] for w in shop.rows(VOCABULARIES) if w["field"] == "user_id"}
        neutral = f"forgotten.{ids[GONE]}"
        assert words == {v: i for v, i in ids.items() if v != GONE} | {neutral: ids[GONE]}
        for table in (EVENTS, PROFILES, INTAKE, USER_STATS):
            assert_same_rows(shop.rows(table), forgotten[table])
        named = files_naming(shop.lake.root, GONE)
        assert all(name.startswith("clean/forgotten_v1/") for name in named)


def test_rows_that_are_taken_in_again_are_dropped_too(bench: Bench) -> None:
    shop = bench()
    hovers = [
        event(f"{MONDAY} 10:0{n}", user, "i1", "hover") for n, user in enumerate((ANNA, BERT))
    ]
    shop.write(MONDAY, hovers)
    shop.run("clean_events", MONDAY)
    later = replace(shop, dataset=dataset(further_event_types=("hover",)))
    place = Workplace(later.settings, later.dataset)
    tombstone(shop)
    later.write(TUESDAY)
    replay_rows(place, MONDAY, TUESDAY, "unknown_event_type", None)
    mended = later.root / "mended.jsonl.gz"
    mended.write_bytes(gzip.compress("\n".join(map(json.dumps, day(MONDAY, ANNA))).encode()))
    replay_rows(place, MONDAY, TUESDAY, None, mended)
    later.run("clean_events", TUESDAY)
    assert [row["user_id"] for row in later.rows(EVENTS)] == [pseudonym(KEY, BERT)]
    assert [row["reason"] for row in later.rows(QUARANTINE, TUESDAY)] == ["forgotten"] * 4
    with pytest.raises(ConfigError, match="never taken in again"):
        replay_rows(place, TUESDAY, WEDNESDAY, "forgotten", None)
