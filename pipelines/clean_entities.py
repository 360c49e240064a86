"""Profiles and items of some days: typed, judged, one row per entity and day."""

from __future__ import annotations

from typing import Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.dataset import DatasetConfig
from pipelines.cleaning_rules import attributes_of, fields_of, first_broken, rules_of
from pipelines.cleaning_windows import without_superseded
from pipelines.field_columns import RAW, typed
from pipelines.masking import masked_row, without_id
from pipelines.pseudonym_column import with_pseudonym

EntityStream = Literal["profiles", "items"]


def classified_entities(
    records: DataFrame, stream: EntityStream, dataset: DatasetConfig, keys: DataFrame
) -> DataFrame:
    """Rows of `stream` in the columns of its clean table, with `reason` and `masked_line`.

    Args:
        records: of `read_records`, with the stream's fields.
        stream: which of the two.
        dataset: declares the attributes.
        keys: of `key_frame`.
    """
    fields = fields_of(dataset, stream)
    attributes = attributes_of(dataset, stream)
    rows = typed(records, fields)
    if stream == "profiles":
        rows = with_pseudonym(rows, keys, "user_id")
    judged = rows.withColumn("reason", first_broken(rules_of(dataset, stream), F.col("fault")))
    key = "user_id" if stream == "profiles" else "item_id"
    latest = without_superseded(judged, key)
    masked = masked_row({name: F.col(RAW + name) for name in fields}, set(attributes) | {"user_id"})
    if stream == "profiles":
        masked = without_id(masked, F.col(RAW + "user_id"))
    else:
        masked = masked_row({name: F.col(RAW + name) for name in fields}, ())
    return latest.select(
        *("ds", "file", "line", "reason"),
        F.coalesce("masked_fault", F.when(F.col("reason").isNotNull(), masked)).alias(
            "masked_line"
        ),
        *(name for name in fields if name not in attributes),
        *(F.col(name).alias(f"attr_{name}") for name in attributes),
    )
