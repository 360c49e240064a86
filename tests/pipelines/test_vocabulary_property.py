"""Random logs: ids, waiting values and expiries are those of a story told with dictionaries."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from conf.vocabulary import VocabularyRule
from feature_store.days import days_between, shift
from pipelines.vocabulary_days import Before, vocabulary_days
from tests.pipelines.vocabulary_oracle import Log, Told, rows_of, told
from tests.pipelines.workbench import MONDAY, Row

pytestmark = pytest.mark.spark

FIELDS = tuple(f"item.f{n}" for n in range(6))
DAYS = tuple(days_between(MONDAY, shift(MONDAY, 7)))
WORDS = "ds string, field string, value string, id int"
WAITING = "field string, value string, ds string, count long, last_seen string, described_on string"
LAST_SEEN = "field string, id int, last_seen string"
TURNS = "ds string, field string, id int, state string"
SEEN = "ds string, field string, value string, times long, described boolean"

rules = st.builds(
    VocabularyRule, min_count=st.integers(1, 4), expire_days=st.none() | st.integers(1, 3)
)
occurrences = st.dictionaries(
    st.tuples(st.sampled_from(FIELDS), st.sampled_from("abcde")), st.integers(1, 3), max_size=16
)


class Lake:
    """What the tables hold so far, as lists of rows."""

    def __init__(self, spark: SparkSession, rules: dict[str, VocabularyRule]) -> None:
        self._spark, self._rules = spark, rules
        self.born: list[Row] = []
        self.turns: list[Row] = []
        self.waiting: dict[tuple[str, str], Row] = {}
        self.last_seen: dict[tuple[str, int], Row] = {}

    def run(self, log: Log, days: tuple[str, ...]) -> None:
        """`days` in one pass."""
        seen = [(ds, *key, n, False) for ds in days for key, n in log[ds].items()]
        before = Before(
            self._frame(self.born, WORDS),
            self._frame(list(self.waiting.values()), WAITING),
            self._frame(list(self.last_seen.values()), LAST_SEEN),
            self._frame(self.turns, TURNS) if self.turns else None,
        )
        with ExitStack() as stack:
            made = vocabulary_days(
                self._spark.createDataFrame(seen, SEEN), before, days, self._rules, None, stack
            )
            born = _rows(made.born)
            turns = [] if made.turns is None else _rows(made.turns)
            waiting = [] if made.waiting is None else _rows(made.waiting.pending(days, [], {}))
            noted = _rows(made.last_seen([]))
        self.born += born
        self.turns += turns
        for row in sorted(waiting, key=lambda row: row["ds"]):
            names = [name.split()[0] for name in WAITING.split(", ")]
            self.waiting[row["field"], row["value"]] = {name: row[name] for name in names}
        for row in sorted(noted, key=lambda row: row["ds"]):
            self.last_seen[row["field"], row["id"]] = {
                name: row[name] for name in ("field", "id", "last_seen")
            }

    def _frame(self, rows: list[Row], schema: str) -> DataFrame:
        names = [column.split()[0] for column in schema.split(", ")]
        return self._spark.createDataFrame([[row[n] for n in names] for row in rows], schema)


def _rows(frame: DataFrame) -> list[Row]:
    return [row.asDict() for row in frame.collect()]


def _assert_story(lake: Lake, story: Told) -> None:
    assert rows_of(lake.born, "ds", "field", "value", "id") == sorted(story.born)
    assert rows_of(lake.turns, "ds", "field", "id", "state") == sorted(story.turns)


@pytest.mark.slow
@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(occurrences, min_size=len(DAYS), max_size=len(DAYS)),
    st.lists(rules, min_size=len(FIELDS), max_size=len(FIELDS)),
    st.sets(st.integers(1, len(DAYS) - 1), max_size=2),
)
def test_ids_do_not_depend_on_how_the_days_are_split(
    spark: SparkSession,
    daily: list[dict[tuple[str, str], int]],
    drawn: list[VocabularyRule],
    cuts: set[int],
) -> None:
    log, by_field = dict(zip(DAYS, daily, strict=True)), dict(zip(FIELDS, drawn, strict=True))
    story = told(log, by_field)
    whole, pieces = Lake(spark, by_field), Lake(spark, by_field)
    whole.run(log, DAYS)
    _assert_story(whole, story)
    for start, end in pairwise([0, *sorted(cuts), len(DAYS)]):
        pieces.run(log, DAYS[start:end])
    _assert_story(pieces, story)
    for field in FIELDS:
        ids = sorted(i for (f, _), i in story.ids.items() if f == field)
        assert ids == list(range(2, len(ids) + 2))
