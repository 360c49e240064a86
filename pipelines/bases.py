"""Base days: on the first written day of each block, a table holds more than what that day changed.

So what is read to know the past does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from feature_store.days import end_of_day, ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import (
    BASE_EVERY_DAYS,
    ENCODED_ITEMS,
    EXPIRIES,
    PENDING_VALUES,
    USERS,
    VOCABULARIES,
    Table,
)
from pipelines.spark import read_days, starts_at
from pipelines.vocabulary import EXPIRED

_SINCE = {
    VOCABULARIES: "born_on",
    PENDING_VALUES: "last_seen",
    EXPIRIES: "turned_on",
    USERS: "valid_from",
    ENCODED_ITEMS: "valid_from",
}
"""The column that tells a row of an earlier day."""


def base_days(lake: Lake, table: Table, days: Sequence[str]) -> list[str]:
    """Those of `days` on which every entity's state is written (see `Lake.is_base_day`)."""
    blocks = [ordinal(ds) // BASE_EVERY_DAYS for ds in days]
    first_of_block = [ds for n, ds in enumerate(days) if n == 0 or blocks[n] != blocks[n - 1]]
    return [ds for ds in first_of_block if lake.is_base_day(table, ds)]


def each_of(days: Sequence[str]) -> Column:
    """`days` as an array."""
    return F.array(*(F.lit(ds) for ds in days)).cast("array<string>")


def carried_rows(lake: Lake, table: Table, days: Sequence[str]) -> int:
    """Rows of `table` that are there because their day, one of `days`, is a base day."""
    zone = lake.dataset.zone

    def earlier(ds: str) -> pc.Expression:
        begins = end_of_day(shift(ds, -1), zone) if table in (USERS, ENCODED_ITEMS) else ds
        return pc.field(_SINCE[table]) < pa.scalar(begins)

    return sum(
        lake.read(table, [ds], [_SINCE[table]], where=earlier(ds)).num_rows
        for ds in base_days(lake, table, days)
    )


def words_with_bases(born: DataFrame, before: DataFrame, on_base_days: Sequence[str]) -> DataFrame:
    """Rows of VOCABULARIES: the values on their day of birth, on base days all born before too.

    Args:
        born: ds (day of birth), field, value, id of the values born on the days to write.
        before: the same of those born before.
        on_base_days: the base days.
    """
    rows = born.withColumn("born_on", F.col("ds"))
    if not on_base_days:
        return rows
    carried = (
        before.unionByName(born)
        .withColumnRenamed("ds", "born_on")
        .withColumn("ds", F.explode(each_of(on_base_days)))
        .where(F.col("born_on") < F.col("ds"))
    )
    return rows.unionByName(carried)


def turns_with_bases(
    turns: DataFrame, before: DataFrame | None, on_base_days: Sequence[str]
) -> DataFrame:
    """Rows of EXPIRIES: the turns on their day, on base days every id that is expired by then too.

    Args:
        turns: ds, field, id, state of the days to write.
        before: the same of the days before; None = there are none.
        on_base_days: the base days.
    """
    rows = turns.withColumn("turned_on", F.col("ds"))
    if not on_base_days:
        return rows
    known = turns if before is None else before.unionByName(turns)
    carried = (
        known.withColumnRenamed("ds", "turned_on")
        .withColumn("ds", F.explode(each_of(on_base_days)))
        .where(F.col("turned_on") <= F.col("ds"))
        .groupBy("ds", "field", "id")
        .agg(F.max_by(F.struct("state", "turned_on"), "turned_on").alias("latest"))
        .select("ds", "field", "id", "latest.*")
        .where((F.col("state") == EXPIRED) & (F.col("turned_on") < F.col("ds")))
    )
    return rows.unionByName(carried)


def entities_with_bases(
    spark: SparkSession, lake: Lake, table: Table, rows: DataFrame, days: Sequence[str]
) -> DataFrame:
    """Rows of USERS or of ENCODED_ITEMS: on base days also those that hold when the day begins.

    A user or item that changes on a base day has both: what it was in the morning is read from
    there as well.

    Args:
        spark: the session.
        lake: where the earlier rows are.
        table: which of the two.
        rows: what changed on `days`, in the columns of the table.
        days: the days to write, ascending.
    """
    on_base_days = base_days(lake, table, days)
    if not on_base_days:
        return rows
    before = read_days(spark, lake, table, lake.state_days(table, shift(days[0], -1)))
    in_order = Window.partitionBy(str(table.entity), "base_ds").orderBy("valid_from", "ds")
    following = F.lead("valid_from").over(in_order)
    begins = starts_at(F.col("base_ds"), lake.dataset.time_zone)
    held = (
        before.unionByName(rows)
        .withColumn("base_ds", F.explode(each_of(on_base_days)))
        .where(F.col("ds") <= F.col("base_ds"))
        .withColumn("_following", following)
        .where("_following is null or _following > valid_from")
        .where(F.col("_following").isNull() | (F.col("_following") > begins))
        .drop("ds", "_following")
        .withColumnRenamed("base_ds", "ds")
    )
    return rows.where(~F.col("ds").isin(on_base_days)).unionByName(held)
