"""The cleaning rules that look at other rows: duplicates, bots, superseded entities.

All three are windows, so a set of days is cleaned in one pass and gives what the days would have
given one by one.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

DUPLICATE = "duplicate"
BOT = "bot"
SUPERSEDED = "superseded"

_WHOLE = (Window.unboundedPreceding, Window.unboundedFollowing)
_LONG_AGO = -(2**31)


def without_repeats_and_bots(
    rows: DataFrame, earlier: DataFrame, repeat_days: int, bot_events_per_day: int
) -> DataFrame:
    """`rows` with the reasons `duplicate`, `bot` and `refused` where no other was given.

    Of an event that arrives several times on a day, the first by (file, line) counts. It is a
    duplicate if it was already accepted on one of the `repeat_days` days before. A user with more
    than `bot_events_per_day` different events on a day is a bot. What is neither is rejected for
    the reason in `refused`, if there is one; then it was not accepted, and a second arrival is
    judged anew.

    Args:
        rows: ds, file, line, reason, refused, event_id and user_id (null where there is a reason),
            ...
        earlier: ds and event_id of events accepted before the first day of `rows`.
        repeat_days: days during which a second arrival is recognised.
        bot_events_per_day: most events of a user on one arrival day.
    """
    open_rows = F.col("reason").isNull() & F.col("accepted").isNull()
    row_key = F.concat_ws("#", "ds", "file", "line")
    marked = rows.withColumn("accepted", F.lit(None).cast("boolean")).unionByName(
        earlier.select("ds", "event_id", F.lit(True).alias("accepted")), allowMissingColumns=True
    )
    arrivals = Window.partitionBy("_key", "ds").orderBy("file", "line")
    first = marked.withColumn("_key", F.coalesce("event_id", row_key)).withColumn(
        "_first", open_rows & (F.row_number().over(arrivals) == 1)
    )
    whole_day = Window.partitionBy("ds", F.coalesce("user_id", "_key")).rowsBetween(*_WHOLE)
    counted = first.withColumn(
        "_bot", F.count_if("_first").over(whole_day) > bot_events_per_day
    ).withColumn("_repeated", _accepted_lately(repeat_days))
    reason = F.when(~open_rows, F.col("reason")).otherwise(
        F.when(~F.col("_first") | F.col("_repeated"), DUPLICATE)
        .when(F.col("_bot"), BOT)
        .otherwise(F.col("refused"))
    )
    return (
        counted.where(F.col("accepted").isNull())
        .withColumn("reason", reason)
        .drop("_key", "_first", "_bot", "_repeated", "accepted", "refused")
    )


def _accepted_lately(repeat_days: int) -> Column:
    """Whether the row's event was accepted on one of the `repeat_days` days before its own.

    A fold over the earlier arrivals of the same event, because a rejected arrival does not renew
    the memory of it.
    """
    day = F.unix_date(F.to_date("ds"))
    earlier = (
        Window.partitionBy("_key")
        .orderBy("ds", "file", "line")
        .rowsBetween(Window.unboundedPreceding, -1)
    )
    rejected = F.col("_bot") | F.col("refused").isNotNull()
    arrival = F.struct(day.alias("day"), rejected.alias("rejected"))
    arrivals = F.collect_list(
        F.when(F.coalesce("accepted", F.lit(False)) | F.col("_first"), arrival)
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
