"""The vocabulary tables of random days: day by day, at once, again, and as known on any day."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from conf.vocabulary import VocabularyRule
from feature_store.days import days_between, ordinal, shift
from feature_store.tables import (
    BASE_EVERY_DAYS,
    EXPIRIES,
    LAST_SEEN,
    PENDING_VALUES,
    VOCABULARIES,
)
from feature_store.vocabularies import expired_between, expired_on, waiting_on, words_on
from pipelines.vocabulary import words_known
from tests.pipelines.clean_log import write_clean_events
from tests.pipelines.vocabulary_oracle import Key, Told, rows_of, told
from tests.pipelines.workbench import Workbench, assert_same_rows, dataset

pytestmark = [pytest.mark.spark, pytest.mark.slow]

TABLES = (VOCABULARIES, PENDING_VALUES, LAST_SEEN, EXPIRIES)
# The third day begins a new block of base days.
FIRST = shift("1970-01-01", (ordinal("2026-01-05") // BASE_EVERY_DAYS + 1) * BASE_EVERY_DAYS - 2)
DAYS = tuple(days_between(FIRST, shift(FIRST, 6)))
RULES = {
    "user_id": VocabularyRule(min_count=2, expire_days=2),
    "context.device": VocabularyRule(min_count=2),
    "item_id": VocabularyRule(expire_days=1),
}


def _random_log() -> dict[str, dict[Key, int]]:
    draw = random.Random(0)
    log: dict[str, dict[Key, int]] = {}
    for ds in DAYS:
        users = Counter(("user_id", draw.choice("abcdefghij")) for _ in range(6))
        devices = Counter(("context.device", draw.choice("pqrstu")) for _ in range(2))
        log[ds] = {**users, **devices}
    return log


LOG = _random_log()


def _story() -> Told:
    """What each row of the log means: an event of a device is one of user `_`, all are of `i`."""
    full = {}
    for ds, seen in LOG.items():
        devices = sum(n for (field, _), n in seen.items() if field == "context.device")
        others = {("user_id", "_"): devices, ("item_id", "i"): sum(seen.values())}
        full[ds] = {**seen, **others}
    return told(full, RULES)


@pytest.fixture(scope="module")
def make(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Workbench]:
    """Lakes with the clean events of the log."""
    del spark
    root = tmp_path_factory.mktemp("vocabularies")

    def made(name: str) -> Workbench:
        shop = Workbench(root / name, dataset(vocabulary=RULES))
        write_clean_events(shop.lake, LOG)
        return shop

    return made


@pytest.fixture(scope="module")
def daily(make: Callable[[str], Workbench]) -> Workbench:
    """The lake that was built day by day."""
    shop = make("daily")
    for ds in DAYS:
        shop.run("encode_profiles", ds)
    return shop


def test_births_and_expiries_are_those_of_the_story(daily: Workbench) -> None:
    story = _story()
    columns = ("ds", "field", "value", "id")
    born = [row for row in daily.rows(VOCABULARIES) if row["born_on"] == row["ds"]]
    assert rows_of(born, *columns) == sorted(story.born)
    columns = ("ds", "field", "id", "state")
    turned = [row for row in daily.rows(EXPIRIES) if row["turned_on"] == row["ds"]]
    assert rows_of(turned, *columns) == sorted(story.turns)
    assert {state for *_, state in story.turns} == {"expired", "returned"}


@pytest.mark.parametrize("ds", DAYS)
def test_the_vocabulary_is_read_as_known_on_any_day(
    daily: Workbench, spark: SparkSession, ds: str
) -> None:
    story = _story()
    born = {(f, v): i for day, f, v, i in story.born if day <= ds}
    expected = sorted((*key, i) for key, i in story.known[ds].items())
    arrow = words_on(daily.lake, ds).to_pylist()
    assert rows_of(arrow, "field", "value", "id") == expected
    then = (F.col("known_from") <= ds) & (F.col("known_until") > ds)
    for days in ((ds,), DAYS):
        rows = words_known(spark, daily.lake, days).where(then).collect()
        assert rows_of([r.asDict() for r in rows], "field", "value", "id") == expected
    gone = sorted((key[0], i) for key, i in born.items() if key not in story.known[ds])
    assert rows_of(expired_on(daily.lake, ds).to_pylist(), "field", "id") == gone
    since = sorted((f, i) for day, f, i, s in story.turns if FIRST < day <= ds and s == "expired")
    found = expired_between(daily.lake, FIRST, ds).to_pylist()
    assert rows_of(found, "field", "id") == since
    waiting = waiting_on(daily.lake, ds).to_pylist()
    expected = sorted((*key, n) for key, n in story.waiting[ds].items())
    assert rows_of(waiting, "field", "value", "count") == expected


def test_all_days_at_once_or_again_give_the_same_rows(
    daily: Workbench, make: Callable[[str], Workbench]
) -> None:
    expected = {table: daily.rows(table) for table in TABLES}
    bulk = make("bulk")
    bulk.run("encode_profiles", *DAYS)
    for table in TABLES:
        assert_same_rows(bulk.rows(table), expected[table])
    daily.run("encode_profiles", DAYS[3])
    for table in TABLES:
        assert_same_rows(daily.rows(table), expected[table])


def test_only_what_was_seen_is_written_but_on_a_base_day(daily: Workbench) -> None:
    seen = {ds: set(LOG[ds]) | {("user_id", "_"), ("item_id", "i")} for ds in DAYS}
    bases = [ds for ds in DAYS if daily.lake.is_base_day(PENDING_VALUES, ds)]
    assert bases == [DAYS[0], DAYS[2]]
    for row in daily.rows(PENDING_VALUES):
        assert row["ds"] in bases or (row["field"], row["value"]) in seen[row["ds"]]
    held = rows_of(daily.rows(VOCABULARIES, DAYS[2]), "born_on", "field", "value", "id")
    assert held == sorted(born for born in _story().born if born[0] <= DAYS[2])
    carried = [row for row in daily.rows(PENDING_VALUES, DAYS[2]) if row["last_seen"] < DAYS[2]]
    assert carried
    assert all(r["last_seen"] == r["ds"] for r in daily.rows(LAST_SEEN) if r["ds"] not in bases)
    assert any(row["last_seen"] < DAYS[2] for row in daily.rows(LAST_SEEN, DAYS[2]))
