"""build_features: the day's events are folded into decayed sums, sequences and taken items.

A sum decays exponentially: an event counts 2^(-age / half-life), its age in days of 86,400
seconds. So the state at the end of a day is the state at the end of an earlier day, decayed, plus
what arrived since: exact, and without a pass over days that leave a window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from conf.dataset import DatasetConfig
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.step import StepContext, StepResult
from feature_store.tables import (
    EVENTS,
    FIRST_VALUE_ID,
    HALF_LIVES_DAYS,
    ITEM_STATS,
    STATISTICS,
    USER_SEQUENCES,
    USER_STATS,
    USER_TAKEN,
    Table,
    decayed,
)
from pipelines.bases import base_days, each_of
from pipelines.sequences import folded_sequences
from pipelines.spark import commit, ends_at, in_days, kept, read_days, session, stage_all
from pipelines.taken_items import taken_items
from pipelines.vocabulary import ITEM_ID, USER_ID, with_ids, words_known

_COUNTED = ("impression", "click", "favourite", "purchase")
_DAYS_AT_ONCE = 365
"""Longest range summed at one scale: 2^365 keeps all digits of a double, 2^1024 is none."""
_SUMS = tuple(decayed(name, half_life) for name in STATISTICS for half_life in HALF_LIVES_DAYS)


def run(context: StepContext) -> StepResult:
    """The state of users and items at the end of each day, for those that changed."""
    rows: Counter[str] = Counter()
    for start in range(0, len(context.days), _DAYS_AT_ONCE):
        rows.update(_fold(context, context.days[start : start + _DAYS_AT_ONCE]))
    return StepResult(
        f"{rows[USER_STATS.key]:,} users, {rows[ITEM_STATS.key]:,} items, "
        f"{rows[USER_SEQUENCES.key]:,} sequences updated"
    )


def _fold(context: StepContext, days: Sequence[str]) -> dict[str, int]:
    """Write the state of `days`, given that of the days before; the rows written, by table."""
    spark, lake, dataset = session(context.settings), context.lake, context.dataset
    events = indexed_events(spark, lake, days, dataset)
    stats = partial(folded_stats, spark, lake, events, days=days, dataset=dataset)

    def sequences() -> DataFrame:
        return folded_sequences(
            events.where(_known("user_index") & _known("item_index")),
            previous_state(spark, lake, USER_SEQUENCES, days),
            days,
            base_days(lake, USER_SEQUENCES, days),
            context.settings.features.sequence_length,
            dataset.cleaning.lateness_days,
        )

    frames: dict[Table, Callable[[], DataFrame]] = {
        USER_STATS: partial(stats, USER_STATS),
        ITEM_STATS: partial(stats, ITEM_STATS),
        USER_SEQUENCES: sequences,
        USER_TAKEN: partial(taken_items, spark, lake, days, base_days(lake, USER_TAKEN, days)),
    }
    with kept(events):
        staged = stage_all(frames, lake, days)
    return commit(lake, staged, days, {"step": "build_features", "ds": context.ds})


def positive_weight(dataset: DatasetConfig) -> Column:
    """The weight of a positive event, 0 for every other event."""
    weight = F.lit(0.0)
    for event_type, value in sorted(dataset.positive.items()):
        weight = F.when(F.col("event_type") == event_type, F.lit(value)).otherwise(weight)
    if dataset.labels.of_values:
        liked = F.col("value") >= F.lit(dataset.labels.threshold)
        weight = F.when(liked, weight).otherwise(0.0)
    return weight


def indexed_events(
    spark: SparkSession, lake: Lake, days: Sequence[str], dataset: DatasetConfig
) -> DataFrame:
    """The events of `days` by user_index and item_index, with one column per statistic.

    Both are as known on the event's ds; 0 = unknown.
    """
    words = words_known(spark, lake, days)
    columns = ["ds", "event_id", "event_timestamp", "event_type", USER_ID, ITEM_ID, "value"]
    events = read_days(spark, lake, EVENTS, days, columns)
    statistics = {
        **{name: (F.col("event_type") == name).cast("double") for name in _COUNTED},
        "positive": positive_weight(dataset),
        "valued": F.col("value").isNotNull().cast("double"),
        "value": F.coalesce("value", F.lit(0.0)),
    }
    of_users = with_ids(events, words, USER_ID, USER_ID, "user_index")
    return with_ids(of_users, words, ITEM_ID, ITEM_ID, "item_index").select(
        *("ds", "event_id", "event_timestamp", "user_index", "item_index"),
        in_days(ends_at(F.col("ds"), dataset.time_zone)).alias("day_end"),
        *(column.alias(name) for name, column in statistics.items()),
    )


def _known(index: str) -> Column:
    return F.col(index) >= FIRST_VALUE_ID


def previous_state(spark: SparkSession, lake: Lake, table: Table, days: Sequence[str]) -> DataFrame:
    """The latest row of each entity of `table` as known before the first of `days`."""
    rows = read_days(spark, lake, table, lake.state_days(table, shift(days[0], -1)))
    latest = Window.partitionBy(str(table.entity)).orderBy(F.desc("ds"))
    return rows.withColumn("_age", F.row_number().over(latest)).where("_age = 1").drop("_age")


def folded_stats(
    spark: SparkSession,
    lake: Lake,
    events: DataFrame,
    table: Table,
    days: Sequence[str],
    dataset: DatasetConfig,
) -> DataFrame:
    """Rows of `table` (USER_STATS or ITEM_STATS) for `days`."""
    entity = str(table.entity)
    previous = previous_state(spark, lake, table, days).withColumn(
        "day_end", in_days(ends_at(F.col("ds"), dataset.time_zone))
    )
    arrived = day_partials(events.where(_known(entity)), entity)
    carried = _base_rows(arrived, previous, entity, base_days(lake, table, days), dataset)
    partials = previous.unionByName(arrived).unionByName(carried, allowMissingColumns=True)
    by_day = partials.groupBy(entity, "ds", "day_end").agg(
        F.min("first_event_timestamp").alias("first_event_timestamp"),
        F.max("last_event_timestamp").alias("last_event_timestamp"),
        *(F.coalesce(F.sum(name), F.lit(0.0)).alias(name) for name in _SUMS),
    )
    end = in_days(ends_at(F.lit(days[-1]), dataset.time_zone))
    return cumulated(by_day, entity, end).where(F.col("ds") >= days[0])


def day_partials(events: DataFrame, entity: str) -> DataFrame:
    """What one day adds to each entity's sums, decayed to the end of that day."""
    age = F.col("day_end") - in_days(F.col("event_timestamp"))
    aged = events.select("*", *(_power(-age, h).alias(f"_h{h}") for h in HALF_LIVES_DAYS))
    return aged.groupBy("ds", "day_end", entity).agg(
        F.min("event_timestamp").alias("first_event_timestamp"),
        F.max("event_timestamp").alias("last_event_timestamp"),
        *(
            F.sum(F.col(name) * F.col(f"_h{h}")).alias(decayed(name, h))
            for name in STATISTICS
            for h in HALF_LIVES_DAYS
        ),
    )


def cumulated(by_day: DataFrame, entity: str, end: Column) -> DataFrame:
    """The state at the end of each day, from what each day added.

    All days are decayed to `end` (not before the last of them), summed in order, and each sum is
    scaled back to its own day. What is too old for that is zero by then.
    """
    # Not to the entity's own last day: then not even the last bit depends on when that is.
    so_far = (
        Window.partitionBy(entity)
        .orderBy("day_end")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    to_end = end - F.col("day_end")
    scaled = by_day.select(
        "*",
        *(_power(-to_end, h).alias(f"_down{h}") for h in HALF_LIVES_DAYS),
        *(_power(to_end, h).alias(f"_up{h}") for h in HALF_LIVES_DAYS),
    )
    return scaled.select(
        "ds",
        entity,
        F.min("first_event_timestamp").over(so_far).alias("first_event_timestamp"),
        F.max("last_event_timestamp").over(so_far).alias("last_event_timestamp"),
        *(
            (
                F.sum(F.col(decayed(name, h)) * F.col(f"_down{h}")).over(so_far) * F.col(f"_up{h}")
            ).alias(decayed(name, h))
            for name in STATISTICS
            for h in HALF_LIVES_DAYS
        ),
    )


def _power(days: Column, half_life: int) -> Column:
    return F.pow(F.lit(2.0), days / half_life)


def _base_rows(
    arrived: DataFrame,
    previous: DataFrame,
    entity: str,
    on_days: Sequence[str],
    dataset: DatasetConfig,
) -> DataFrame:
    """An empty addition on each base day for every entity known before it."""
    known = previous.select(entity, "ds").unionByName(arrived.select(entity, "ds"))
    born = known.groupBy(entity).agg(F.min("ds").alias("born"))
    listed = each_of(on_days)
    return (
        born.select(entity, "born", F.explode(listed).alias("ds"))
        .where(F.col("ds") > F.col("born"))
        .select(entity, "ds", in_days(ends_at(F.col("ds"), dataset.time_zone)).alias("day_end"))
    )
