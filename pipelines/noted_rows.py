"""Rows that were kept although they break a rule of severity `warn`: counts and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

EXAMPLES = 3

_OF_A_RULE = ("ds", "stream", "rule")


@dataclass(frozen=True)
class Noted:
    """What one rule noted of a stream's rows on a day."""

    ds: str
    stream: str
    rule: str
    rows: int
    examples: tuple[str, ...]
    """File, line and masked text of the first EXAMPLES rows."""


def noted_rows(streams: Mapping[str, DataFrame]) -> list[Noted]:
    """What the rules noted of the rows that are accepted.

    Args:
        streams: by name, rows with ds, file, line, reason, noted and masked_line.
    """
    found = [
        rows.where(F.col("reason").isNull() & (F.size("noted") > 0)).select(
            *("ds", "file", "line", "masked_line"),
            F.lit(stream).alias("stream"),
            F.explode("noted").alias("rule"),
        )
        for stream, rows in streams.items()
    ]
    first, *others = found
    for frame in others:
        first = first.unionByName(frame)
    of_a_rule = Window.partitionBy(*_OF_A_RULE)
    counted = first.select(
        "*",
        F.count(F.lit(1)).over(of_a_rule).alias("rows"),
        F.row_number().over(of_a_rule.orderBy("file", "line")).alias("rank"),
    )
    by_rule: dict[tuple[str, str, str, int], list[str]] = {}
    for row in counted.where(F.col("rank") <= EXAMPLES).orderBy(*_OF_A_RULE, "rank").collect():
        example = f"{row['file']} line {row['line']}: {row['masked_line']}"
        key = (*(row[name] for name in _OF_A_RULE), row["rows"])
        by_rule.setdefault(key, []).append(example)
    return [
        Noted(ds, stream, rule, rows, tuple(examples))
        for (ds, stream, rule, rows), examples in by_rule.items()
    ]
