"""Expiries: ids whose value stayed away for `expire_days`, and those whose value came back.

A value last seen on L expires on the first day from L + expire_days on, unless it is seen on or
before that day. When it is seen again, it reads as its old id from that day on.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import LAST_SEEN
from pipelines.bases import each_of
from pipelines.births import Rules, expire_days
from pipelines.spark import read_days
from pipelines.vocabulary import EXPIRED, RETURNED

_ID = ("field", "id")
_LONG_AGO = ""
"""In the place of a day, before all others: an id that was expired when the days began."""


def expiring_fields(rules: Rules) -> list[str]:
    """The fields whose values expire."""
    return sorted(field for field, rule in rules.items() if rule.expire_days is not None)


def last_seen_before(spark: SparkSession, lake: Lake, ds: str) -> DataFrame:
    """field, id, last_seen before `ds`, of expired ids too."""
    days = lake.state_days(LAST_SEEN, shift(ds, -1))
    rows = read_days(spark, lake, LAST_SEEN, days, [*_ID, "last_seen"])
    return rows.groupBy(*_ID).agg(F.max("last_seen").alias("last_seen"))


def expired_before(turns: DataFrame) -> DataFrame:
    """field, id of the ids whose latest turn is that they expired."""
    latest = F.max_by("state", "ds").alias("state")
    return turns.groupBy(*_ID).agg(latest).where(F.col("state") == EXPIRED).select(*_ID)


def turns_on_days(
    sightings: DataFrame,
    before: DataFrame,
    expired: DataFrame | None,
    days: Sequence[str],
    rules: Rules,
) -> DataFrame:
    """Rows of EXPIRIES for `days`.

    Args:
        sightings: ds, field, id of the values seen on `days` that have an id.
        before: see `last_seen_before`.
        expired: field, id of those expired before the first day; None = none.
        days: the days, ascending.
        rules: by field.
    """
    due = F.date_add(F.to_date("ds"), expire_days(rules)).cast("string")
    # who was seen too lately cannot expire on these days
    points = before.withColumnRenamed("last_seen", "ds").where(due <= days[-1])
    if expired is not None:
        points = points.join(expired, on=list(_ID), how="left_anti").unionByName(
            expired.withColumn("ds", F.lit(_LONG_AGO))
        )
    points = points.unionByName(sightings.select(*_ID, "ds"))
    following = F.lead("ds").over(Window.partitionBy(*_ID).orderBy("ds"))
    was_expired = F.col("ds") == _LONG_AGO
    listed = each_of(days)
    due = F.date_add(F.to_date(F.nullif(F.col("ds"), F.lit(_LONG_AGO))), expire_days(rules))
    spells = points.select(*_ID, "ds", following.alias("back"), due.cast("string").alias("due"))
    on_day = F.array_min(F.filter(listed, lambda day: day >= F.col("due")))
    ends = spells.withColumn("ends", on_day)
    absent = F.col("ends").isNotNull() & (F.col("back").isNull() | (F.col("ends") < F.col("back")))
    out = ends.where(absent).select(F.col("ends").alias("ds"), *_ID, F.lit(EXPIRED).alias("state"))
    back = ends.where((absent | was_expired) & F.col("back").isNotNull())
    returned = back.select(F.col("back").alias("ds"), *_ID, F.lit(RETURNED).alias("state"))
    return out.unionByName(returned)


def last_seen_on_days(
    sightings: DataFrame,
    before: DataFrame,
    lives: DataFrame,
    base_days: Sequence[str],
    rules: Rules,
) -> DataFrame:
    """Rows of LAST_SEEN for the days of `sightings`; on `base_days` of every id that can expire.

    An id that was never noted before (its field got `expire_days` later) counts as seen then.

    Args:
        sightings: ds, field, id of the values seen that have an id.
        before: see `last_seen_before`.
        lives: field, id, known_from, known_until of every value that may be known on a base day.
        base_days: the base days.
        rules: by field.
    """
    expiring = F.col("field").isin(expiring_fields(rules))
    seen = sightings.where(expiring).select("ds", *_ID, F.col("ds").alias("last_seen"))
    if not base_days:
        return seen
    listed = each_of(base_days)
    there = (
        lives.where(expiring)
        .withColumn("ds", F.explode(listed))
        .where((F.col("ds") >= F.col("known_from")) & (F.col("ds") < F.col("known_until")))
        .select("ds", *_ID)
    )
    noted = before.unionByName(seen.select(*_ID, "last_seen"))
    by_then = (
        noted.withColumn("ds", F.explode(listed))
        .where(F.col("last_seen") <= F.col("ds"))
        .groupBy("ds", *_ID)
        .agg(F.max("last_seen").alias("last_seen"))
    )
    based = there.join(by_then, on=["ds", *_ID], how="left").withColumn(
        "last_seen", F.coalesce("last_seen", "ds")
    )
    others = seen.where(~F.col("ds").isin(list(base_days)))
    return others.unionByName(based.select("ds", *_ID, "last_seen"))
