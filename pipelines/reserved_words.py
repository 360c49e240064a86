"""Ids that stay as they are when a day is run again.

A forgotten user's id is nobody else's. Once later days have been encoded, all ids of the day stay,
whatever has become of its rows: the later days, and models, mean the same values by them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_store.lake import Lake
from feature_store.tables import VOCABULARIES
from feature_store.traces import NEUTRAL

_COLUMNS = ["ds", "field", "value", "id"]
_BORN_THEN = pc.field("born_on") == pc.field("ds")


def reserved_words(spark: SparkSession, lake: Lake, days: Sequence[str]) -> DataFrame | None:
    """ds, field, value, id of the words born on `days` that stay as they are; None without any."""
    reserved = lake.read(VOCABULARIES, days, _COLUMNS, where=_BORN_THEN)
    if not any(day > days[-1] for day in lake.days(VOCABULARIES)):
        reserved = reserved.filter(pc.starts_with(reserved.column("value"), NEUTRAL))
    return spark.createDataFrame(reserved) if reserved.num_rows else None


def with_reserved(born: DataFrame, reserved: DataFrame | None) -> DataFrame:
    """`born` (ds, field, value, id) and the reserved words, each with an id of its own.

    An id of `born` that is reserved, and all ids after it, move up by one. So the words that are
    born beside a forgotten user have the ids that they had before that user was forgotten.
    """
    if reserved is None:
        return born
    taken = reserved.groupBy("field").agg(F.array_sort(F.collect_list("id")).alias("_taken"))

    def moved(free: Column, reserved_id: Column) -> Column:
        return F.when(reserved_id <= free, free + 1).otherwise(free)

    none = F.array().cast("array<int>")
    return (
        born.join(F.broadcast(taken), on="field", how="left")
        .withColumn("id", F.aggregate(F.coalesce("_taken", none), F.col("id"), moved))
        .select(*_COLUMNS)
        .unionByName(reserved)
    )
