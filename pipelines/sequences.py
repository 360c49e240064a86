"""The last positive items of each user, folded forward day by day."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.bases import each_of

_ENTRY = "struct<event_timestamp:timestamp,ds:string,tie:string,item:int>"


def folded_sequences(
    events: DataFrame,
    previous: DataFrame,
    days: Sequence[str],
    on_base_days: Sequence[str],
    length: int,
    lateness_days: int,
) -> DataFrame:
    """Rows of USER_SEQUENCES: the last `length` items of each user with a positive event that day.

    Items are in the order of (event_timestamp, arrival day, event_id); late ones are put where
    they belong. On base days every user known before has a row.

    Args:
        events: ds, event_id, event_timestamp, user_index, item_index, positive.
        previous: the latest USER_SEQUENCES row of each user before the first day.
        days: the days to write.
        on_base_days: those of them on which every user has a row.
        length: most items of a sequence.
        lateness_days: an event arrives at most this many days after it happened.
    """
    known = _arrived(events, length).unionByName(_earlier(previous))
    per_day = (
        known.unionByName(_carried(known, on_base_days))
        .groupBy("user_index", "ds")
        .agg(F.flatten(F.collect_list("entries")).alias("entries"))
    )
    # An event that arrived before `length` other days with events, and before those that can hold
    # something older than it, is not among the last: so a row looks at a bounded number of days.
    reach = length + lateness_days + 2 + len(on_base_days)
    so_far = Window.partitionBy("user_index").orderBy("ds").rowsBetween(-reach, Window.currentRow)
    last = _last(F.flatten(F.collect_list("entries").over(so_far)), length)
    return (
        per_day.withColumn("last", last)
        .where(F.col("ds").between(days[0], days[-1]))
        .select(
            "ds",
            "user_index",
            F.col("last.item").alias("item_indices"),
            F.col("last.event_timestamp").alias("event_timestamps"),
        )
    )


def _arrived(events: DataFrame, length: int) -> DataFrame:
    entry = F.struct(
        "event_timestamp", "ds", F.col("event_id").alias("tie"), F.col("item_index").alias("item")
    )
    return (
        events.where(F.col("positive") > 0)
        .groupBy("user_index", "ds")
        .agg(_last(F.collect_list(entry), length).alias("entries"))
    )


def _earlier(previous: DataFrame) -> DataFrame:
    """What was known before: first among equal times, in the order in which it was kept."""

    def entry(pair: Column, position: Column) -> Column:
        return F.struct(
            pair["event_timestamps"].alias("event_timestamp"),
            F.lit("").alias("ds"),
            F.lpad(position.cast("string"), 10, "0").alias("tie"),
            pair["item_indices"].alias("item"),
        )

    pairs = F.arrays_zip("event_timestamps", "item_indices")
    return previous.select("user_index", "ds", F.transform(pairs, entry).alias("entries"))


def _carried(known: DataFrame, on_base_days: Sequence[str]) -> DataFrame:
    """Nothing new on each base day, for every user known before it."""
    listed = each_of(on_base_days)
    born = known.groupBy("user_index").agg(F.min("ds").alias("born"))
    rows = born.select("user_index", "born", F.explode(listed).alias("ds")).where("ds > born")
    nothing = F.array().cast(f"array<{_ENTRY}>")
    return rows.select("user_index", "ds", nothing.alias("entries"))


def _last(entries: Column, length: int) -> Column:
    ordered = F.array_sort(entries)
    return F.slice(ordered, F.greatest(F.size(ordered) - length + 1, F.lit(1)), length)
