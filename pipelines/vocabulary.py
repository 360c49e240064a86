"""Vocabularies in Spark: which values are there, and the ids that stand for them."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from feature_store.lake import Lake
from feature_store.tables import VOCABULARIES
from pipelines.spark import read_days

USER_ID, ITEM_ID = "user_id", "item_id"


def words_until(spark: SparkSession, lake: Lake, ds: str) -> DataFrame:
    """field, value, id of every value born on `ds` or before."""
    days = [day for day in lake.days(VOCABULARIES) if day <= ds]
    return read_days(spark, lake, VOCABULARIES, days, ["field", "value", "id"])


def ids_of(words: DataFrame, field: str, value: str, index: str) -> DataFrame:
    """The words of one field, with their value in column `value` and their id in `index`."""
    return words.where(words["field"] == field).select(
        words["value"].alias(value), words["id"].alias(index)
    )
