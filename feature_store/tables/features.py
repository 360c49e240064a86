"""State folded forward: decayed sums, last items, items taken."""

from __future__ import annotations

from feature_store.tables.declare import (
    DS,
    FIRST_VALUE_ID,
    HALF_LIVES_DAYS,
    STATISTICS,
    Column,
    Table,
    decayed,
    in_range,
    unique,
    volume,
)

_STATE = tuple(
    Column(
        decayed(statistic, half_life),
        "double",
        f"sum of {statistic}, each decayed to the end of ds with a half-life of {half_life} days",
    )
    for statistic in STATISTICS
    for half_life in HALF_LIVES_DAYS
)
USER_STATS = Table(
    layer="features",
    name="user_stats",
    grain="one user active that day (all users on a base day): state at the end of ds",
    columns=(
        DS,
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("first_event_timestamp", "timestamp", "first event ever seen"),
        Column("last_event_timestamp", "timestamp", "latest event seen"),
        *_STATE,
    ),
    entity="user_index",
    based=True,
    checks=(unique("user_index"), in_range("user_index", FIRST_VALUE_ID), volume(2.0)),
)
ITEM_STATS = Table(
    layer="features",
    name="item_stats",
    grain="one item active that day (all items on a base day): state at the end of ds",
    columns=(
        DS,
        Column("item_index", "int32", "vocabulary id of item_id"),
        Column("first_event_timestamp", "timestamp", "first event ever seen"),
        Column("last_event_timestamp", "timestamp", "latest event seen"),
        *_STATE,
    ),
    entity="item_index",
    based=True,
    checks=(unique("item_index"), in_range("item_index", FIRST_VALUE_ID), volume(2.0)),
)
USER_SEQUENCES = Table(
    layer="features",
    name="user_sequences",
    grain="one user with a positive event that day (all on a base day): last items at its end",
    columns=(
        DS,
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("item_indices", "list<int32>", "last N positive items, oldest first"),
        Column("event_timestamps", "list<timestamp>", "their times, same order"),
    ),
    entity="user_index",
    based=True,
    checks=(unique("user_index"), in_range("user_index", FIRST_VALUE_ID), volume(2.0)),
)
USER_TAKEN = Table(
    layer="features",
    name="user_taken",
    grain="one item that a user took that day (on a base day: every pair so far)",
    columns=(
        DS,
        Column("user_id", "string", "pseudonym"),
        Column("item_id", "string", "as logged"),
    ),
    based=True,
    checks=(unique("user_id", "item_id"), volume(2.0)),
)
