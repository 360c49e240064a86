"""Vocabularies that only grow, and users and items in their ids."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from feature_store.days import shift
from feature_store.tables import ENCODED_ITEMS, USERS, VOCABULARIES
from tests.pipelines.workbench import MONDAY, Row, Workbench, by, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]

TUESDAY = shift(MONDAY, 1)


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
