"""build_examples: events whose label became final become labelled rows.

A label is final when no further event can change it: for impressions when the attribution window
has closed, for ratings and positive events on arrival. Each event enters exactly one day; only an
impression whose window closes on a day that was waived enters none, for nobody knows its label.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.dataset import DatasetConfig
from feature_store.days import days_between, shift
from feature_store.lake import Lake
from feature_store.step import StepContext, StepResult
from feature_store.tables import EVENTS, EXAMPLES, MISSING
from pipelines.build_features import positive_weight
from pipelines.spark import commit, day_of, read_days, session, stage_all
from pipelines.vocabulary import ITEM_ID, USER_ID, with_ids, words_known


def run(context: StepContext) -> StepResult:
    """The examples whose label became final on each of the days."""
    spark, lake, days = session(context.settings), context.lake, context.days
    dataset = context.dataset
    if dataset.labels.kind == "impressions":
        labelled = labelled_impressions(spark, lake, days, dataset)
    else:
        labelled = labelled_on_arrival(read_days(spark, lake, EVENTS, days), dataset)
    examples = encoded_examples(labelled, words_known(spark, lake, days), dataset)
    staged = stage_all({EXAMPLES: lambda: examples}, lake, days)
    rows = commit(lake, staged, days, {"step": "build_examples", "ds": context.ds})
    return StepResult(f"{rows[EXAMPLES.key]:,} examples with a final label")


def labelled_impressions(
    spark: SparkSession, lake: Lake, days: Sequence[str], dataset: DatasetConfig
) -> DataFrame:
    """The impressions that mature on `days`, with label and weight.

    An impression matures on the first day that ends at or after its window's end, but not before
    the day on which it arrived.
    """
    reach = dataset.cleaning.lateness_days + dataset.labels.attribution_days + 2
    since = shift(days[0], -reach)
    events = read_days(spark, lake, EVENTS, days_between(since, days[-1]))
    closes = F.col("event_timestamp") + _minutes(dataset.labels.attribution_window_minutes)
    just_before = closes - F.expr("interval 1 microsecond")
    matures = F.greatest(F.col("ds"), day_of(just_before, dataset.time_zone).cast("string"))
    shown = (
        events.where(F.col("event_type") == "impression")
        .withColumn("closes", closes)
        .withColumn("matures", matures)
        .where(F.col("matures").between(days[0], days[-1]))
    )
    wanted = events.withColumn("wanted_weight", positive_weight(dataset)).where("wanted_weight > 0")
    wanted = wanted.select(
        USER_ID,
        ITEM_ID,
        F.col("event_timestamp").alias("wanted_at"),
        F.col("ds").alias("wanted_ds"),
        F.col("request_id").alias("wanted_request_id"),
        "wanted_weight",
    )
    arrival = ("ds", "event_id")  # an id may come again on a later day and is another event then
    in_window = F.col("wanted_at").between(F.col("event_timestamp"), F.col("closes"))
    same_slate = F.coalesce(F.col("request_id") == F.col("wanted_request_id"), F.lit(True))
    arrived = F.col("wanted_ds") <= F.col("matures")
    answers = (
        shown.select(
            *arrival, USER_ID, ITEM_ID, "event_timestamp", "closes", "request_id", "matures"
        )
        .join(wanted, on=[USER_ID, ITEM_ID], how="inner")
        .where(in_window & same_slate & arrived)
        .groupBy(*arrival)
        .agg(F.max("wanted_weight").alias("wanted_weight"))
    )
    return (
        shown.join(answers, on=list(arrival), how="left")
        .drop("ds")
        .withColumnRenamed("matures", "ds")
        .withColumn("label", F.col("wanted_weight").isNotNull().cast("double"))
        .withColumn("weight", F.coalesce("wanted_weight", F.lit(1.0)))
    )


def labelled_on_arrival(events: DataFrame, dataset: DatasetConfig) -> DataFrame:
    """Rated events with label value >= threshold, or every positive event with label 1.

    Where labels are a `rating`, the label is the value's place on the scale, 0 to 1; a value
    outside the scale gives no example.
    """
    kinds = sorted(dataset.positive)
    rated = events.where(F.col("event_type").isin(kinds))
    if dataset.labels.of_values:
        rated = rated.where(F.col("value").isNotNull())
    weight = positive_weight(dataset)
    label = (weight > 0).cast("double")
    if dataset.labels.kind == "rating":
        lowest, highest = dataset.labels.rating_scale
        rated = rated.where(F.col("value").between(lowest, highest))
        label = (F.col("value") - lowest) / (highest - lowest)
    return rated.withColumn("label", label).withColumn(
        "weight", F.when(weight > 0, weight).otherwise(1.0)
    )


def encoded_examples(labelled: DataFrame, words: DataFrame, dataset: DatasetConfig) -> DataFrame:
    """`labelled` with ids for its users, items and context, and the local hour and weekday.

    Ids are as known on the example's ds; a value without one is unknown, an absent one missing.
    """
    local = F.from_utc_timestamp("event_timestamp", dataset.time_zone)
    of_users = with_ids(labelled, words, USER_ID, USER_ID, "user_index")
    rows = with_ids(of_users, words, ITEM_ID, ITEM_ID, "item_index")
    for field in dataset.context:
        rows = rows.withColumn(f"_{field}", F.col("context")[field])
        rows = with_ids(rows, words, f"context.{field}", f"_{field}", f"_id_{field}")
        given = F.col(f"_{field}").isNotNull()
        rows = rows.withColumn(f"ctx_{field}", F.when(given, F.col(f"_id_{field}")))
    return rows.select(
        "ds",
        F.col("event_id").alias("example_id"),
        *("event_timestamp", "event_ds", "user_index", "item_index", "request_id", "position"),
        F.hour(local).alias("hour"),
        F.weekday(local).alias("weekday"),
        *("label", "value", "weight"),
        *(F.coalesce(f"ctx_{f}", F.lit(MISSING)).alias(f"ctx_{f}") for f in dataset.context),
    )


def _minutes(minutes: int) -> Column:
    return F.make_dt_interval(mins=F.lit(minutes))
