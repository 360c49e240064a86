"""The cleaning rules that look at other rows: duplicates, bots, superseded entities.

A set of days is cleaned in one pass and gives what the days would have given one by one: bots and
superseded entities are judged by their own day, duplicates by it and a fixed number of days before.
"""

from __future__ import annotations

from contextlib import ExitStack

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.cleaning_rules import noting
from pipelines.spark import computed

DUPLICATE = "duplicate"
BOT = "bot"
SUPERSEDED = "superseded"

_ROW = ("ds", "file", "line")
_LONG_AGO = -(2**31)


def repeated_ids(rows: DataFrame, earlier: DataFrame, stack: ExitStack) -> DataFrame | None:
    """The ids of the events that arrived more than once: column event_id; None if none did.

    Args:
        rows: reason and event_id, ...; kept by the caller, and computed here.
        earlier: event_id of events accepted before the first day of `rows`, ...
        stack: holds what is kept.
    """
    ids = rows.where(F.col("reason").isNull()).select("event_id")
    counted = ids.unionByName(earlier.select("event_id")).groupBy("event_id").count()
    return computed(counted.where(F.col("count") > 1).select("event_id"), stack)


def without_repeats_and_bots(
    rows: DataFrame,
    earlier: DataFrame,
    repeated: DataFrame | None,
    stack: ExitStack,
    repeat_days: int,
    bot_events_per_day: int,
    bots_are_rejected: bool = True,
) -> DataFrame:
    """`rows` with the reasons `duplicate`, `bot` and `refused` where no other was given.

    Of an event that arrives several times on a day, the first by (file, line) counts. It is a
    duplicate if it was already accepted on one of the `repeat_days` days before. A user with more
    than `bot_events_per_day` different events on a day is a bot. What is neither is rejected for
    the reason in `refused`, if there is one; then it was not accepted, and a second arrival is
    judged anew.

    Only what repeats is sorted. What is found is joined to the rows, which need no shuffle for that
    as long as it is not much (`pipelines.spark.computed`).

    Args:
        rows: ds, file, line, reason, refused, noted, event_id and user_id (null where there is a
            reason), ...; kept by the caller.
        earlier: ds and event_id of events accepted before the first day of `rows`.
        repeated: of `repeated_ids`.
        stack: holds what is kept.
        repeat_days: days during which a second arrival is recognised.
        bot_events_per_day: most events of a user on one arrival day.
        bots_are_rejected: else they are noted, and accepted.
    """
    arrived = rows.where(F.col("reason").isNull()).select(*_ROW, "event_id", "user_id", "refused")
    suspects = None if repeated is None else _with_first(_having(repeated, arrived))
    bots = computed(_bots(arrived, suspects, bot_events_per_day), stack)
    found = F.lit(None).cast("string")
    judged = rows
    noted = F.col("noted")
    if bots is not None:
        judged = judged.join(bots, on=["ds", "user_id"], how="left")
        if bots_are_rejected:
            found = F.when(F.col("_bot"), BOT)
        else:
            noted, bots = noting(F.col("_bot"), BOT), None
    if repeated is not None and suspects is not None:
        accepted = _having(repeated, earlier.select("ds", "event_id"))
        duplicates = computed(_duplicates(suspects, accepted, bots, repeat_days), stack)
        if duplicates is not None:
            judged = judged.join(duplicates, on=list(_ROW), how="left")
            found = F.when(F.col("_duplicate"), DUPLICATE).otherwise(found)
    open_reason = F.when(F.col("reason").isNull(), F.coalesce(found, "refused"))
    others = [name for name in rows.columns if name not in ("reason", "refused", "noted")]
    reason = F.coalesce("reason", open_reason)
    return judged.select(*others, reason.alias("reason"), noted.alias("noted"))


def _having(repeated: DataFrame, arrivals: DataFrame) -> DataFrame:
    return arrivals.join(repeated, on="event_id", how="left_semi")


def _with_first(suspects: DataFrame) -> DataFrame:
    """`suspects` with `_first`: whether it is the day's first arrival of its event."""
    arrivals = Window.partitionBy("event_id", "ds").orderBy("file", "line")
    return suspects.withColumn("_first", F.row_number().over(arrivals) == 1)


def _bots(arrived: DataFrame, suspects: DataFrame | None, limit: int) -> DataFrame:
    """The ds and user_id of those with more than `limit` first arrivals on that day, and `_bot`."""
    events = arrived.select("ds", "user_id", F.lit(1).alias("n"))
    if suspects is not None:
        copies = suspects.where(~F.col("_first"))
        events = events.unionByName(copies.select("ds", "user_id", F.lit(-1).alias("n")))
    busy = events.groupBy("ds", "user_id").agg(F.sum("n").alias("n")).where(F.col("n") > limit)
    return busy.select("ds", "user_id", F.lit(True).alias("_bot"))


def _duplicates(
    suspects: DataFrame, accepted: DataFrame, bots: DataFrame | None, repeat_days: int
) -> DataFrame:
    """The ds, file and line of the duplicates among `suspects`, and `_duplicate`."""
    judged = (
        suspects.withColumn("_bot", F.lit(None).cast("boolean"))
        if bots is None
        else suspects.join(bots, on=["ds", "user_id"], how="left")
    )
    marked = judged.unionByName(
        accepted.withColumn("_accepted", F.lit(True)), allowMissingColumns=True
    )
    repeated = marked.withColumn("_repeated", _accepted_lately(repeat_days))
    again = F.col("_accepted").isNull() & (~F.col("_first") | F.col("_repeated"))
    return repeated.where(again).select(*_ROW, F.lit(True).alias("_duplicate"))


def _accepted_lately(repeat_days: int) -> Column:
    """Whether the row's event was accepted on one of the `repeat_days` days before its own.

    A fold over the earlier arrivals of the same event, because a rejected arrival does not renew
    the memory of it.
    """
    day = F.unix_date(F.to_date("ds"))
    earlier = (
        Window.partitionBy("event_id")
        .orderBy("ds", "file", "line")
        .rowsBetween(Window.unboundedPreceding, -1)
    )
    rejected = F.col("_bot").isNotNull() | F.col("refused").isNotNull()
    arrival = F.struct(day.alias("day"), rejected.alias("rejected"))
    arrivals = F.collect_list(
        F.when(F.coalesce("_accepted", F.lit(False)) | F.col("_first"), arrival)
    ).over(earlier)
    last_accepted = F.aggregate(
        arrivals,
        F.lit(_LONG_AGO).cast("long"),
        lambda last, seen: F.when(
            ~seen["rejected"] & (seen["day"] - last > repeat_days), seen["day"].cast("long")
        ).otherwise(last),
    )
    gap = day - last_accepted
    return (gap > 0) & (gap <= repeat_days)


def without_superseded(rows: DataFrame, key: str) -> DataFrame:
    """`rows` with the reason `superseded` for all but the latest row of an entity on a day.

    The latest by updated_at; of equal ones the last by (file, line).
    """
    valid = F.col("reason").isNull()
    row_key = F.concat_ws("#", "ds", "file", "line")
    newest = Window.partitionBy("ds", "_key").orderBy(
        F.desc_nulls_last("updated_at"), F.desc("file"), F.desc("line")
    )
    ranked = rows.withColumn("_key", F.when(valid, F.col(key)).otherwise(row_key)).withColumn(
        "_rank", F.row_number().over(newest)
    )
    reason = F.when(valid & (F.col("_rank") > 1), SUPERSEDED).otherwise(F.col("reason"))
    return ranked.withColumn("reason", reason).drop("_key", "_rank")
