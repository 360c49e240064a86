"""Events of items that nobody has named, and clicks on what was not shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conf.cleaning import Cleaning, RuleSettings
from conf.errors import CheckFailed
from feature_store.days import shift
from feature_store.tables import EVENTS, INTAKE, QUARANTINE
from tests.pipelines.workbench import MONDAY, Workbench, assert_same_rows, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]
TUESDAY = shift(MONDAY, 1)
BOTH = Cleaning(rules={"unknown_item": RuleSettings(), "orphan_click": RuleSettings()})


def shown(at: str, user: str, item: str, **others: Any) -> dict[str, Any]:
    return event(at, user, item, "impression", **others)


CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "shown": (MONDAY, shown(f"{MONDAY} 10:00", "u1", "i1", request_id="r1"), "clean"),
    "clicked": (MONDAY, event(f"{MONDAY} 11:00", "u1", "i1", request_id="r1"), "clean"),
    "clicked too late": (MONDAY, event(f"{MONDAY} 11:01", "u1", "i1"), "orphan_click"),
    "never shown": (MONDAY, event(f"{MONDAY} 10:30", "u2", "i1"), "orphan_click"),
    "bought unseen": (MONDAY, event(f"{MONDAY} 10:30", "u2", "i1", "purchase"), "clean"),
    "before midnight": (MONDAY, shown(f"{MONDAY} 23:50", "u3", "i1"), "clean"),
    "after midnight": (TUESDAY, event(f"{TUESDAY} 00:20", "u3", "i1"), "clean"),
    "a click of nothing": (MONDAY, event(f"{MONDAY} 10:00", "u4", "i9"), "unknown_item"),
    "a view of nothing": (MONDAY, shown(f"{MONDAY} 10:00", "u4", "i9"), "unknown_item"),
    "clicked first": (MONDAY, event(f"{MONDAY} 10:00", "u5", "i2"), "orphan_click"),
    "shown after": (MONDAY, shown(f"{MONDAY} 10:05", "u5", "i2"), "clean"),
    "one request": (MONDAY, shown(f"{MONDAY} 10:00", "u6", "i1", request_id="r8"), "clean"),
    "another": (MONDAY, event(f"{MONDAY} 10:10", "u6", "i1", request_id="r9"), "orphan_click"),
    "click on time": (MONDAY, event(f"{MONDAY} 12:10", "u7", "i1"), "orphan_click"),
    "its view late": (TUESDAY, shown(f"{MONDAY} 12:00", "u7", "i1"), "clean"),
    "not yet born": (MONDAY, shown(f"{MONDAY} 13:00", "u8", "i3"), "unknown_item"),
    "born": (TUESDAY, shown(f"{TUESDAY} 13:00", "u8", "i3"), "clean"),
}


def write(shop: Workbench) -> None:
    for ds, items in ((MONDAY, ("i1", "i2")), (TUESDAY, ("i3",))):
        events = [row | {"event_id": n} for n, (day, row, _) in CASES.items() if day == ds]
        catalogue = [{"item_id": item, "updated_at": f"{ds}T00:00:00Z"} for item in items]
        shop.write(ds, events, items=catalogue)


def test_a_click_needs_an_impression_and_an_event_an_item_as_known_on_its_day(
    bench: Bench,
) -> None:
    daily, bulk = bench("daily", cleaning=BOTH), bench("bulk", cleaning=BOTH)
    for shop in (daily, bulk):
        write(shop)
    daily.run("clean_events", MONDAY)
    daily.run("clean_events", TUESDAY)
    bulk.run("clean_events", MONDAY, TUESDAY)
    clean = {row["event_id"] for row in daily.rows(EVENTS)}
    assert clean == {name for name, (_, _, outcome) in CASES.items() if outcome == "clean"}
    outcomes = [outcome for _, _, outcome in CASES.values()]
    counted = {(r["ds"], r["outcome"]): r["rows"] for r in daily.rows(INTAKE)}
    for reason in ("orphan_click", "unknown_item"):
        assert counted[MONDAY, reason] == outcomes.count(reason)
        assert (TUESDAY, reason) not in counted
    for table in (EVENTS, QUARANTINE, INTAKE):
        assert_same_rows(bulk.rows(table), daily.rows(table))


def test_what_was_refused_is_no_duplicate_when_it_comes_again(bench: Bench) -> None:
    daily, bulk = bench("daily", cleaning=BOTH), bench("bulk", cleaning=BOTH)
    unborn = shown(f"{MONDAY} 13:00", "u8", "i3", event_id="unborn")
    early = event(f"{MONDAY} 12:10", "u7", "i1", event_id="early")
    view = shown(f"{MONDAY} 12:00", "u7", "i1", event_id="view")
    for shop in (daily, bulk):
        for ds, events, item in (
            (MONDAY, [unborn, early], "i1"),
            (TUESDAY, [unborn, early, view], "i3"),
        ):
            shop.write(ds, events, items=[{"item_id": item, "updated_at": f"{ds}T00:00:00Z"}])
    daily.run("clean_events", MONDAY)
    daily.run("clean_events", TUESDAY)
    bulk.run("clean_events", MONDAY, TUESDAY)
    rejected = {(r["ds"], r["line"]): r["reason"] for r in daily.rows(QUARANTINE)}
    assert rejected == {(MONDAY, 1): "unknown_item", (MONDAY, 2): "orphan_click"}
    assert {r["event_id"] for r in daily.rows(EVENTS)} == {"unborn", "early", "view"}
    for table in (EVENTS, QUARANTINE, INTAKE):
        assert_same_rows(bulk.rows(table), daily.rows(table))


def test_rules_that_are_off_let_their_rows_pass(bench: Bench) -> None:
    shop = bench(
        cleaning=Cleaning(bot_events_per_day=1, rules={"bot": RuleSettings(severity="off")})
    )
    write(shop)
    shop.run("clean_events", MONDAY, TUESDAY)
    assert len(shop.rows(EVENTS)) == len(CASES)


@pytest.mark.parametrize("limit", ["warn_above", "fail_above"])
def test_too_many_rejected_rows_are_said_or_fail_the_day(bench: Bench, limit: str) -> None:
    rule = RuleSettings.model_validate({limit: 0.4})
    shop = bench(cleaning=Cleaning(rules={"unknown_event_type": rule}))
    good = event(f"{MONDAY} 10:00", "anna-1", "i1")
    bad = [event(f"{MONDAY} 10:0{n}", "anna-1", "i1", f"hover{n}") for n in range(4)]
    said = "4 of 5 rows of events (80.0%) are unknown_event_type, more than cleaning.rules."
    shop.write(MONDAY, [good, *bad])
    if limit == "warn_above":
        found = shop.run("clean_events", MONDAY).said
        assert f"WARNING {MONDAY}: {said}" in found
        assert found.count("part-0.jsonl line ") == 3
        assert len(shop.rows(QUARANTINE)) == 4
    else:
        with pytest.raises(CheckFailed) as raised:
            shop.run("clean_events", MONDAY)
        message = str(raised.value)
        assert said in message
        assert all(f"part-0.jsonl line {n}" in message for n in (2, 3, 4))
        assert "line 5" not in message
        assert "anna-1" not in message
        assert shop.rows(INTAKE) == []
    shop.write(MONDAY, [good, good | {"event_id": "two"}, bad[0]])
    assert "unknown_event_type, more than" not in shop.run("clean_events", MONDAY).said
