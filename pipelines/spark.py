"""Spark, and how it meets the lake: the session, reading days, writing days.

Spark reads the Parquet files that the lake names and writes Parquet into a staging folder; the
commit is the lake's. No Delta jar is involved.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from conf.dataset import DatasetConfig
from conf.settings import Settings, SparkSettings
from feature_store.lake import Lake, Lineage
from feature_store.tables import Table, Type, columns_of

_Key = TypeVar("_Key")
_Made = TypeVar("_Made")

SPARK_TYPES: dict[Type, T.DataType] = {
    "string": T.StringType(),
    "int32": T.IntegerType(),
    "int64": T.LongType(),
    "double": T.DoubleType(),
    "bool": T.BooleanType(),
    "timestamp": T.TimestampType(),
    "list<string>": T.ArrayType(T.StringType()),
    "list<int32>": T.ArrayType(T.IntegerType()),
    "list<timestamp>": T.ArrayType(T.TimestampType()),
    "map<string,string>": T.MapType(T.StringType(), T.StringType()),
}

SECONDS_PER_DAY = 86_400.0
_MICROS_PER_DAY = SECONDS_PER_DAY * 1e6
_FEW_ROWS = 200_000
"""What the driver holds and sends to every task: some 20 MB of ids."""


def session(settings: Settings) -> SparkSession:
    """The Spark session of this process; made on the first call, reused by every later one."""
    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    # It reports every thread's connection that ends.
    logging.getLogger("py4j.clientserver").setLevel(logging.WARNING)
    named = SparkSession.builder.appName(f"dayfold-{settings.dataset}")
    spark = named.config(map=dict(_configuration(settings))).getOrCreate()
    _remember_classes(spark)
    return spark


def _remember_classes(spark: SparkSession) -> None:
    """Spare a look-up in the JVM for each column expression: a fifth of a small day's planning.

    PySpark asks for these classes by name, every time, and the JVM searches all its packages.
    """
    jvm = spark.sparkContext._jvm
    for name in ("functions", "org.apache.spark.sql.functions", "PythonUtils", "PythonSQLUtils"):
        setattr(jvm, name, getattr(jvm, name))


def _configuration(settings: Settings) -> dict[str, str]:
    spark = settings.spark
    configuration = {
        "spark.master": spark.master,
        "spark.driver.memory": spark.driver_memory,
        "spark.executor.memory": spark.executor_memory,
        "spark.log.level": "ERROR",
        # A process runs the same queries day after day: all their compiled code stays.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # Nobody reads the plans that would be printed for the UI.
        "spark.sql.ui.explainMode": "simple",
        "spark.sql.debug.maxToStringFields": "1",
        "spark.sql.maxPlanStringLength": "100",
        "spark.sql.ui.retainedExecutions": "1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.shuffle.partitions": str(spark.shuffle_partitions),
        # A table's days are listed here, not by a job with a task for each of them.
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
        # Do not record, for each column expression, the line that made it.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # ds stays the text that it is in the path.
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.parquet.compression.codec": "zstd",
        # What is kept for a step's several outputs is read twice and dropped.
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        "spark.sql.warehouse.dir": str(settings.path("{home}/spark-warehouse")),
        # A staged file is invisible until the lake's commit: renaming it twice protects nothing.
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    }
    if spark.master.startswith("local"):
        configuration |= {
            "spark.driver.extraJavaOptions": " ".join(_java_options(spark)),
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        }
        if not spark.large_days:
            configuration |= _FOR_SMALL_DAYS
    return configuration


_FOR_SMALL_DAYS = {
    # A sort takes a page at least; the default of 64 MiB keeps the collector busy.
    "spark.buffer.pageSize": "1m",
    # Re-planning at each shuffle costs a small day more than it saves.
    "spark.sql.adaptive.enabled": "false",
}


def _java_options(spark: SparkSettings) -> list[str]:
    options = ["-XX:ReservedCodeCacheSize=512m", "-XX:+UseParallelGC"]
    # A small day is over before the optimising compiler pays for itself.
    return options if spark.large_days else ["-XX:TieredStopAtLevel=1", *options]


def spark_schema(table: Table, dataset: DatasetConfig) -> T.StructType:
    """The Spark schema of `table`, partition columns included."""
    return T.StructType(
        [T.StructField(c.name, SPARK_TYPES[c.type]) for c in columns_of(table, dataset)]
    )


def empty_frame(spark: SparkSession, schema: T.StructType) -> DataFrame:
    """A frame of `schema` without rows, which the optimiser recognises as such."""
    columns = [F.lit(None).cast(field.dataType).alias(field.name) for field in schema.fields]
    return spark.range(1).limit(0).select(*columns)


def read_days(
    spark: SparkSession,
    lake: Lake,
    table: Table,
    days: Iterable[str],
    columns: Sequence[str] | None = None,
) -> DataFrame:
    """Rows of `days` with `columns` (default: all declared ones); `ds` is text."""
    schema = spark_schema(table, lake.dataset)
    wanted = list(columns) if columns is not None else schema.names
    files = lake.file_uris(table, days)
    if not files:
        return empty_frame(spark, schema).select(*wanted)
    reader = spark.read.schema(schema).option("basePath", lake.uri(table))
    return reader.parquet(*files).select(*wanted)


def stage(frame: DataFrame, lake: Lake, table: Table, days: Sequence[str], staging: Path) -> Path:
    """`staging` with the rows of `frame`, one folder per day of `days`.

    Rows lie in the order of the table's key, so that the same rows give the same file.
    """
    names = spark_schema(table, lake.dataset).names
    keys = [name for check in table.checks[:1] for name in check.columns]
    rows = frame.select(*names)
    if len(days) == 1:
        ordered = _few_files(rows.drop("ds"), keys).sortWithinPartitions(*keys)
        ordered.write.parquet(str(staging / f"ds={days[0]}"))
    else:
        ordered = _few_files(rows, ["ds"]).sortWithinPartitions("ds", *keys)
        ordered.write.partitionBy("ds").parquet(str(staging))
    return staging


def _few_files(rows: DataFrame, by: Sequence[str]) -> DataFrame:
    """`rows` so that they are written as few files, or few for each day where `by` is the day.

    Where Spark plans adaptively (a cluster, large days), as many as the amount of data asks for;
    else one. Rows go where the hash of `by` says: to deal them out, Spark would sort them first.
    """
    if rows.sparkSession.conf.get("spark.sql.adaptive.enabled") == "true":
        return rows.hint("rebalance", *by)
    return rows.repartition("ds") if "ds" in by else rows.coalesce(1)


def at_once(makers: Mapping[_Key, Callable[[], _Made]]) -> dict[_Key, _Made]:
    """What each of `makers` gives; they run at the same time.

    Most of the cost of a small day is planning, which one frame cannot spread over two cores.
    """
    with ThreadPoolExecutor(len(makers)) as pool:
        running = {key: pool.submit(maker) for key, maker in makers.items()}
        return {key: future.result() for key, future in running.items()}


def stage_all(
    frames: Mapping[Table, Callable[[], DataFrame]], lake: Lake, days: Sequence[str]
) -> dict[Table, Path]:
    """The staging folder of each table; the frames are made and written at the same time."""
    stagings = {table: lake.staging(table) for table in frames}

    def staged(table: Table, frame: Callable[[], DataFrame]) -> Path:
        return stage(frame(), lake, table, days, stagings[table])

    try:
        return at_once({table: partial(staged, table, frame) for table, frame in frames.items()})
    except BaseException:
        discard(stagings.values())
        raise


def staged_rows(staging: Path, ds: str) -> int:
    """Rows staged for `ds`, by the footers of the files that were written."""
    files = (staging / f"ds={ds}").glob("*.parquet")
    return sum(pq.ParquetFile(file).metadata.num_rows for file in files)


def commit(
    lake: Lake,
    staged: Mapping[Table, Path],
    days: Sequence[str],
    lineage: Lineage,
    read_versions: Mapping[Table, int] | None = None,
) -> dict[str, int]:
    """Replace `days` of each table by what was staged; the rows written, by table key.

    A table of `read_versions` must still be at that version (see `Lake.commit_staged`).

    Raises:
        SchemaMismatch, CheckFailed, ConcurrentWrite: as `Lake.commit_staged`.
    """
    rows = {
        table.key: sum(staged_rows(staging, ds) for ds in days) for table, staging in staged.items()
    }
    try:
        lake.commit_staged(staged, days, lineage, read_versions)
    finally:
        discard(staged.values())
    return rows


def discard(stagings: Iterable[Path]) -> None:
    """Remove what is left of staging folders."""
    for staging in stagings:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def kept(*frames: DataFrame) -> Iterator[None]:
    """Within the block, each frame is computed once and kept for its further uses."""
    for frame in frames:
        frame.persist()
    try:
        yield
    finally:
        for frame in frames:
            frame.unpersist()


def computed(frame: DataFrame, stack: ExitStack) -> DataFrame | None:
    """`frame` with its rows at hand, to be joined to a large one: None if it has none.

    Few rows become a table that is sent to every task, whose plan is short; many are kept as long
    as `stack`.
    """
    rows = frame.limit(_FEW_ROWS + 1).toArrow()
    if not rows.num_rows:
        return None
    if rows.num_rows > _FEW_ROWS:
        stack.enter_context(kept(frame))
        return frame
    return F.broadcast(frame.sparkSession.createDataFrame(rows))


# ---- days and instants -------------------------------------------------------------------------


def starts_at(day: Column, zone: str) -> Column:
    """The instant at which `day` (text or date) begins in `zone`."""
    return F.to_utc_timestamp(F.to_date(day).cast("timestamp"), zone)


def ends_at(day: Column, zone: str) -> Column:
    """The instant at which `day` (text or date) ends in `zone`."""
    return F.to_utc_timestamp(F.date_add(F.to_date(day), 1).cast("timestamp"), zone)


def day_of(instant: Column, zone: str) -> Column:
    """The date of `instant` in `zone`."""
    return F.to_date(F.from_utc_timestamp(instant, zone))


def in_days(instant: Column) -> Column:
    """`instant` as days of 86,400 seconds since 1970 (UTC), with their fraction."""
    return F.unix_micros(instant) / F.lit(_MICROS_PER_DAY)
