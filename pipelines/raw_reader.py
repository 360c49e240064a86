"""Raw files as records of text: one row per line (or Parquet row), whatever the format.

Every field is read as text; what it means is decided by the cleaning rules. A record knows its
file and its line, and carries a `fault` where it cannot be read at all.

A line is one JSON object, or one CSV row under the file's header. Spark's JSON parser stops
after the first value of a text, so the line is parsed as the first element of an array whose
second element is the line's own checksum: junk, a second object or a missing end break the array.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from conf.fields import Stream
from feature_store.raw_zone import PACKED, RawZone
from pipelines.masking import masked_csv_line, masked_json_line
from pipelines.raw_formats import FormatGroup, by_format
from pipelines.spark import empty_frame

INVALID_UTF8 = "invalid_utf8"
BLANK_LINE = "blank_line"
MALFORMED = "malformed"

RECORD = ("ds", "file", "line", "fault", "masked_fault")
"""Columns of a record before its fields. `fault` is a reason code or null; `masked_fault` is the
masked line where there is one. The fields of a faulty record mean nothing."""

SPLIT_BYTES = 128 * 1024 * 1024
"""Plain text files above this size are read by several tasks."""

_BYTE_ORDER_MARK = "\ufeff"
_BLANK = r"^\s*$"
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF_A_PAIR = rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}"
_INT_MAX = 2**31 - 1
_ROW_IN_TASK = (1 << 33) - 1
"""Bits of `monotonically_increasing_id` that count rows within one task."""
_END = "_end"
_UNREAD = "_unread"
_LINE_AND_END = 2
_JSON_OPTIONS = {"allowSingleQuotes": "false"}
_CSV_OPTIONS = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _UNREAD, "escape": '"'}
# Spark's JSON has milliseconds by default; an instant keeps its microseconds and its offset.
_PARQUET_JSON_OPTIONS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}


@contextmanager
def one_task_per_file(spark: SparkSession) -> Iterator[None]:
    """Within the block, a task reads one file (or one split of it): what line numbers rest on."""
    names = ("spark.sql.files.maxPartitionBytes", "spark.sql.files.openCostInBytes")
    before = {name: spark.conf.get(name) for name in names}
    for name in names:
        spark.conf.set(name, str(SPLIT_BYTES))
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, str(value))


def read_records(
    spark: SparkSession, zone: RawZone, stream: Stream, days: Sequence[str], fields: Sequence[str]
) -> DataFrame:
    """One row per raw row of `days`: the columns RECORD, then `fields` as text.

    Must be run within `one_task_per_file`.

    Raises:
        SourceError: a file has an unknown suffix, or a CSV file has no header.
    """
    text, tables, parquet = by_format(zone, stream, days)
    root = zone.root / stream
    frames = [
        *(_json_records(_lines(spark, root, files), fields) for files in text),
        *(_csv_records(_lines(spark, root, files), files.header, fields) for files in tables),
        *(_parquet_records(spark, root, files, fields) for files in parquet),
    ]
    if not frames:
        return empty_frame(spark, _record_schema(fields))
    records = reduce(DataFrame.unionByName, frames)
    # What follows from the day alone is then computed once, not for each row.
    return records.withColumn("ds", F.lit(days[0])) if len(days) == 1 else records


def count_rows(
    spark: SparkSession, zone: RawZone, streams: Sequence[Stream], days: Sequence[str]
) -> dict[tuple[str, str], int]:
    """Raw rows by (ds, stream), counted from the files without parsing them."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    frames = []
    for stream in streams:
        text, tables, parquet = by_format(zone, stream, days)
        root = zone.root / stream
        days_read = [
            *(_read_text(spark, root, files).select("ds") for files in (*text, *tables)),
            *(_read_parquet(spark, root, files).select("ds") for files in parquet),
        ]
        frames += [frame.select("ds", F.lit(stream).alias("stream")) for frame in days_read]
        for files in tables:
            for path in files.paths:
                counts[_day_of(path), stream] -= 1
    if frames:
        rows = reduce(DataFrame.unionByName, frames).groupBy("ds", "stream").count().collect()
        for row in rows:
            counts[row["ds"], row["stream"]] += row["count"]
    return counts


# ---- files -------------------------------------------------------------------------------------


def _day_of(path: Path) -> str:
    return path.parent.name.removeprefix("ds=")


def _read_text(spark: SparkSession, root: Path, files: FormatGroup) -> DataFrame:
    reader = spark.read.option("basePath", str(root))
    return reader.text([str(path) for path in files.paths])


def _read_parquet(spark: SparkSession, root: Path, files: FormatGroup) -> DataFrame:
    reader = spark.read.option("basePath", str(root))
    return reader.parquet(*(str(path) for path in files.paths))


# ---- lines -------------------------------------------------------------------------------------


def _lines(spark: SparkSession, root: Path, files: FormatGroup) -> DataFrame:
    """ds, file, line (from 1, as editors count) and text of every line."""
    numbered = _read_text(spark, root, files).select(
        "ds",
        F.col("_metadata.file_name").alias("file"),
        F.col("_metadata.file_block_start").alias("block"),
        (F.monotonically_increasing_id().bitwiseAND(F.lit(_ROW_IN_TASK)) + 1).alias("line"),
        F.col("value").alias("text"),
    )
    if any(path.suffix not in PACKED and path.stat().st_size > SPLIT_BYTES for path in files.paths):
        numbered = _continued(numbered)
    if files.header:
        numbered = numbered.where(F.col("line") > 1)
    has_mark = F.col("text").startswith(_BYTE_ORDER_MARK)
    text = F.when(has_mark, F.substring("text", 2, _INT_MAX)).otherwise(F.col("text"))
    return numbered.select("ds", "file", "line", text.alias("text"))


def _continued(numbered: DataFrame) -> DataFrame:
    """`numbered` where the lines of a file's later splits go on from those of the earlier ones."""
    earlier = (
        Window.partitionBy("ds", "file").orderBy("block").rowsBetween(Window.unboundedPreceding, -1)
    )
    blocks = numbered.groupBy("ds", "file", "block").agg(F.count(F.lit(1)).alias("lines"))
    starts = blocks.select(
        "ds", "file", "block", F.coalesce(F.sum("lines").over(earlier), F.lit(0)).alias("before")
    )
    joined = numbered.join(F.broadcast(starts), on=["ds", "file", "block"], how="inner")
    return joined.withColumn("line", F.col("line") + F.col("before")).drop("before")


def _fault(readable: Column, invalid: Column | None = None) -> Column:
    """Why a line cannot be read; `invalid`: what else than bad bytes is no Unicode text."""
    text = F.col("text")
    no_text = ~F.is_valid_utf8(text) if invalid is None else ~F.is_valid_utf8(text) | invalid
    return (
        F.when(no_text, INVALID_UTF8)
        .when(readable, F.lit(None))
        .when(text.rlike(_BLANK), BLANK_LINE)
        .otherwise(MALFORMED)
    )


# ---- records -----------------------------------------------------------------------------------


def _record_schema(fields: Sequence[str]) -> T.StructType:
    types = {"line": T.LongType()}
    return T.StructType(
        [T.StructField(name, types.get(name, T.StringType())) for name in (*RECORD, *fields)]
    )


def _json_records(lines: DataFrame, fields: Sequence[str]) -> DataFrame:
    checksum = F.crc32("text").cast("string")
    schema = T.ArrayType(
        T.StructType([T.StructField(name, T.StringType()) for name in (*fields, _END)])
    )
    wrapped = F.concat(F.lit("["), F.col("text"), F.lit(f',{{"{_END}":"'), checksum, F.lit('"}]'))
    parsed = lines.withColumn("parsed", F.from_json(wrapped, schema, _JSON_OPTIONS))
    row, end = F.get("parsed", 0), F.get("parsed", 1)
    readable = F.coalesce(
        (F.size("parsed") == _LINE_AND_END) & row.isNotNull() & (end[_END] == checksum),
        F.lit(False),
    )
    judged = parsed.select("*", _fault(readable, _has_half_a_pair(F.col("text"))).alias("fault"))
    return judged.select(
        *("ds", "file", "line", "fault"),
        F.when(F.col("fault").isNotNull(), masked_json_line(F.col("text"), fields)).alias(
            "masked_fault"
        ),
        *(row[name].alias(name) for name in fields),
    )


def _has_half_a_pair(text: Column) -> Column:
    """Whether JSON text escapes half a surrogate pair, which Spark would read as a `?`.

    Two ids that differ only there would become one.
    """
    unescaped = F.replace(text, F.lit("\\\\"), F.lit(""))
    # The search for the pattern is dear, and escapes are rare.
    return text.contains("\\u") & unescaped.rlike(_HALF_A_PAIR)


def _csv_records(lines: DataFrame, header: Sequence[str], fields: Sequence[str]) -> DataFrame:
    columns = ", ".join(f"`{name.replace('`', '``')}` STRING" for name in (*header, _UNREAD))
    parsed = lines.withColumn("row", F.from_csv("text", columns, _CSV_OPTIONS))
    cells = F.col("row")
    readable = cells.getField(_UNREAD).isNull() & ~F.col("text").rlike(_BLANK)
    judged = parsed.select("*", _fault(readable).alias("fault"))
    absent = F.lit(None).cast("string")
    return judged.select(
        *("ds", "file", "line", "fault"),
        F.when(F.col("fault").isNotNull(), masked_csv_line(F.col("text"))).alias("masked_fault"),
        *((cells.getField(n) if n in header else absent).alias(n) for n in fields),
    )


def _parquet_records(
    spark: SparkSession, root: Path, files: FormatGroup, fields: Sequence[str]
) -> DataFrame:
    rows = _read_parquet(spark, root, files)
    # Older writers mark text as bytes, which JSON would have in base64.
    binary = [f.name for f in rows.schema if f.name in fields and f.dataType == T.BinaryType()]
    rows = rows.withColumns({name: F.col(name).cast("string") for name in binary})
    present = [name for name in fields if name in rows.columns]
    text = F.to_json(F.struct(*present), _PARQUET_JSON_OPTIONS) if present else F.lit("{}")
    lines = rows.select(
        "ds",
        F.col("_metadata.file_name").alias("file"),
        (F.col("_metadata.row_index") + 1).alias("line"),
        text.alias("text"),
    )
    return _json_records(lines, fields)
