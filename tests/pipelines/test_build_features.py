"""Decayed sums against NumPy, and the last items of each user."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest

from conf.dataset import Labels
from feature_store.days import days_between, end_of_day, ordinal, shift
from feature_store.tables import (
    BASE_EVERY_DAYS,
    EVENTS,
    HALF_LIVES_DAYS,
    ITEM_STATS,
    STATISTICS,
    USER_SEQUENCES,
    USER_STATS,
    VOCABULARIES,
    decayed,
)
from tests.pipelines.workbench import MONDAY, Row, Workbench, by, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]
STEPS = ("clean_events", "encode_profiles", "build_features")


def _run(shop: Workbench, *days: str) -> None:
    for step in STEPS:
        shop.run(step, *days)


def _index(shop: Workbench, field: str) -> dict[str, int]:
    return {r["value"]: r["id"] for r in shop.rows(VOCABULARIES) if r["field"] == field}


def _statistics(row: Row, positive: dict[str, float]) -> dict[str, float]:
    """What one event adds, by its definition."""
    kind, value = row["event_type"], row["value"]
    return {
        **{name: float(kind == name) for name in ("impression", "click", "favourite", "purchase")},
        "positive": positive.get(kind, 0.0),
        "valued": float(value is not None),
        "value": value or 0.0,
    }


def _oracle(shop: Workbench, ds: str, key: str, entity: str) -> dict[str, float]:
    """The decayed sums of one entity at the end of `ds`, straight from all its events."""
    end = end_of_day(ds, shop.dataset.zone)
    rows = [r for r in shop.rows(EVENTS) if r["ds"] <= ds and r[key] == entity]
    ages = np.array([(end - r["event_timestamp"]).total_seconds() / 86_400 for r in rows])
    sums = {}
    for name in STATISTICS:
        added = np.array([_statistics(r, shop.dataset.positive)[name] for r in rows])
        for half_life in HALF_LIVES_DAYS:
            sums[decayed(name, half_life)] = float((added * np.exp2(-ages / half_life)).sum())
    return sums


def _write_random_days(shop: Workbench, days: list[str]) -> None:
    """Events of four users and three items, some of them up to two days late."""
    dice = random.Random(11)
    kinds = ("impression", "impression", "click", "purchase", "favourite", "view")
    for ds in days:
        # Wednesday has no events, and one user stays away for long.
        users = "abc" if ds == days[0] else "ab"
        rows = []
        for n in range(0 if ds == days[2] else 25):
            at = datetime.fromisoformat(ds) + timedelta(
                minutes=dice.randrange(1440), days=-dice.choice((0, 0, 0, 1, 2))
            )
            value = {"value": dice.choice((0.5, 2, 30))} if dice.random() < 0.3 else {}
            row = event(f"{at:%Y-%m-%d %H:%M}", dice.choice(users), dice.choice("xyz"))
            rows.append(row | {"event_id": f"{ds}-{n}", "event_type": dice.choice(kinds)} | value)
        shop.write(ds, rows)


@pytest.mark.parametrize("bulk", [pytest.param(False, marks=pytest.mark.slow), True])
def test_decayed_sums_are_those_of_numpy(bench: Bench, bulk: bool) -> None:
    shop = bench(time_zone="Europe/Berlin", cleaning={"bot_events_per_day": 99})
    # The clocks in Berlin go forward on 29 March 2026: one of these days has 23 hours.
    days = list(days_between("2026-03-27", "2026-04-01"))
    _write_random_days(shop, days)
    for group in [days] if bulk else [[ds] for ds in days]:
        _run(shop, *group)
    checked = 0
    for table, key, column in (
        (USER_STATS, "user_id", "user_index"),
        (ITEM_STATS, "item_id", "item_index"),
    ):
        indices = _index(shop, key)
        for ds in days:
            rows = by(shop.rows(table, ds), column)
            for entity, index in indices.items():
                if index in rows:
                    expected = _oracle(shop, ds, key, entity)
                    found = {name: rows[index][name] for name in expected}
                    assert found == pytest.approx(expected, rel=1e-9)
                    checked += 1
    assert checked > 15


def test_a_day_has_rows_for_the_active_and_a_base_day_for_all(bench: Bench) -> None:
    shop = bench()
    # The third day begins a new block of base days.
    first = shift("1970-01-01", (ordinal(MONDAY) // BASE_EVERY_DAYS + 1) * BASE_EVERY_DAYS - 2)
    days = [shift(first, n) for n in range(4)]
    for ds, users in zip(days, ("abc", "a", "b", "c"), strict=True):
        shop.write(ds, [event(f"{ds} 10:00", user, "x") for user in users])
        _run(shop, ds)
    rows_per_day = [len(shop.rows(USER_STATS, ds)) for ds in days]
    assert rows_per_day == [3, 1, 3, 1]
    assert [len(shop.rows(USER_SEQUENCES, ds)) for ds in days] == [3, 1, 3, 1]
    assert shop.lake.state_days(USER_STATS, days[3]) == days[2:]
    idle = by(shop.rows(USER_STATS, days[2]), "user_index")
    (away,) = {row["user_index"] for row in shop.rows(USER_STATS, days[3])}
    # One click at 10:00 two days before: 2 days and 14 hours old, with a half-life of one day.
    assert idle[away]["click_h1"] == pytest.approx(2 ** -(2 + 14 / 24), rel=1e-9)


def test_first_and_last_event_are_by_time_of_the_event(bench: Bench) -> None:
    shop = bench()
    tuesday = shift(MONDAY, 1)
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "a", "x")])
    shop.write(tuesday, [event("2026-01-04 09:00", "a", "x")])
    _run(shop, MONDAY)
    _run(shop, tuesday)
    (row,) = shop.rows(USER_STATS, tuesday)
    assert row["first_event_timestamp"].isoformat() == "2026-01-04T09:00:00+00:00"
    assert row["last_event_timestamp"].isoformat() == "2026-01-05T10:00:00+00:00"


def test_only_liked_ratings_are_positive_under_a_threshold(bench: Bench) -> None:
    shop = bench(labels=Labels(kind="threshold", threshold=4), positive={"rating": 2.0})
    ratings = [
        event(f"{MONDAY} 23:59", "a", item, "rating", value=value)
        for item, value in (("x", 3.9), ("y", 4))
    ]
    shop.write(MONDAY, ratings)
    _run(shop, MONDAY)
    (row,) = shop.rows(USER_STATS)
    minute = 2 ** -(1 / 1440)
    assert row["positive_h1"] == pytest.approx(2 * minute, rel=1e-9)
    assert row["valued_h1"] == pytest.approx(2 * minute, rel=1e-9)
    assert row["value_h1"] == pytest.approx(7.9 * minute, rel=1e-9)
    (sequence,) = shop.rows(USER_SEQUENCES)
    assert sequence["item_indices"] == [_index(shop, "item_id")["y"]]


def test_a_sequence_is_in_the_order_of_the_events_and_keeps_the_last(bench: Bench) -> None:
    shop = bench()
    tuesday, wednesday = shift(MONDAY, 1), shift(MONDAY, 2)
    shop.write(
        MONDAY,
        [
            event(f"{MONDAY} 12:00", "a", "p"),
            event(f"{MONDAY} 10:00", "a", "q", "purchase"),
            event(f"{MONDAY} 11:00", "a", "seen", "impression"),
        ],
    )
    # A late event takes its place; the fourth item pushes out the oldest.
    shop.write(tuesday, [event(f"{MONDAY} 11:00", "a", "r"), event(f"{tuesday} 9:00", "a", "bad")])
    shop.write(wednesday, [event(f"{wednesday} 10:00", "a", "s")])
    sequences = []
    for ds in (MONDAY, tuesday, wednesday):
        _run(shop, ds)
        names = {index: item for item, index in _index(shop, "item_id").items()}
        (row,) = shop.rows(USER_SEQUENCES, ds)
        sequences.append("".join(names[index] for index in row["item_indices"]))
        assert row["event_timestamps"] == sorted(row["event_timestamps"])
    assert sequences == ["qp", "qrp", "rps"]


def test_a_very_old_state_fades_to_nothing(bench: Bench) -> None:
    shop = bench()
    later = shift(MONDAY, 1_500)
    for ds in (MONDAY, later):
        shop.write(ds, [event(f"{ds} 12:00", "a", "x")])
        _run(shop, ds)
    (row,) = shop.rows(USER_STATS, later)
    assert row["click_h1"] == pytest.approx(2**-0.5, rel=1e-9)
    assert row["click_h30"] == pytest.approx(2 ** -(0.5 / 30), rel=1e-9)
