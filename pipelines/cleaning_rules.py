"""The cleaning rules of a row by itself, as Spark expressions (no UDF).

What the rules are is data (`conf.cleaning_rules`). What a record cannot be read for (its fault)
comes before them; `duplicate`, `bot` and `superseded`, which look at other rows, come after
(`pipelines.cleaning_windows`).
"""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from conf.cleaning import Severity
from conf.cleaning_rules import (
    BeforeDayEnds,
    Between,
    Elsewhere,
    Given,
    InTime,
    Matches,
    NoLonger,
    OneOf,
    Readable,
    Rule,
    rules_of,
)
from conf.dataset import DatasetConfig
from conf.errors import ConfigError
from conf.fields import Stream
from pipelines.field_columns import RAW, is_bad
from pipelines.spark import day_of, ends_at


def judged(dataset: DatasetConfig, stream: Stream) -> tuple[Column, Column]:
    """The reason for which a typed row is rejected, or null; the rules it breaks that only warn.

    Args:
        dataset: declares the rules.
        stream: whose rows are judged: typed fields, `fault`, ds.
    """
    rules = {severity: _broken(dataset, stream, severity) for severity in ("reject", "warn")}
    reasons = (F.when(broken, F.lit(rule.reason)) for rule, broken in rules["reject"])
    names = [F.when(broken, F.lit(rule.name)) for rule, broken in rules["warn"]]
    noted = F.array_compact(F.array(*names)) if names else F.lit(None).cast("array<string>")
    return F.coalesce("fault", *reasons), noted


def require_patterns(spark: SparkSession, dataset: DatasetConfig) -> None:
    """Pass if Spark can read every pattern of the dataset's rules.

    Raises:
        ConfigError: it cannot read one.
    """
    for name, rule in dataset.cleaning.own_rules.items():
        if rule.matches is None:
            continue
        try:
            spark.range(1).select(F.lit("").rlike(_whole(rule.matches))).collect()
        except PySparkException as error:
            raise ConfigError(
                f"cleaning.rules.{name}.matches: {rule.matches!r} is no pattern that Spark can "
                f"read, expected one in Java's dialect. Next: correct it in conf/datasets/"
                f"{dataset.name}.yaml, then run the same command again."
            ) from error


def noting(broken: Column, name: str) -> Column:
    """Column `noted` with the rule `name` added where it is `broken`."""
    before = F.coalesce("noted", F.array().cast("array<string>"))
    return F.when(broken, F.array_append(before, F.lit(name))).otherwise(F.col("noted"))


def _broken(
    dataset: DatasetConfig, stream: Stream, severity: Severity
) -> list[tuple[Rule, Column]]:
    rules = [rule for rule in rules_of(dataset, stream) if rule.severity == severity]
    kinds, zone = dataset.fields(stream), dataset.time_zone
    found = []
    for rule in rules:
        if isinstance(rule.test, Elsewhere):
            continue
        of_list = isinstance(rule.test, OneOf | Given) and kinds[rule.test.field] == "values"
        broken = _breaks_list(rule) if of_list else _breaks(rule, zone)
        if rule.event_types:
            broken = broken & F.col("event_type").isin(*rule.event_types)
        found.append((rule, broken))
    return found


def _breaks(rule: Rule, time_zone: str) -> Column:  # noqa: PLR0911
    """Whether a row breaks `rule`; null where there is nothing to judge."""
    match rule.test:
        case Given(field):
            return F.col(field).isNull()
        case Readable(fields):
            return is_bad(fields)
        case OneOf(field, values):
            return ~F.col(RAW + field).isin(*values)
        case Between(field, low, high):
            return ~F.col(field).between(low, high)
        case Matches(field, pattern):
            return ~F.col(RAW + field).rlike(_whole(pattern))
        case NoLonger(field, characters):
            return F.length(RAW + field) > characters
        case BeforeDayEnds(field, minutes):
            tolerance = F.make_dt_interval(mins=F.lit(minutes))
            return F.col(field) > ends_at(F.col("ds"), time_zone) + tolerance
        case InTime(field, days):
            return F.date_diff(F.to_date("ds"), day_of(F.col(field), time_zone)) > days
        case Elsewhere():
            raise TypeError(f"{rule.name} is not judged by its row alone")


def _whole(pattern: str) -> str:
    return rf"\A(?:{pattern})\z"


def _breaks_list(rule: Rule) -> Column:
    """As `_breaks`, of a list of values."""
    match rule.test:
        case Given(field):
            return F.col(field).isNull() | (F.size(field) == 0)
        case OneOf(field, values):
            return F.exists(field, lambda value: ~value.isin(*values))
        case _:
            raise TypeError(f"{rule.name}: {rule.test} cannot be asked of a list")
