"""Profiles and items of some days: typed, judged, one row per entity and day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.dataset import DatasetConfig
from conf.fields import OWN_FIELDS
from pipelines.cleaning_rules import judged
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
    """Rows of `stream` in the columns of its clean table, with `reason`, `noted`, `masked_line`.

    Args:
        records: of `read_records`, with the stream's fields.
        stream: which of the two.
        dataset: declares the attributes.
        keys: of `key_frame`.
        forgotten: of `forgotten_frame`; None = nobody is.
    """
    fields, attributes = dataset.fields(stream), dataset.attribute_fields(stream)
    rows = typed(without_personal(records, list(fields), dataset.personal), fields)
    if stream == "profiles":
        rows = with_forgotten(with_pseudonym(rows, keys, "user_id"), forgotten)
    reason, noted = judged(dataset, stream)
    rows = rows.withColumns({"reason": reason, "noted": noted})
    latest = without_superseded(rows, "user_id" if stream == "profiles" else "item_id")
    shown = shown_fields(list(fields), dataset.personal)
    cells = {name: F.col(RAW + name) for name in shown} | starred_cells(dataset.personal)
    remarkable = F.col("reason").isNotNull() | (F.size("noted") > 0)
    readable = F.when(remarkable, _masked(stream, cells, attributes))
    masked = F.when(F.col("reason") == FORGOTTEN, F.lit("")).otherwise(
        F.coalesce("masked_fault", readable)
    )
    return latest.select(
        *("ds", "file", "line", "reason", "noted"),
        masked.alias("masked_line"),
        *OWN_FIELDS[stream],
        *(F.col(name).alias(f"attr_{name}") for name in attributes),
    )


def _masked(stream: EntityStream, cells: Mapping[str, Column], attributes: Iterable[str]) -> Column:
    if stream == "items":
        return masked_row(cells, ())
    return masked_row(cells, {"user_id", *attributes}, cells["user_id"])
