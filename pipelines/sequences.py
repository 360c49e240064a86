"""The last positive items of each user, folded forward day by day."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def folded_sequences(
    events: DataFrame, previous: DataFrame, on_base_days: Sequence[str], length: int
) -> DataFrame:
    """Rows of USER_SEQUENCES: the last `length` items of each user with a positive event that day.

    Items are in the order of (event_timestamp, arrival day, event_id); late ones are put where
    they belong. On base days every user known before has a row.

    Args:
        events: ds, event_id, event_timestamp, user_index, item_index, positive.
        previous: the latest USER_SEQUENCES row of each user before the first day.
        on_base_days: the days on which every user has a row.
        length: most items of a sequence.
    """
    taken = F.struct(
        "event_timestamp", "ds", F.col("event_id").alias("tie"), F.col("item_index").alias("item")
    )
    arrived = (
        events.where(F.col("positive") > 0)
        .groupBy("user_index", "ds")
        .agg(F.collect_list(taken).alias("entries"))
    )
    # What was known before comes first among equal times, in the order in which it was kept.
    earlier = previous.select(
        "user_index",
        "ds",
        F.transform(
            F.arrays_zip("event_timestamps", "item_indices"),
            lambda entry, n: F.struct(
                entry["event_timestamps"].alias("event_timestamp"),
                F.lit("").alias("ds"),
                F.lpad(n.cast("string"), 10, "0").alias("tie"),
                entry["item_indices"].alias("item"),
            ),
        ).alias("entries"),
    )
    known = earlier.unionByName(arrived)
    listed = F.array(*(F.lit(ds) for ds in on_base_days)).cast("array<string>")
    born = known.groupBy("user_index").agg(F.min("ds").alias("born"))
    carried = born.select("user_index", "born", F.explode(listed).alias("ds")).where("ds > born")
    days = known.select("*", F.lit(False).alias("carried")).unionByName(
        carried.select("user_index", "ds", F.lit(True).alias("carried")), allowMissingColumns=True
    )
    so_far = (
        Window.partitionBy("user_index")
        .orderBy("ds", "carried")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    per_day = Window.partitionBy("user_index", "ds").orderBy("carried")
    return (
        days.withColumn("entries", F.array_sort(F.flatten(F.collect_list("entries").over(so_far))))
        .withColumn("copy", F.row_number().over(per_day))
        .join(
            previous.select("user_index", F.col("ds").alias("known_ds")),
            on="user_index",
            how="left",
        )
        .where("copy = 1 and (known_ds is null or ds > known_ds)")
        .withColumn("last", F.slice("entries", -F.least(F.size("entries"), F.lit(length)), length))
        .select(
            "ds",
            "user_index",
            F.col("last.item").alias("item_indices"),
            F.col("last.event_timestamp").alias("event_timestamps"),
        )
    )
