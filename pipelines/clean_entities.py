"""Profiles and items of some days: typed, judged, one row per entity and day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.dataset import DatasetConfig
from pipelines.cleaning_rules import (
    attributes_of,
    fields_of,
    first_broken,
    own_fields,
    rules_of,
)
from pipelines.cleaning_tombstones import FORGOTTEN, with_forgotten
from pipelines.cleaning_windows import without_superseded
from pipelines.field_columns import RAW, typed
from pipelines.masking import masked_row
from pipelines.personal_fields import shown_fields, starred_cells, without_personal
from pipelines.pseudonym_column import with_pseudonym

EntityStream = Literal["profiles", "items"]


def classified_entities(
    records: DataFrame,
    stream: EntityStream,
    dataset: DatasetConfig,
    keys: DataFrame,
    forgotten: DataFrame | None = None,
) -> DataFrame:
    """Rows of `stream` in the columns of its clean table, with `reason` and `masked_line`.

    Args:
        records: of `read_records`, with the stream's fields.
        stream: which of the two.
        dataset: declares the attributes.
        keys: of `key_frame`.
        forgotten: of `forgotten_frame`; None = nobody is.
    """
    fields = fields_of(dataset, stream)
    own, attributes = own_fields(stream), attributes_of(dataset, stream)
    rows = typed(without_personal(records, list(fields), dataset.personal), fields)
    if stream == "profiles":
        rows = with_forgotten(with_pseudonym(rows, keys, "user_id"), forgotten)
    judged = rows.withColumn("reason", first_broken(rules_of(dataset, stream), F.col("fault")))
    latest = without_superseded(judged, "user_id" if stream == "profiles" else "item_id")
    shown = shown_fields(list(fields), dataset.personal)
    cells = {name: F.col(RAW + name) for name in shown} | starred_cells(dataset.personal)
    readable = F.when(F.col("reason").isNotNull(), _masked(stream, cells, attributes))
    masked = F.when(F.col("reason") == FORGOTTEN, F.lit("")).otherwise(
        F.coalesce("masked_fault", readable)
    )
    return latest.select(
        *("ds", "file", "line", "reason"),
        masked.alias("masked_line"),
        *own,
        *(F.col(name).alias(f"attr_{name}") for name in attributes),
    )


def _masked(stream: EntityStream, cells: Mapping[str, Column], attributes: Iterable[str]) -> Column:
    if stream == "items":
        return masked_row(cells, ())
    return masked_row(cells, {"user_id", *attributes}, cells["user_id"])
