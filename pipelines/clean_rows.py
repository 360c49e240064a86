"""Events of some days: typed, pseudonymised, judged by the rules of a row by itself."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from functools import partial

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.dataset import DatasetConfig
from pipelines.cleaning_lookups import (
    ORPHAN_CLICK,
    SHOWN,
    UNKNOWN_ITEM,
    with_orphan_clicks,
    with_unknown_items,
)
from pipelines.cleaning_rules import judged
from pipelines.cleaning_tombstones import FORGOTTEN, with_forgotten
from pipelines.cleaning_windows import BOT, repeated_ids, without_repeats_and_bots
from pipelines.field_columns import RAW, is_nested, typed
from pipelines.masking import MASK, SHORTEST_ID_LOOKED_FOR, masked_row
from pipelines.personal_fields import shown_fields, starred_cells, without_personal
from pipelines.pseudonym_column import with_pseudonym
from pipelines.spark import day_of, kept

EARLIER = ("event_id", "event_type", *SHOWN)
"""What cleaning reads of the events that it accepted before."""
_HASH_BITS = 256
_NO_LIMIT = 2**31 - 1
_IDS_OF_THE_LOG = frozenset({"event_id", "request_id"})
"""Fields in which logs name their users."""


def classified_events(
    records: DataFrame,
    earlier: DataFrame,
    catalogue: DataFrame | None,
    dataset: DatasetConfig,
    keys: DataFrame,
    forgotten: DataFrame | None,
    stack: ExitStack,
) -> DataFrame:
    """Rows in the columns of clean.events, with `reason`, `noted` and `masked_line`.

    Args:
        records: of `read_records`, with the fields of events.
        earlier: the columns EARLIER of the events accepted on the days before.
        catalogue: ds and item_id of the items known so far; None where nobody asks.
        dataset: declares event types, context, rules and limits.
        keys: of `key_frame`.
        forgotten: of `forgotten_frame`; None = nobody is.
        stack: holds what is kept, which is computed here.
    """
    cleaning = dataset.cleaning
    fields = dataset.fields("events")
    protected = without_personal(records, list(fields), dataset.personal)
    rows = with_forgotten(with_pseudonym(typed(protected, fields), keys, "user_id"), forgotten)
    reason, noted = judged(dataset, "events")
    rows = _clean_columns(rows.withColumns({"reason": reason, "noted": noted}), dataset)
    rows = rows.withColumn("refused", F.lit(None).cast("string"))
    if catalogue is not None:
        rows = with_unknown_items(rows, catalogue, cleaning.severity(UNKNOWN_ITEM))
    stack.enter_context(kept(rows))
    bots = cleaning.severity(BOT)
    settled = partial(
        without_repeats_and_bots,
        earlier=earlier,
        repeated=repeated_ids(rows, earlier, stack),
        stack=stack,
        repeat_days=cleaning.lateness_days + 1,
        bot_events_per_day=_NO_LIMIT if bots == "off" else cleaning.bot_events_per_day,
        bots_are_rejected=bots == "reject",
    )
    if cleaning.severity(ORPHAN_CLICK) != "off":
        # No click decides about an impression: these are settled first.
        accepted = settled(rows).where(F.col("reason").isNull())
        shown = accepted.select("event_type", *SHOWN).unionByName(
            earlier.select("event_type", *SHOWN)
        )
        shown = shown.where(F.col("event_type") == "impression").select(*SHOWN)
        window, severity = (
            dataset.labels.attribution_window_minutes,
            cleaning.severity(ORPHAN_CLICK),
        )
        rows = with_orphan_clicks(rows, shown, window, severity)
        stack.enter_context(kept(rows))
    return _with_masked_line(settled(rows), dataset.personal.truncate_ip)


def _clean_columns(rows: DataFrame, dataset: DatasetConfig) -> DataFrame:
    valid = F.col("reason").isNull()
    raw_id = F.col(RAW + "user_id")
    shown = shown_fields(list(dataset.fields("events")), dataset.personal)
    cells = {name: F.col(RAW + name) for name in shown} | starred_cells(dataset.personal)
    # What a list or an object in the place of the id names cannot be looked for.
    for name in _IDS_OF_THE_LOG & cells.keys():
        cells[name] = F.when(is_nested(raw_id) & cells[name].isNotNull(), MASK).otherwise(
            cells[name]
        )
    readable = F.when(~valid, masked_row(cells, ("user_id",), raw_id))
    masked = F.when(F.col("reason") == FORGOTTEN, F.lit("")).otherwise(
        F.coalesce("masked_fault", readable)
    )
    names_user = F.col("event_id").contains(raw_id) | F.col("request_id").contains(raw_id)
    return rows.select(
        *("ds", "file", "line", "reason", "noted"),
        masked.alias("masked_line"),
        F.when(valid, F.coalesce(_without_user("event_id"), _content_hash(dataset))).alias(
            "event_id"
        ),
        "event_timestamp",
        # A clock that runs fast must not put an event after the state that it is folded into.
        F.least("ds", day_of(F.col("event_timestamp"), dataset.time_zone).cast("string")).alias(
            "event_ds"
        ),
        F.when(valid, F.col("user_id")).alias("user_id"),
        *("item_id", "event_type", "value"),
        _without_user("request_id").alias("request_id"),
        "position",
        _context(dataset).alias("context"),
        F.coalesce(names_user, F.lit(False)).alias("names_user"),
    )


def _without_user(name: str) -> Column:
    """An id of the log in which the user's own id, where it is part of it, is the pseudonym."""
    raw_id = F.col(RAW + "user_id")
    named = F.length(raw_id) >= SHORTEST_ID_LOOKED_FOR
    return F.when(named, F.replace(F.col(name), raw_id, F.col("user_id"))).otherwise(F.col(name))


def _content_hash(dataset: DatasetConfig) -> Column:
    """What identifies an event without an id: the hash of its other fields.

    Of the pseudonym, not of the raw id: a hash without a key could be searched for the id.
    """
    content = F.struct(
        F.unix_micros("event_timestamp").alias("event_timestamp"),
        *("user_id", "item_id", "event_type", "value", "request_id", "position"),
        *(RAW + name for name in dataset.context if name not in dataset.personal.unread),
    )
    return F.sha2(F.to_json(content), _HASH_BITS)


def _context(dataset: DatasetConfig) -> Column:
    """The declared context fields that are present, as a map."""
    if not dataset.context:
        return F.create_map().cast("map<string,string>")
    pairs = (
        F.struct(F.lit(name).alias("key"), F.col(RAW + name).alias("value"))
        for name in dataset.context
    )
    present = F.filter(F.array(*pairs), lambda pair: pair["value"].isNotNull())
    return F.map_from_entries(present)


def _starred(context: Column, names: Collection[str]) -> Column:
    """`context` with `***` in the place of what is there of the fields `names`."""
    if not names:
        return context
    hidden = list(names)
    return F.transform_values(
        context, lambda name, value: F.when(name.isin(hidden), F.lit(MASK)).otherwise(value)
    )


def _with_masked_line(events: DataFrame, networks: Collection[str]) -> DataFrame:
    """`events` where those rejected because of other rows, or noted, have a masked line too."""
    # Their raw text is gone by now; ids of the log that name the user are masked.
    cells = {
        "event_timestamp": F.col("event_timestamp"),
        "user_id": F.lit(MASK),
        **{name: F.col(name) for name in ("item_id", "event_type", "value", "position")},
        "context": _starred(F.col("context"), networks),
        **{
            name: F.when(F.col("names_user") & F.col(name).isNotNull(), F.lit(MASK)).otherwise(
                F.col(name)
            )
            for name in ("event_id", "request_id")
        },
    }
    shown = F.col("reason").isNotNull() | (F.size("noted") > 0)
    masked = F.when(shown, masked_row(cells, ()))
    line = F.coalesce("masked_line", masked)
    return events.withColumn("masked_line", line).drop("names_user")
