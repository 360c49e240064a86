"""The cleaning rules that look a row up elsewhere: unknown items, clicks on what was not shown.

Both are off unless the dataset declares them, and both see a day as it was known on that day, so a
set of days is cleaned in one pass and gives what the days would have given one by one. What they
reject is noted in column `refused`: whether an event counts as accepted before decides about its
later arrivals (`pipelines.cleaning_windows`).
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.cleaning import Severity
from pipelines.cleaning_rules import noting

UNKNOWN_ITEM = "unknown_item"
ORPHAN_CLICK = "orphan_click"

_ROW = ("ds", "file", "line")
SHOWN = ("ds", "user_id", "item_id", "event_timestamp", "request_id")
"""What must be known of an impression."""


def with_unknown_items(rows: DataFrame, catalogue: DataFrame, severity: Severity) -> DataFrame:
    """`rows`, refused as `unknown_item` where no catalogue row has named the event's item.

    Args:
        rows: ds, item_id, noted, reason and refused (null where there is none yet), ...
        catalogue: ds and item_id of the catalogue's rows, those of the days of `rows` included.
        severity: `reject`; with `warn` they are noted, and accepted.
    """
    known = catalogue.groupBy("item_id").agg(F.min("ds").alias("_since"))
    unknown = F.col("_since").isNull() | (F.col("_since") > F.col("ds"))
    looked_up = rows.join(known, on="item_id", how="left")
    return _also(looked_up, unknown, UNKNOWN_ITEM, severity).select(rows.columns)


def with_orphan_clicks(
    rows: DataFrame, shown: DataFrame, window_minutes: int, severity: Severity
) -> DataFrame:
    """`rows`, refused as `orphan_click` where a click is on what its user had not been shown.

    Shown: an impression of the item to the user, of the same request where both name one, at most
    `window_minutes` before the click, which had arrived by the click's own day.

    Args:
        rows: ds, file, line, SHOWN, event_type, noted, reason, refused, ...
        shown: SHOWN of the accepted impressions, of the days of `rows` and before.
        window_minutes: the attribution window.
        severity: `reject`; with `warn` they are noted, and accepted.
    """
    shown = shown.select(*(F.col(name).alias(f"shown_{name}") for name in SHOWN))
    clicks = rows.where(F.col("reason").isNull() & (F.col("event_type") == "click"))
    since = F.col("event_timestamp") - F.make_dt_interval(mins=F.lit(window_minutes))
    same_request = F.coalesce(F.col("shown_request_id") == F.col("request_id"), F.lit(True))
    answered = clicks.join(
        shown,
        on=(F.col("shown_user_id") == F.col("user_id"))
        & (F.col("shown_item_id") == F.col("item_id"))
        & (F.col("shown_ds") <= F.col("ds"))
        & F.col("shown_event_timestamp").between(since, F.col("event_timestamp"))
        & same_request,
        how="left_semi",
    ).select(*_ROW, F.lit(True).alias("_answered"))
    looked_up = rows.join(answered, on=list(_ROW), how="left")
    orphan = (F.col("event_type") == "click") & F.col("_answered").isNull()
    return _also(looked_up, orphan, ORPHAN_CLICK, severity).select(rows.columns)


def _also(rows: DataFrame, broken: Column, name: str, severity: Severity) -> DataFrame:
    """`rows`, refused by the rule `name`, or noted, where it is `broken` and not rejected."""
    found = F.col("reason").isNull() & broken
    if severity == "warn":
        return rows.withColumn("noted", noting(found, name))
    return rows.withColumn("refused", F.coalesce("refused", F.when(found, F.lit(name))))
