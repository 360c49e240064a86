"""A day that adds values to a large vocabulary, against sorting and numbering all values again.

`python -m benchmarks.vocabulary [--known N] [--new M]` writes `results/vocabulary.json`: seconds
and CPU-seconds (this process and Spark's) of the vocabulary part of encode_profiles, from reading
what is known to committed Parquet, and of one sort of all values, each `--repeat` times in turn.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.result import write_result
from conf.dataset import DatasetConfig, Labels
from conf.settings import Settings
from conf.vocabulary import VocabularyRule
from dayfold.process_cost import cpu_seconds
from feature_store.lake import Lake
from feature_store.tables import FIRST_VALUE_ID, VOCABULARIES
from pipelines.bases import words_with_bases
from pipelines.births import numbered
from pipelines.spark import commit, empty_frame, session, spark_schema, stage_all
from pipelines.vocabulary_days import known_before, vocabulary_days

BEFORE, DAY = "2026-01-04", "2026-01-05"
FIELD = "user_id"
RULES = {"plain": {}, "waiting_and_expiring": {FIELD: VocabularyRule(min_count=2, expire_days=30)}}


def values(spark: SparkSession, first: int, last: int) -> DataFrame:
    """The values number `first` up to `last`, as 32 hex digits: what pseudonyms look like."""
    return spark.range(first, last).select(F.md5(F.col("id").cast("string")).alias("value"))


def seen_on_day(spark: SparkSession, known: int, new: int) -> DataFrame:
    """What `values_seen` gives for a day: `new` values, and four times as many known ones."""
    old = min(4 * new, known)
    day = values(spark, known - old, known + new)
    return day.select(
        F.lit(DAY).alias("ds"),
        F.lit(FIELD).alias("field"),
        "value",
        F.lit(2).alias("times"),
        F.lit(False).alias("described"),
    )


def add_day(spark: SparkSession, lake: Lake, seen: DataFrame) -> int:
    """Run the vocabulary part of encode_profiles for DAY; the values born."""
    with ExitStack() as stack:
        made = vocabulary_days(
            seen, known_before(spark, lake, DAY), [DAY], lake.dataset.vocabulary, None, stack
        )
        staged = stage_all(made.frames(lake), lake, [DAY])
    version = {VOCABULARIES: lake.version(VOCABULARIES)}
    return commit(lake, staged, [DAY], {"step": "benchmark"}, version)[VOCABULARIES.key]


def number_all(spark: SparkSession, lake: Lake, ds: str, found: DataFrame) -> int:
    """Sort and number all values of `found` (value) as if born on `ds`; how many there are."""
    born = found.distinct().select(F.lit(ds).alias("ds"), F.lit(FIELD).alias("field"), "value")
    none = empty_frame(spark, spark_schema(VOCABULARIES, lake.dataset))
    ids = numbered(born, none.groupBy("field").agg(F.max("id").alias("last_id")))
    staged = stage_all({VOCABULARIES: lambda: words_with_bases(ids, ids, ())}, lake, [ds])
    return commit(lake, staged, [ds], {"step": "benchmark"})[VOCABULARIES.key]


def again_on_day(spark: SparkSession, old: Lake, again: Lake, seen: DataFrame) -> int:
    """Number the values that `old` knows and those of the day again, into `again`."""
    known = known_before(spark, old, DAY).words.select("value")
    return number_all(spark, again, DAY, known.unionByName(seen.select("value")))


def measured(work: Callable[[], int]) -> dict[str, float]:
    """Seconds and CPU-seconds of `work`, and what it gives as `rows`."""
    cpu, started = cpu_seconds(), time.perf_counter()
    rows = work()
    return {
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_seconds": round(cpu_seconds() - cpu, 3),
        "rows": rows,
    }


def benchmark(known: int, new: int, repeat: int, root: Path) -> Path:
    """Measure, write and give the result file."""
    settings = Settings(home=str(root / "home"))
    settings = settings.model_copy(
        update={"spark": settings.spark.model_copy(update={"driver_memory": "4g"})}
    )
    spark = session(settings)
    rows: list[dict[str, Any]] = []
    lakes = {name: Lake(root / name, _dataset(rules)) for name, rules in RULES.items()}
    for lake in lakes.values():
        number_all(spark, lake, BEFORE, values(spark, 0, known))
    again = Lake(root / "again", _dataset({}))
    for turn in range(repeat + 1):  # the first turn warms the session up and is not counted
        works: dict[str, Callable[[], int]] = {
            f"add_{name}": lambda lake=lake: add_day(spark, lake, seen_on_day(spark, known, new))
            for name, lake in lakes.items()
        }
        works["sort_all_again"] = lambda: again_on_day(
            spark, lakes["plain"], again, seen_on_day(spark, known, new)
        )
        for name, work in works.items():
            row = {"what": name, "turn": turn, "known": known, "new": new, **measured(work)}
            assert row["rows"] == (new if name.startswith("add_") else known + new)  # noqa: S101
            rows += [row] if turn else []
            print(row, flush=True)
    spark.stop()
    return write_result("vocabulary", _summary(rows, known, new), rows)


def _dataset(rules: dict[str, VocabularyRule]) -> DatasetConfig:
    return DatasetConfig(
        name="vocabulary",
        positive={"click": 1.0},
        labels=Labels(kind="sampled"),
        vocabulary=rules,
    )


def _summary(rows: list[dict[str, Any]], known: int, new: int) -> dict[str, float]:
    summary: dict[str, float] = {"known": known, "new": new, "first_id": FIRST_VALUE_ID}
    for what in dict.fromkeys(row["what"] for row in rows):
        for unit in ("seconds", "cpu_seconds"):
            found = [row[unit] for row in rows if row["what"] == what]
            summary[f"{what}_{unit}"] = statistics.median(found)
    for unit in ("seconds", "cpu_seconds"):
        ratio = summary[f"add_plain_{unit}"] / summary[f"sort_all_again_{unit}"]
        summary[f"ratio_{unit}_to_sorting_again"] = ratio
    return summary


def main() -> None:
    """Run the benchmark in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--known", type=int, default=1_000_000)
    parser.add_argument("--new", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="dayfold-vocabulary-"))
    try:
        print(benchmark(arguments.known, arguments.new, arguments.repeat, root))
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
