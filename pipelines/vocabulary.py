"""Vocabularies in Spark: which values are known on which days, and the ids that stand for them."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from feature_store.lake import Lake
from feature_store.tables import EXPIRIES, UNKNOWN, VOCABULARIES
from pipelines.spark import read_days

USER_ID, ITEM_ID = "user_id", "item_id"
FOREVER = "9999-12-31"
EXPIRED, RETURNED = "expired", "returned"


def words_born(spark: SparkSession, lake: Lake, until: str) -> DataFrame:
    """Day of birth (ds), field, value and id of every value born on `until` or before."""
    days = lake.state_days(VOCABULARIES, until)
    rows = read_days(spark, lake, VOCABULARIES, days, ["field", "value", "id", "born_on", "ds"])
    # A day that came late made a base day before the one that there was.
    once = (F.col("ds") == F.col("born_on")) | (F.col("ds") == min(days, default=""))
    return rows.where(once).drop("ds").withColumnRenamed("born_on", "ds")


def turns_until(spark: SparkSession, lake: Lake, first: str, last: str) -> DataFrame | None:
    """Day (ds), field, id and state of the turns up to `last`; None = there are none.

    Those before `first` only as far as they tell what is expired on `first`.
    """
    written = lake.days(EXPIRIES)
    days = {*lake.state_days(EXPIRIES, first), *(day for day in written if first < day <= last)}
    if not days:
        return None
    rows = read_days(spark, lake, EXPIRIES, sorted(days), ["turned_on", "field", "id", "state"])
    return rows.withColumnRenamed("turned_on", "ds").distinct()


def words_known(spark: SparkSession, lake: Lake, days: Sequence[str]) -> DataFrame:
    """field, value, id, known_from, known_until of the values that are known on one of `days`.

    A value reads as its id on the days in [known_from, known_until); one that expired and came
    back has several such rows. "As known on D" is the rows with known_from <= D < known_until.
    """
    born, turns = words_born(spark, lake, days[-1]), turns_until(spark, lake, days[0], days[-1])
    return lives(born, turns).where(F.col("known_until") > days[0])


def lives(born: DataFrame, turns: DataFrame | None) -> DataFrame:
    """field, value, id, known_from, known_until of the values `born`, given when ids expired."""
    words = born.withColumnRenamed("ds", "known_from")
    if turns is None:
        return words.withColumn("known_until", F.lit(FOREVER))
    key = ["field", "id"]
    first_end = turns.groupBy(*key).agg(F.min("ds").alias("ends"))
    following = F.lead("ds").over(Window.partitionBy(*key).orderBy("ds"))
    again = turns.withColumn("ends", following).where(F.col("state") == RETURNED)
    until = F.coalesce("ends", F.lit(FOREVER)).alias("known_until")
    columns = ["field", "value", "id", "known_from"]
    first = words.join(first_end, on=key, how="left").select(*columns, until)
    later = words.drop("known_from").join(again, on=key, how="inner")
    return first.unionByName(later.withColumnRenamed("ds", "known_from").select(*columns, until))


def with_ids(rows: DataFrame, words: DataFrame, field: str, value: str, index: str) -> DataFrame:
    """`rows` with the id of column `value` in `index`, as known on the row's `ds`; else unknown.

    Args:
        rows: ds, `value` and others.
        words: see `words_known`.
        field: the vocabulary.
        value: column of raw values.
        index: the column to add.
    """
    ids = words.where(words["field"] == field).select(
        words["value"].alias("_value"), words["id"].alias("_id"), "known_from", "known_until"
    )
    if field.startswith("context."):
        ids = F.broadcast(ids)
    then = (F.col("ds") >= F.col("known_from")) & (F.col("ds") < F.col("known_until"))
    found = rows.join(ids, on=(F.col(value) == F.col("_value")) & then, how="left")
    unknown = F.coalesce("_id", F.lit(UNKNOWN))
    return found.withColumn(index, unknown).drop("_value", "_id", "known_from", "known_until")


def known_on(values: DataFrame, words: DataFrame) -> DataFrame:
    """Those of `values` (ds, field, value) that are known on their ds, with their id."""
    then = (F.col("ds") >= F.col("known_from")) & (F.col("ds") < F.col("known_until"))
    found = values.join(words, on=["field", "value"], how="inner").where(then)
    return found.select("ds", "field", "value", "id")
