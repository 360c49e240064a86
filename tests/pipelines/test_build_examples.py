"""Labels: which events become examples, on which day, and with which label."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conf.dataset import Labels
from feature_store.days import shift
from feature_store.tables import EXAMPLES, MISSING, VOCABULARIES
from tests.pipelines.workbench import MONDAY, Row, Workbench, by, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]
STEPS = ("clean_events", "encode_profiles", "build_examples")
TUESDAY, WEDNESDAY, THURSDAY = (shift(MONDAY, n) for n in (1, 2, 3))


def _shown(at: str, user: str, item: str, **others: object) -> Row:
    return event(at, user, item, "impression", event_id=f"{user}-{item}-{at[-5:]}", **others)


def _examples(shop: Workbench, *days: str) -> dict[str, Row]:
    for step in STEPS:
        shop.run(step, *days)
    return by(shop.rows(EXAMPLES), "example_id")


def _labels(examples: dict[str, Row]) -> dict[str, float]:
    return {name: row["label"] for name, row in examples.items()}


def test_a_click_at_the_edges_of_the_window_counts_and_beyond_does_not(bench: Bench) -> None:
    shop = bench()
    at = f"{MONDAY} 10:00"
    users = ("u1", "u2", "u3", "u4")
    clicks = [
        event(at, "u1", "x"),  # at the same moment
        event(f"{MONDAY} 11:00", "u2", "x"),  # at the last one
        event(at, "u3", "x") | {"event_timestamp": f"{MONDAY}T11:00:00.000001+00:00"},
        event(f"{MONDAY} 09:59", "u4", "x"),
    ]
    shop.write(MONDAY, [*(_shown(at, user, "x") for user in users), *clicks])
    assert _labels(_examples(shop, MONDAY)) == {
        "u1-x-10:00": 1.0,
        "u2-x-10:00": 1.0,
        "u3-x-10:00": 0.0,
        "u4-x-10:00": 0.0,
    }


def test_a_click_on_another_item_or_in_another_slate_does_not_count(bench: Bench) -> None:
    shop = bench()
    at = f"{MONDAY} 10:00"
    shown = [_shown(at, user, "x", request_id="r1") for user in "abcd"]
    clicks = [
        event(at, "a", "y", request_id="r1"),
        event(at, "b", "x", request_id="r2"),
        event(at, "c", "x"),
        event(at, "d", "x", "view", request_id="r1"),
    ]
    shop.write(MONDAY, [*shown, *clicks])
    labels = _labels(_examples(shop, MONDAY))
    # A click that names no slate may belong to this one; a view is not a positive event.
    assert labels == {f"{u}-x-10:00": float(u == "c") for u in "abcd"}


def test_the_weight_is_that_of_the_strongest_answer(bench: Bench) -> None:
    shop = bench()
    at = f"{MONDAY} 10:00"
    answers = [event(at, "a", "x"), event(f"{MONDAY} 10:30", "a", "x", "purchase")]
    shop.write(MONDAY, [_shown(at, "a", "x"), _shown(at, "b", "x"), *answers])
    examples = _examples(shop, MONDAY)
    assert (examples["a-x-10:00"]["label"], examples["a-x-10:00"]["weight"]) == (1.0, 3.0)
    assert (examples["b-x-10:00"]["label"], examples["b-x-10:00"]["weight"]) == (0.0, 1.0)


def test_an_impression_waits_until_its_window_has_closed(bench: Bench) -> None:
    shop = bench()
    shop.write(MONDAY, [_shown(f"{MONDAY} 23:00", "a", "x"), _shown(f"{MONDAY} 23:01", "b", "x")])
    shop.write(TUESDAY, [event(f"{TUESDAY} 00:01", "b", "x")])
    examples = _examples(shop, MONDAY, TUESDAY)
    # A window that closes with the day is closed; one that is open at its end is not.
    assert {name: (row["ds"], row["label"]) for name, row in examples.items()} == {
        "a-x-23:00": (MONDAY, 0.0),
        "b-x-23:01": (TUESDAY, 1.0),
    }


def test_days_end_in_the_time_zone_of_the_dataset(bench: Bench) -> None:
    shop = bench(time_zone="America/New_York")
    # 22:30 in New York: the window closes at 23:30, still on Monday there.
    shop.write(MONDAY, [_shown(f"{TUESDAY} 03:30", "a", "x")])
    (row,) = _examples(shop, MONDAY).values()
    assert (row["ds"], row["event_ds"]) == (MONDAY, MONDAY)
    assert (row["hour"], row["weekday"]) == (22, 0)


def test_a_late_impression_enters_on_its_arrival_with_the_clicks_known_by_then(
    bench: Bench,
) -> None:
    shop = bench()
    shop.write(MONDAY, [event(f"{MONDAY} 10:05", "a", "x")])
    shop.write(TUESDAY)
    shop.write(
        WEDNESDAY, [_shown(f"{MONDAY} 10:00", "a", "x"), _shown(f"{MONDAY} 10:00", "b", "x")]
    )
    shop.write(THURSDAY, [event(f"{TUESDAY} 10:05", "b", "x")])
    examples = _examples(shop, MONDAY, TUESDAY, WEDNESDAY, THURSDAY)
    assert {name: (row["ds"], row["label"]) for name, row in examples.items()} == {
        "a-x-10:00": (WEDNESDAY, 1.0),
        "b-x-10:00": (WEDNESDAY, 0.0),
    }


def test_a_click_that_arrives_after_the_label_was_final_changes_nothing(bench: Bench) -> None:
    shop = bench()
    shop.write(MONDAY, [_shown(f"{MONDAY} 10:00", "a", "x")])
    shop.write(TUESDAY, [event(f"{MONDAY} 10:05", "a", "x")])
    before = _examples(shop, MONDAY, TUESDAY)
    assert _labels(before) == {"a-x-10:00": 0.0}
    shop.run("build_examples", MONDAY)
    assert by(shop.rows(EXAMPLES), "example_id") == before


def test_an_id_that_comes_again_on_a_later_day_is_another_event(bench: Bench) -> None:
    shop = bench()
    later = shift(MONDAY, 4)  # from then on the id is accepted again
    first, second = (
        event(f"{ds} 10:00", "a", "x", "impression", event_id="e1") for ds in (MONDAY, later)
    )
    days = [shift(MONDAY, n) for n in range(5)]
    arrivals = {MONDAY: [first], later: [second, event(f"{later} 10:30", "a", "x")]}
    for ds in days:
        shop.write(ds, arrivals.get(ds, []))
    for step in STEPS:
        shop.run(step, *days)
    labels = {row["ds"]: row["label"] for row in shop.rows(EXAMPLES)}
    assert labels == {MONDAY: 0.0, later: 1.0}


def test_a_window_longer_than_a_day_is_looked_through(bench: Bench) -> None:
    labels = Labels(kind="impressions", attribution_window_minutes=3 * 1440)
    shop = bench(labels=labels)
    shop.write(MONDAY, [_shown(f"{MONDAY} 00:00", "a", "x"), _shown(f"{MONDAY} 00:00", "b", "x")])
    shop.write(TUESDAY)
    shop.write(WEDNESDAY, [event(f"{WEDNESDAY} 23:00", "a", "x")])
    examples = _examples(shop, MONDAY, TUESDAY, WEDNESDAY)
    assert {(row["ds"], row["label"]) for row in examples.values()} == {
        (WEDNESDAY, 1.0),
        (WEDNESDAY, 0.0),
    }


def test_context_is_encoded_and_absence_is_missing(bench: Bench) -> None:
    shop = bench()
    at = f"{MONDAY} 10:00"
    shop.write(MONDAY, [_shown(at, "a", "x", device="phone", position=4), _shown(at, "b", "x")])
    examples = _examples(shop, MONDAY)
    words = {(r["field"], r["value"]): r["id"] for r in shop.rows(VOCABULARIES)}
    assert examples["a-x-10:00"]["ctx_device"] == words["context.device", "phone"] == 2
    assert examples["b-x-10:00"]["ctx_device"] == 1
    assert examples["a-x-10:00"]["item_index"] == words["item_id", "x"]
    assert (examples["a-x-10:00"]["position"], examples["b-x-10:00"]["position"]) == (4, None)


def test_ratings_are_labelled_by_the_threshold_on_arrival(bench: Bench) -> None:
    shop = bench(labels=Labels(kind="threshold", threshold=4), positive={"rating": 2.0})
    rated = [
        event(f"{MONDAY} 23:59", "a", item, "rating", event_id=item, value=value)
        for item, value in (("x", 4), ("y", 3.5))
    ]
    others = [
        event(f"{MONDAY} 10:00", "a", "z", "rating", event_id="z"),
        event(f"{MONDAY} 10:00", "a", "z", "view", event_id="v", value=90),
    ]
    shop.write(MONDAY, rated + others)
    found = {k: (r["label"], r["value"], r["weight"]) for k, r in _examples(shop, MONDAY).items()}
    assert found == {"x": (1.0, 4.0, 2.0), "y": (0.0, 3.5, 1.0)}


def test_without_impressions_every_positive_event_is_an_example(bench: Bench) -> None:
    shop = bench(labels=Labels(kind="sampled"))
    at = f"{MONDAY} 23:59"
    kinds = {"c1": "click", "c2": "click", "p": "purchase", "v": "view", "i": "impression"}
    shop.write(MONDAY, [event(at, "a", "x", kind, event_id=name) for name, kind in kinds.items()])
    found = {k: (r["label"], r["weight"]) for k, r in _examples(shop, MONDAY).items()}
    assert found == {"c1": (1.0, 1.0), "c2": (1.0, 1.0), "p": (1.0, 3.0)}


def test_hour_weekday_and_context_are_local_on_the_day_the_clocks_go_forward(bench: Bench) -> None:
    shop = bench(time_zone="Europe/Berlin", context=("device", "place"))
    sunday, monday = "2026-03-29", "2026-03-30"
    instants = {  # UTC: local hour, weekday (Monday = 0) and day
        "2026-03-28 23:00": (0, 6, sunday),
        "2026-03-29 00:59": (1, 6, sunday),
        "2026-03-29 01:00": (3, 6, sunday),
        "2026-03-29 21:59": (23, 6, sunday),
        "2026-03-29 22:00": (0, 0, monday),
    }
    shown = {at: _shown(at, "a", "x", device="phone") for at in instants}
    last = shown.pop("2026-03-29 22:00") | {"place": "home", "device": "tablet"}
    shop.write(sunday, list(shown.values()))
    shop.write(monday, [last])
    examples = _examples(shop, sunday, monday)
    found = {
        f"{row['event_timestamp']:%Y-%m-%d %H:%M}": (row["hour"], row["weekday"], row["event_ds"])
        for row in examples.values()
    }
    assert found == instants
    ids = {(row["field"], row["value"]): row["id"] for row in shop.rows(VOCABULARIES)}
    contexts = {(row["ctx_device"], row["ctx_place"]) for row in examples.values()}
    assert contexts == {
        (ids["context.device", "phone"], MISSING),
        (ids["context.device", "tablet"], ids["context.place", "home"]),
    }
