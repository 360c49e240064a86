"""Base days: a day is read from its own block alone, at every instant of it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

from conf.errors import OrderError
from feature_store.days import days_between, ordinal, shift
from feature_store.tables import BASE_EVERY_DAYS, USERS, VOCABULARIES
from feature_store.vocabularies import words_on
from pipelines.vocabulary import words_born
from tests.pipelines.workbench import Row, Workbench, dataset, event

pytestmark = pytest.mark.spark

# The third day begins a new block of base days.
FIRST = shift("1970-01-01", (ordinal("2026-01-05") // BASE_EVERY_DAYS + 1) * BASE_EVERY_DAYS - 2)
DAYS = tuple(days_between(FIRST, shift(FIRST, 4)))
BASE = DAYS[2]
NAMES = "abcdef"


def _profile(user: str, at: datetime, age: int) -> Row:
    row = {"user_id": user, "updated_at": at.isoformat(), "gender": "f", "interests": ["tea"]}
    return row | {"age": age}


def _profiles(ds: str) -> list[Row]:
    """Some users of the day, each at a random minute; the clock of one is five minutes ahead."""
    draw, midnight = random.Random(ds), datetime.fromisoformat(ds).replace(tzinfo=UTC)
    users = NAMES[:3] if ds == FIRST else draw.sample(NAMES, 3)
    minutes = [draw.randrange(24 * 60) for _ in users[1:]] + [24 * 60 + 5]
    return [
        _profile(user, midnight + timedelta(minutes=minute), draw.randrange(10, 40))
        for user, minute in zip(users, minutes, strict=True)
    ]


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """Five days, built one after the other."""
    del spark
    shop = Workbench(tmp_path_factory.mktemp("bases"), dataset())
    for ds in DAYS:
        seen = [event(f"{ds} 10:00", user, "x", event_id=f"{ds}-{user}") for user in "ab"]
        shop.write(ds, seen, _profiles(ds))
        for step in ("clean_events", "encode_profiles"):
            shop.run(step, ds)
    return shop


_AS_OF = """
    select instant, user_index, attr_age
    from (select unnest(range($begins, $ends, interval 1 minute)) as instant) as asked
    join users on valid_from <= instant
    where ds >= $since
    qualify row_number() over (
        partition by instant, user_index order by valid_from desc, ds desc
    ) = 1
    order by all
"""


def test_users_are_read_from_their_block_as_from_all_that_was_ever_written(
    shop: Workbench,
) -> None:
    begins = datetime.fromisoformat(BASE).replace(tzinfo=UTC)
    rows = pa.Table.from_pylist(shop.rows(USERS), shop.lake.schema(USERS))
    carried = pc.and_(
        pc.equal(rows.column("ds"), BASE), pc.less(rows.column("valid_from"), pa.scalar(begins))
    )
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    span = {"begins": begins, "ends": begins + timedelta(days=3)}

    def as_of(users: pa.Table, since: str) -> list[tuple[object, ...]]:
        connection.register("users", users)
        return connection.execute(_AS_OF, span | {"since": since}).fetchall()

    expected = as_of(rows.filter(pc.invert(carried)), DAYS[0])
    assert expected
    assert as_of(rows, BASE) == expected
    assert pc.sum(carried).as_py() > 1


def test_all_values_born_so_far_are_on_a_base_day(shop: Workbench) -> None:
    words = shop.rows(VOCABULARIES)
    for ds in DAYS:
        born = {(w["field"], w["value"], w["id"]) for w in words if w["born_on"] == w["ds"] <= ds}
        known = words_on(shop.lake, ds).to_pylist()
        assert {(w["field"], w["value"], w["id"]) for w in known} == born
        assert len(known) == len(born)
    assert shop.lake.state_days(VOCABULARIES, DAYS[-1])[0] == BASE
    assert {w["born_on"] for w in words if w["ds"] == BASE} > {BASE}


def test_a_value_that_a_later_base_day_does_not_hold_is_refused(shop: Workbench) -> None:
    ds = DAYS[1]
    # No item was born later, so that its id is nobody else's.
    more = [event(f"{ds} 11:00", "a", "y", event_id="late")]
    shop.write(ds, more, name="part-1.jsonl")
    shop.run("clean_events", ds)
    before = shop.rows(VOCABULARIES)
    with pytest.raises(OrderError, match=f"which {BASE}, that holds all values born before"):
        shop.run("encode_profiles", ds)
    assert shop.rows(VOCABULARIES) == before


def test_a_base_day_that_came_late_counts_no_value_twice(
    shop: Workbench, spark: SparkSession
) -> None:
    lake, late = shop.lake, shift(BASE, BASE_EVERY_DAYS)
    after = shift(late, 1)
    for ds in (after, late):  # in this order
        shop.write(ds, [event(f"{ds} 10:00", "a", "x", event_id=ds)])
        for step in ("clean_events", "encode_profiles"):
            shop.run(step, ds)
    words = [(row["field"], row["value"]) for row in words_on(lake, after).to_pylist()]
    assert len(words) == len(set(words)) > 0
    assert words_born(spark, lake, after).count() == len(words)
