"""Births: which values get an id on which day, which id, and which ones still wait.

A value is born on the first day by whose end it occurred `min_count` times; until then it waits.
Where its field has `expire_days`, one that stays away longer than that begins to count anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from conf.vocabulary import VocabularyRule
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import FIRST_VALUE_ID, PENDING_VALUES
from pipelines.bases import each_of
from pipelines.spark import read_days

Rules = Mapping[str, VocabularyRule]
_VALUE = ("field", "value")


@dataclass(frozen=True)
class Waiting:
    """The values without an id, day by day."""

    rows: DataFrame
    """field, value, ds, count (occurrences so far), described_on, born_on; one row per day on
    which the value occurred, and one of before the first day where it waited already."""

    @property
    def born(self) -> DataFrame:
        """ds, field, value, described_on of the values that need wait no more."""
        return self.rows.where(F.col("ds") == F.col("born_on")).select(
            "ds", *_VALUE, "described_on"
        )

    def pending(self, days: Sequence[str], base_days: Sequence[str], rules: Rules) -> DataFrame:
        """Rows of PENDING_VALUES for `days`; on `base_days` of every value that waits."""
        waits = F.col("born_on").isNull() | (F.col("ds") < F.col("born_on"))
        waiting = self.rows.where(waits).withColumn("last_seen", F.col("ds"))
        changed = waiting.where(F.col("ds") >= days[0])
        listed = each_of(base_days)
        still = F.col("born_on").isNull() | (F.col("born_on") > F.col("base_ds"))
        stays = ~_forgotten(F.col("last_seen"), F.col("base_ds"), rules)
        latest = F.max(F.struct("last_seen", "count", "described_on")).alias("latest")
        carried = (
            waiting.withColumn("base_ds", F.explode(listed))
            .where((F.col("ds") < F.col("base_ds")) & still)
            .groupBy(*_VALUE, "base_ds")
            .agg(latest)
            .select(F.col("base_ds").alias("ds"), *_VALUE, "latest.*", "base_ds")
            .where(stays)
            .join(changed.select("ds", *_VALUE), on=["ds", *_VALUE], how="left_anti")
        )
        return changed.unionByName(carried, allowMissingColumns=True)


def counted_fields(rules: Rules) -> list[str]:
    """The fields whose values wait."""
    return sorted(field for field, rule in rules.items() if rule.min_count > 1)


def waiting_before(spark: SparkSession, lake: Lake, ds: str) -> DataFrame:
    """The latest PENDING_VALUES row before `ds` of each value; some are born by now."""
    rows = read_days(spark, lake, PENDING_VALUES, lake.state_days(PENDING_VALUES, shift(ds, -1)))
    latest = F.max(F.struct("ds", "count", "last_seen", "described_on")).alias("latest")
    return rows.groupBy(*_VALUE).agg(latest).select(*_VALUE, "latest.*")


def waiting_on_days(
    new: DataFrame, before: DataFrame, known: DataFrame, days: Sequence[str], rules: Rules
) -> Waiting:
    """How the values of the counted fields wait on `days`.

    Args:
        new: ds, field, value, times, described, of the values of `days` that have no id.
        before: see `waiting_before`.
        known: field, value of the values that have an id.
        days: the days, ascending.
        rules: by field.
    """
    counted = F.col("field").isin(counted_fields(rules))
    earlier = (
        before.where(counted)
        .join(known, on=list(_VALUE), how="left_anti")
        .select(
            *_VALUE, F.col("last_seen").alias("ds"), F.col("count").alias("times"), "described_on"
        )
    )
    described_on = F.when(F.col("described"), F.col("ds")).alias("described_on")
    rows = earlier.unionByName(
        new.where(counted).select(*_VALUE, "ds", F.col("times").cast("long"), described_on)
    )
    in_order = Window.partitionBy(*_VALUE).orderBy("ds")
    away = _forgotten(F.lag("ds").over(in_order), F.col("ds"), rules)
    spells = rows.withColumn("_away", F.coalesce(away, F.lit(False)).cast("int")).withColumn(
        "_spell", F.sum("_away").over(in_order)
    )
    so_far = Window.partitionBy(*_VALUE, "_spell").orderBy("ds")
    totals = spells.select(
        *_VALUE,
        "ds",
        F.sum("times").over(so_far).alias("count"),
        F.max("described_on").over(so_far).alias("described_on"),
    )
    enough = (F.col("ds") >= days[0]) & (F.col("count") >= _by_field(_min_counts(rules)))
    born_on = F.min(F.when(enough, F.col("ds"))).over(Window.partitionBy(*_VALUE))
    return Waiting(totals.withColumn("born_on", born_on))


def first_seen(new: DataFrame, rules: Rules) -> DataFrame:
    """ds, field, value of the values of `new` whose field lets none wait, on their first day."""
    plain = new.where(~F.col("field").isin(counted_fields(rules)))
    return plain.groupBy(*_VALUE).agg(F.min("ds").alias("ds"))


def numbered(born: DataFrame, last_ids: DataFrame) -> DataFrame:
    """ds, field, value and id: ids go on after the field's last one, in the order of ds and value.

    Args:
        born: ds, field, value, each value once.
        last_ids: field, last_id of every field that has ids.
    """
    in_order = Window.partitionBy("field").orderBy("ds", "value")
    last = F.coalesce("last_id", F.lit(FIRST_VALUE_ID - 1))
    return (
        born.join(F.broadcast(last_ids), on="field", how="left")
        .withColumn("number", F.row_number().over(in_order))
        .select("ds", *_VALUE, (last + F.col("number")).cast("int").alias("id"))
    )


def _min_counts(rules: Rules) -> dict[str, int]:
    return {field: rule.min_count for field, rule in rules.items()}


def expire_days(rules: Rules) -> Column:
    """`expire_days` of the row's field; null where it has none."""
    return _by_field({f: r.expire_days for f, r in rules.items() if r.expire_days is not None})


def _by_field(values: Mapping[str, int]) -> Column:
    value = F.lit(None).cast("int")
    for field, number in sorted(values.items()):
        value = F.when(F.col("field") == field, F.lit(number)).otherwise(value)
    return value


def _forgotten(last_seen: Column, ds: Column, rules: Rules) -> Column:
    return F.coalesce(F.datediff(ds, last_seen) > expire_days(rules), F.lit(False))
