"""Which user took which item: a day's pairs, and on base days every pair so far."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EVENTS, USER_TAKEN
from pipelines.bases import each_of
from pipelines.spark import read_days

_PAIR = ("user_id", "item_id")


def taken_items(
    spark: SparkSession, lake: Lake, days: Sequence[str], on_base_days: Sequence[str]
) -> DataFrame:
    """Rows of USER_TAKEN: the pairs of each day's positive events.

    On base days those of all days before come to them; only then is an earlier day read.

    Args:
        spark: the session.
        lake: where the events and the earlier rows are.
        days: the days to write, ascending.
        on_base_days: those of them on which every pair so far has a row.
    """
    positive = sorted(lake.dataset.positive)
    events = read_days(spark, lake, EVENTS, days, ["ds", *_PAIR, "event_type"])
    arrived = events.where(F.col("event_type").isin(positive)).select("ds", *_PAIR).distinct()
    if not on_base_days:
        return arrived
    before = lake.state_days(USER_TAKEN, shift(days[0], -1))
    known = read_days(spark, lake, USER_TAKEN, before).unionByName(arrived)
    first = known.groupBy(*_PAIR).agg(F.min("ds").alias("first_ds"))
    bases = each_of(on_base_days)
    carried = first.withColumn("ds", F.explode(bases)).where("ds > first_ds")
    return arrived.unionByName(carried.select("ds", *_PAIR)).distinct()
