"""What the vocabularies of all fields do on some days: who is born, waits, expires, comes back.

Several days at once give the rows that one day after the other gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXPIRIES, LAST_SEEN, PENDING_VALUES, VOCABULARIES, Table
from pipelines.bases import base_days, turns_with_bases, words_with_bases
from pipelines.births import (
    Rules,
    Waiting,
    counted_fields,
    first_seen,
    numbered,
    waiting_before,
    waiting_on_days,
)
from pipelines.expiries import (
    expired_before,
    expiring_fields,
    last_seen_before,
    last_seen_on_days,
    turns_on_days,
)
from pipelines.reserved_words import with_reserved
from pipelines.spark import kept
from pipelines.vocabulary import lives, turns_until, words_born

_VALUE = ["field", "value"]
Frames = dict[Table, Callable[[], DataFrame]]


@dataclass(frozen=True)
class Before:
    """What was known before the first of the days."""

    words: DataFrame
    """ds (day of birth), field, value, id."""
    waiting: DataFrame
    """field, value, ds, count, last_seen, described_on of the values that wait, or waited."""
    last_seen: DataFrame
    """field, id, last_seen."""
    turns: DataFrame | None
    """ds, field, id, state; None = no id ever expired."""


def known_before(spark: SparkSession, lake: Lake, ds: str) -> Before:
    """What the lake says of the days before `ds`."""
    until = shift(ds, -1)
    return Before(
        words_born(spark, lake, until),
        waiting_before(spark, lake, ds),
        last_seen_before(spark, lake, ds),
        turns_until(spark, lake, until, until),
    )


@dataclass(frozen=True)
class VocabularyDays:
    """The vocabularies on `days`."""

    days: Sequence[str]
    rules: Rules
    before: Before
    met: DataFrame
    """ds, field, value, times, described, id of the values that occur; id is null if it was
    born on none of the days before the first one."""
    waiting: Waiting | None
    """None where no field counts."""
    born: DataFrame
    """ds (day of birth), field, value, id of those born on `days`."""

    @property
    def sighted(self) -> DataFrame:
        """ds, field, value, id of the values that occur, where they have an id by that day."""
        columns = ["ds", *_VALUE, "id"]
        old = self.met.where(F.col("id").isNotNull())
        born = self.born.select(*_VALUE, "id", F.col("ds").alias("born_on"))
        new = self.met.where(F.col("id").isNull()).drop("id").join(born, on=_VALUE, how="inner")
        return old.select(columns).unionByName(
            new.where(F.col("ds") >= F.col("born_on")).select(columns)
        )

    @property
    def turns(self) -> DataFrame | None:
        """ds, field, id, state of the turns of `days`; None where no id can expire or come back."""
        before = self.before
        if not (expiring_fields(self.rules) or before.turns):
            return None
        expired = None if before.turns is None else expired_before(before.turns)
        sightings = self.sighted.select("ds", "field", "id")
        return turns_on_days(sightings, before.last_seen, expired, self.days, self.rules)

    @property
    def lives(self) -> DataFrame:
        """field, value, id, known_from, known_until of all values known by the last day."""
        turns = [turns for turns in (self.before.turns, self.turns) if turns is not None]
        words = self.before.words.unionByName(self.born)
        return lives(words, turns[0].unionByName(turns[-1]).distinct() if turns else None)

    def last_seen(self, on_base_days: Sequence[str]) -> DataFrame:
        """Rows of LAST_SEEN."""
        sightings = self.sighted.select("ds", "field", "id")
        return last_seen_on_days(
            sightings, self.before.last_seen, self.lives, on_base_days, self.rules
        )

    def frames(self, lake: Lake) -> Frames:
        """What is to be written, by table; tables that the rules do not need are left out."""
        frames: Frames = {VOCABULARIES: lambda: self._words(lake)}
        waiting = self.waiting
        if waiting is not None:
            on_base_days = base_days(lake, PENDING_VALUES, self.days)
            frames[PENDING_VALUES] = lambda: waiting.pending(self.days, on_base_days, self.rules)
        if expiring_fields(self.rules):
            frames[LAST_SEEN] = lambda: self.last_seen(base_days(lake, LAST_SEEN, self.days))
        if (turns := self.turns) is not None:
            frames[EXPIRIES] = lambda: turns_with_bases(
                turns, self.before.turns, base_days(lake, EXPIRIES, self.days)
            )
        return frames

    def _words(self, lake: Lake) -> DataFrame:
        on_base_days = base_days(lake, VOCABULARIES, self.days)
        return words_with_bases(self.born, self.before.words, on_base_days)


def vocabulary_days(
    seen: DataFrame,
    before: Before,
    days: Sequence[str],
    rules: Rules,
    reserved: DataFrame | None,
    stack: ExitStack,
) -> VocabularyDays:
    """What the vocabularies do on `days`; what is read several times is kept as long as `stack`.

    Args:
        seen: ds, field, value, times, described: a value's occurrences on a day, and whether one
            of them is the profile or item that describes it.
        before: what was known before the first day.
        days: the days, ascending.
        rules: by field.
        reserved: see `reserved_words`.
        stack: holds what is kept.
    """
    met = seen.join(before.words.select(*_VALUE, "id"), on=_VALUE, how="left")
    stack.enter_context(kept(met))
    new = met.where(F.col("id").isNull())
    born, waiting = first_seen(new, rules), None
    if counted_fields(rules):
        waiting = waiting_on_days(new, before.waiting, before.words, days, rules)
        stack.enter_context(kept(waiting.rows))
        born = born.unionByName(waiting.born.select("ds", *_VALUE))
    last_ids = before.words.groupBy("field").agg(F.max("id").alias("last_id"))
    if reserved is not None:
        born = born.join(reserved.select(*_VALUE), on=_VALUE, how="left_anti")
    born = with_reserved(numbered(born, last_ids), reserved)
    stack.enter_context(kept(born))
    return VocabularyDays(days, rules, before, met, waiting, born)
