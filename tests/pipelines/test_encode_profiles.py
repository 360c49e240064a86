"""Vocabularies that only grow, and users and items in their ids."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from conf.errors import OrderError
from conf.vocabulary import VocabularyRule
from feature_store.days import shift
from feature_store.tables import (
    ENCODED_ITEMS,
    EXAMPLES,
    ITEM_STATS,
    PENDING_VALUES,
    PROFILES,
    USER_STATS,
    USERS,
    VOCABULARIES,
)
from tests.pipelines.workbench import MONDAY, Row, Workbench, assert_same_rows, by, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]

TUESDAY, WEDNESDAY = shift(MONDAY, 1), shift(MONDAY, 2)


def _profile(user: str, ds: str, **attributes: object) -> Row:
    return {"user_id": user, "updated_at": f"{ds}T06:00:00Z", **attributes}


def _item(item: str, ds: str, **others: object) -> Row:
    return {"item_id": item, "updated_at": f"{ds}T00:00:00Z", **others}


def _run(shop: Workbench, *days: str) -> None:
    for step in ("clean_events", "encode_profiles"):
        shop.run(step, *days)


def _words(shop: Workbench, field: str) -> list[tuple[str, str, int]]:
    rows = [row for row in shop.rows(VOCABULARIES) if row["field"] == field]
    return [(r["ds"], r["value"], r["id"]) for r in sorted(rows, key=lambda row: row["id"])]


def test_ids_begin_at_two_in_the_order_of_the_values(bench: Bench) -> None:
    shop = bench()
    shop.write(
        MONDAY,
        [event(f"{MONDAY} 10:00", "u1", item, device=device) for item, device in ("cz", "ay")],
        items=[_item("b", MONDAY, category="home")],
    )
    _run(shop, MONDAY)
    assert _words(shop, "item_id") == [(MONDAY, "a", 2), (MONDAY, "b", 3), (MONDAY, "c", 4)]
    assert _words(shop, "context.device") == [(MONDAY, "y", 2), (MONDAY, "z", 3)]
    assert _words(shop, "item.category") == [(MONDAY, "home", 2)]
    assert len(_words(shop, "user_id")) == 1


def test_new_values_continue_after_the_last_id_and_old_ids_stay(bench: Bench) -> None:
    shop = bench()
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", "m")])
    shop.write(TUESDAY, [event(f"{TUESDAY} 10:00", "u1", item) for item in "zam"])
    _run(shop, MONDAY)
    _run(shop, TUESDAY)
    words = [(MONDAY, "m", 2), (TUESDAY, "a", 3), (TUESDAY, "z", 4)]
    assert _words(shop, "item_id") == words
    _run(shop, MONDAY)
    assert _words(shop, "item_id") == words


def test_a_profile_is_label_encoded(bench: Bench) -> None:
    shop = bench()
    shop.write(
        MONDAY,
        profiles=[
            _profile("full", MONDAY, gender="f", interests=["c", "a", "b", "a"], age=18),
            _profile("empty", MONDAY, interests=[]),
            _profile("young", MONDAY, gender="d", interests=["b"], age=17.9),
            _profile("old", MONDAY, gender="f", age="30"),
        ],
    )
    _run(shop, MONDAY)
    ids = {value: id_ for _, value, id_ in _words(shop, "user_id")}
    assert sorted(ids.values()) == [2, 3, 4, 5]
    found = [
        (row["attr_gender"], row["attr_interests"], row["attr_age"]) for row in shop.rows(USERS)
    ]
    # 1 = missing; gender: d = 2, f = 3; interests: a, b, c = 2, 3, 4; ages cut at 18 and 30.
    assert sorted(found) == [(1, [1], 1), (2, [3], 2), (3, [1], 4), (3, [2, 3, 4], 3)]


def test_an_entity_is_valid_from_its_change_but_not_before_its_day(bench: Bench) -> None:
    shop = bench(time_zone="Asia/Tokyo")
    # Monday begins in Tokyo at 15:00 UTC on Sunday.
    shop.write(
        MONDAY,
        items=[
            _item("a", "2025-06-01", available_until="2026-03-01T00:00:00Z"),
            _item("b", MONDAY, category="home"),
        ],
    )
    _run(shop, MONDAY)
    items = by(shop.rows(ENCODED_ITEMS), "item_index")
    assert items[2]["valid_from"].isoformat() == "2026-01-04T15:00:00+00:00"
    assert items[2]["available_until"].isoformat() == "2026-03-01T00:00:00+00:00"
    assert items[3]["valid_from"].isoformat() == "2026-01-05T00:00:00+00:00"
    assert (items[2]["attr_category"], items[3]["attr_category"]) == (1, 2)


def test_a_dataset_without_attributes_or_context_has_ids_only(bench: Bench) -> None:
    shop = bench(user_attributes=(), item_attributes=(), context=())
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", "i1")], [_profile("u1", MONDAY)])
    shop.run_all(MONDAY)
    assert {row["field"] for row in shop.rows(VOCABULARIES)} == {"user_id", "item_id"}
    assert [row["user_index"] for row in shop.rows(USERS)] == [2]


def test_a_value_below_min_count_waits_and_reads_as_unknown(bench: Bench) -> None:
    rare = VocabularyRule(min_count=2)
    shop = bench(vocabulary={"item.category": rare, "item_id": rare, "context.device": rare})
    click = event(f"{MONDAY} 10:00", "u1", "a", device="tv")
    shown = [
        event(f"{MONDAY} 09:59", "u1", item, "impression", event_id=item, device=device)
        for item, device in (("a", "tv"), ("b", "phone"), ("c", None))
    ]
    items = [_item("a", MONDAY, category="home"), _item("d", MONDAY, category="home")]
    shop.write(MONDAY, [click, *shown], items=[*items, _item("a", TUESDAY, category="odd")])
    shop.run_all(MONDAY)
    # a: 2 events and 1 row of items (the later one stands); b, c and d occur once.
    assert _words(shop, "item_id") == [(MONDAY, "a", 2)]
    assert _words(shop, "context.device") == [(MONDAY, "tv", 2)]
    waiting = {(r["field"], r["value"]): r["count"] for r in shop.rows(PENDING_VALUES)}
    assert waiting == {
        **{("item_id", name): 1 for name in "bcd"},
        ("item.category", "home"): 1,
        ("item.category", "odd"): 1,
        ("context.device", "phone"): 1,
    }
    assert [(r["item_index"], r["attr_category"]) for r in shop.rows(ENCODED_ITEMS)] == [(2, 0)]
    examples = by(shop.rows(EXAMPLES), "example_id")
    found = {name: (row["item_index"], row["ctx_device"]) for name, row in examples.items()}
    assert found == {"a": (2, 2), "b": (0, 0), "c": (0, 1)}  # 0 = unknown, 1 = missing
    # an unknown item has no state of its own, but its impression is its user's
    assert [row["item_index"] for row in shop.rows(ITEM_STATS)] == [2]
    assert [round(r["impression_h30"], 1) for r in shop.rows(USER_STATS)] == [3.0]


@pytest.mark.slow
def test_who_is_born_later_brings_the_profile_of_before(bench: Bench) -> None:
    shop = bench(vocabulary={"user_id": VocabularyRule(min_count=3)})
    shop.write(MONDAY, profiles=[_profile("u", MONDAY, gender="f", interests=["b", "a"], age=20)])
    shop.write(TUESDAY, [event(f"{TUESDAY} 10:00", "u", "i")])
    shop.write(WEDNESDAY, [event(f"{WEDNESDAY} 10:00", "u", "i")])
    for ds in (MONDAY, TUESDAY, WEDNESDAY):
        _run(shop, ds)
    (user,) = shop.rows(USERS)
    assert (user["ds"], user["user_index"]) == (WEDNESDAY, 2)
    assert user["valid_from"].isoformat() == f"{WEDNESDAY}T00:00:00+00:00"
    assert (user["attr_gender"], user["attr_interests"], user["attr_age"]) == (2, [2, 3], 3)
    assert shop.rows(PROFILES, WEDNESDAY) == []
    before = shop.rows(USERS)
    shop.run("encode_profiles", MONDAY, TUESDAY, WEDNESDAY)
    assert shop.rows(USERS) == before


def test_a_number_on_a_cut_belongs_to_the_upper_bin(bench: Bench) -> None:
    shop = bench()
    ages = {"below": 17.999, "on": 18, "between": 29, "upper": 30, "least": -1e300}
    odd = {"none": None, "nan": float("nan"), "inf": float("inf"), "minus": float("-inf")}
    shop.write(MONDAY, profiles=[_profile(name, MONDAY, age=age) for name, age in ages.items()])
    shop.run("clean_events", MONDAY)
    rows = shop.lake.read(PROFILES, [MONDAY]).to_pylist()
    more = [{**rows[0], "user_id": name, "attr_age": age} for name, age in odd.items()]
    named = {17.999: "below", 18.0: "on", 29.0: "between", 30.0: "upper", -1e300: "least"}
    known = [{**row, "user_id": named[row["attr_age"]]} for row in rows]
    schema = shop.lake.schema(PROFILES)
    shop.lake.replace(
        PROFILES, {"ds": MONDAY}, pa.Table.from_pylist([*known, *more], schema=schema), {}
    )
    shop.run("encode_profiles", MONDAY)
    names = {id_: value for _, value, id_ in _words(shop, "user_id")}
    found = {names[row["user_index"]]: row["attr_age"] for row in shop.rows(USERS)}
    # 1 = missing; cuts at 18 and 30 make the bins 2, 3 and 4
    assert found == {
        **{"below": 2, "on": 3, "between": 3, "upper": 4, "least": 2},
        **{"none": 1, "nan": 1, "inf": 4, "minus": 2},
    }


def test_a_day_whose_rows_changed_after_a_later_one_was_encoded_is_refused(bench: Bench) -> None:
    shop = bench()
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", "m")])
    shop.write(TUESDAY, [event(f"{TUESDAY} 10:00", "u1", "z")])
    _run(shop, MONDAY)
    _run(shop, TUESDAY)
    before = shop.rows(VOCABULARIES)
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", item) for item in "mn"])
    shop.run("clean_events", MONDAY)
    with pytest.raises(OrderError, match=rf"item_id 'n' would get id 3, but {TUESDAY} gave 'z'"):
        shop.run("encode_profiles", MONDAY)
    assert shop.rows(VOCABULARIES) == before


def test_ids_of_a_day_stay_when_its_rows_go_after_a_later_one_was_encoded(bench: Bench) -> None:
    shop = bench()
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", item) for item in "mn"])
    shop.write(TUESDAY, [event(f"{TUESDAY} 10:00", "u1", "z")])
    _run(shop, MONDAY)
    _run(shop, TUESDAY)
    before = shop.rows(VOCABULARIES)
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", "n")])
    _run(shop, MONDAY)
    assert_same_rows(shop.rows(VOCABULARIES), before)
