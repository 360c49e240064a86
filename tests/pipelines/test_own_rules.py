"""Rules that a dataset declares itself, compared with the same rules in plain Python."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from conf.cleaning import Cleaning
from conf.errors import CheckFailed, ConfigError
from feature_store.tables import EVENTS, INTAKE, ITEMS, PROFILES, QUARANTINE
from tests.pipelines.workbench import MONDAY, Row, Workbench, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]
STAR = {"stream": "events", "field": "value", "between": [0.5, 5], "event_types": ["rating"]}
RULES: dict[str, dict[str, Any]] = {
    "stars": STAR,
    "user_id_shape": {
        "stream": "events",
        "field": "user_id",
        "matches": "u[0-9]{3}",
        "reason": "bad_value",
    },
    "known_device": {"stream": "events", "field": "device", "one_of": ["phone", "tv"]},
    "request_given": {"stream": "events", "field": "request_id", "required": True},
    "short_ids": {"stream": "events", "field": "item_id", "max_length": 4},
    "position_seen": {"stream": "events", "field": "position", "between": [1, 10]},
}


def reason_of(row: Row) -> str:
    """The oracle: the first of RULES that the row breaks."""
    checks = {
        "stars": row["event_type"] != "rating"
        or "value" not in row
        or 0.5 <= float(row["value"]) <= 5,
        "bad_value": re.fullmatch("u[0-9]{3}", row["user_id"]) is not None,
        "known_device": row.get("device") in (None, "phone", "tv"),
        "request_given": "request_id" in row,
        "short_ids": len(row["item_id"]) <= 4,
        "position_seen": "position" not in row or 1 <= row["position"] <= 10,
    }
    return next((name for name, passes in checks.items() if not passes), "clean")


def some_event(rng: random.Random, number: int) -> Row:
    row = event(
        f"{MONDAY} 10:{number % 60:02}",
        rng.choice(["u123", "u456", "u4567", "U123", "u12\nu123", "xu123"]),
        rng.choice(["i1", "i234", "i2345", "йцук", "йцуке"]),
        rng.choice(["click", "rating"]),
        event_id=str(number),
    )
    optional = {
        "value": rng.choice([0.5, 5, 5.1, 0.4, "5.0", -1]),
        "device": rng.choice(["phone", "tv", "Phone", "tv "]).strip(),
        "request_id": "r1",
        "position": rng.choice([1, 10, 0, 11]),
    }
    return row | {name: value for name, value in optional.items() if rng.random() < 0.9}


def test_own_rules_reject_what_the_same_rules_in_python_do(bench: Bench) -> None:
    rng = random.Random(20)
    events = [some_event(rng, number) for number in range(600)]
    shop = bench(cleaning=Cleaning.model_validate({"rules": RULES, "bot_events_per_day": 1000}))
    shop.write(MONDAY, events)
    shop.run("clean_events", MONDAY)
    expected = Counter(map(reason_of, events))
    assert {*expected} >= {"clean", "stars", "bad_value", "known_device", "request_given"}
    counted = {r["outcome"]: r["rows"] for r in shop.rows(INTAKE) if r["stream"] == "events"}
    assert counted == {**expected, "read": 600}
    clean = {row["event_id"] for row in shop.rows(EVENTS)}
    assert clean == {row["event_id"] for row in events if reason_of(row) == "clean"}
    rejected = {row["line"]: row["reason"] for row in shop.rows(QUARANTINE)}
    assert rejected == {
        line: reason_of(row)
        for line, row in enumerate(events, start=1)
        if reason_of(row) != "clean"
    }


def test_own_rules_of_profiles_and_items_look_into_lists_and_numbers(bench: Bench) -> None:
    at = {"updated_at": f"{MONDAY}T08:00:00Z"}
    rules = {
        "adult": {"stream": "profiles", "field": "age", "between": [18, 120]},
        "known_interest": {"stream": "profiles", "field": "interests", "one_of": ["art", "sea"]},
        "has_interest": {"stream": "profiles", "field": "interests", "required": True},
        "titled": {"stream": "items", "field": "title", "required": True},
    }
    shop = bench(cleaning=Cleaning.model_validate({"rules": rules}))
    people = {
        "fine": ({"age": 30, "interests": ["art", "sea"]}, None),
        "young": ({"age": 17, "interests": ["art"]}, "adult"),
        "odd": ({"age": 30, "interests": ["art", "war"]}, "known_interest"),
        "idle": ({"interests": []}, "has_interest"),
        "mute": ({"age": 30}, "has_interest"),
    }
    profiles = [{"user_id": name, **at, **row} for name, (row, _) in people.items()]
    items = [{"item_id": "i1", "title": "A lamp", **at}, {"item_id": "i2", "title": " ", **at}]
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "fine", "i1")], profiles, items)
    shop.run("clean_events", MONDAY)
    assert len(shop.rows(PROFILES)) == 1
    assert [row["item_id"] for row in shop.rows(ITEMS)] == ["i1"]
    found = {(row["stream"], row["line"]): row["reason"] for row in shop.rows(QUARANTINE)}
    expected = {
        ("profiles", line): reason
        for line, (_, reason) in enumerate(people.values(), start=1)
        if reason
    }
    assert found == expected | {("items", 2): "titled"}


def test_a_rule_that_warns_keeps_its_rows_and_shows_them(bench: Bench) -> None:
    rules = {"stars": STAR | {"severity": "warn"}, "bot": {"severity": "warn"}}
    catalogue = {"unknown_item": {"severity": "warn"}, "orphan_click": {"severity": "warn"}}
    shop = bench(
        cleaning=Cleaning.model_validate({"bot_events_per_day": 3, "rules": rules | catalogue})
    )
    ratings = [
        event(f"{MONDAY} 10:0{n}", "anna-1", "i1", "rating", value=n, event_id=f"r{n}")
        for n in range(9)
    ]
    click = event(f"{MONDAY} 11:00", "bob-22", "i9", event_id="c")
    items = [{"item_id": "i1", "updated_at": f"{MONDAY}T00:00:00Z"}]
    shop.write(MONDAY, [*ratings, ratings[7], click], items=items)
    result = shop.run("clean_events", MONDAY)
    assert len(shop.rows(EVENTS)) == 10
    assert [row["reason"] for row in shop.rows(QUARANTINE)] == ["duplicate"]
    said = {text.split(" rows of events ")[0]: text for _, text in result.warnings}
    assert "4 of 11" in said  # 0, 6, 7 and 8 stars; the copy of 7 is rejected, not noted
    stars = said["4 of 11"]
    assert "break stars and were kept, as cleaning.rules.stars warns of each" in stars
    assert [int(n) for n in re.findall(r"part-0\.jsonl line (\d+)", stars)] == [1, 7, 8]
    assert "anna-1" not in "".join(said.values())
    assert "break bot and were kept" in said["9 of 11"]
    both = [text for _, text in result.warnings if "1 of 11" in text]
    assert sorted(re.findall(r"break (\w+) and", " ".join(both))) == [
        "orphan_click",
        "unknown_item",
    ]


def test_noted_rows_above_their_limit_fail_the_day(bench: Bench) -> None:
    def cleaning(**limits: float) -> Cleaning:
        return Cleaning.model_validate({"rules": {"stars": STAR | {"severity": "warn", **limits}}})

    ratings = [event(f"{MONDAY} 10:0{n}", "anna-1", "i1", "rating", value=n) for n in (1, 2, 6, 7)]
    failing = bench("failing", cleaning=cleaning(fail_above=0.4))
    failing.write(MONDAY, ratings)
    with pytest.raises(
        CheckFailed, match=r"2 of 4 .* break stars, more than .*stars.fail_above allows \(0\.4\)"
    ):
        failing.run("clean_events", MONDAY)
    assert failing.rows(EVENTS) == failing.rows(INTAKE) == []
    quiet = bench("quiet", cleaning=cleaning(warn_above=0.6))
    quiet.write(MONDAY, ratings)
    assert not [text for _, text in quiet.run("clean_events", MONDAY).warnings if "stars" in text]
    none = bench("none", cleaning=cleaning(fail_above=0))
    none.write(MONDAY, ratings)
    with pytest.raises(CheckFailed, match=r"stars.fail_above allows \(0\)"):
        none.run("clean_events", MONDAY)


def test_a_pattern_that_only_spark_finds_wrong_is_refused_by_its_rule(bench: Bench) -> None:
    named = {"stream": "events", "field": "item_id", "matches": r"\p{Nonsense}+"}
    shop = bench(cleaning=Cleaning.model_validate({"rules": {"named": named}}))
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", "i1")])
    with pytest.raises(ConfigError, match=r"cleaning.rules.named.matches: .* Next: correct it"):
        shop.run("clean_events", MONDAY)
    letters = named | {"matches": r"\p{L}+\d"}
    fine = bench("fine", cleaning=Cleaning.model_validate({"rules": {"named": letters}}))
    fine.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", item) for item in ("й1", "1й")])
    fine.run("clean_events", MONDAY)
    assert [row["item_id"] for row in fine.rows(EVENTS)] == ["й1"]


def test_days_in_bulk_note_what_each_day_by_itself_does(bench: Bench) -> None:
    cleaning = Cleaning.model_validate({"rules": {"stars": STAR | {"severity": "warn"}}})
    daily, bulk = bench("daily", cleaning=cleaning), bench("bulk", cleaning=cleaning)
    days = [MONDAY, "2026-01-06"]
    for shop in (daily, bulk):
        for number, ds in enumerate(days):
            odd = [event(f"{ds} 10:0{n}", "u1", "i1", "rating", value=9 + n) for n in range(2)]
            shop.write(ds, odd[: number + 1])
    one_by_one = [w for ds in days for w in daily.run("clean_events", ds).warnings]
    at_once = bulk.run("clean_events", *days).warnings
    noted = [text for text in one_by_one if "stars" in text[1]]
    assert len(noted) == 2
    assert noted == [text for text in at_once if "stars" in text[1]]
    assert json.dumps(noted).count("part-0.jsonl line") == 3
