"""Vocabularies, and users and items label-encoded by them."""

from __future__ import annotations

from feature_store.tables.declare import (
    DS,
    FIRST_VALUE_ID,
    Column,
    Table,
    in_range,
    nullable,
    unique,
    volume,
)

_FIELD = Column("field", "string", "as in vocabularies")

VOCABULARIES = Table(
    layer="encoded",
    name="vocabularies",
    grain="one value of one field born that day (all born so far, on a base day)",
    columns=(
        DS,
        Column(
            "field",
            "string",
            "user_id, item_id, user.<attribute>, item.<attribute>, context.<field>",
        ),
        Column("value", "string", "the raw value"),
        Column("id", "int32", "from 2; never changes, never given again"),
        Column("born_on", "string", "its day of birth"),
    ),
    based=True,
    checks=(
        unique("field", "value"),
        unique("field", "id"),
        in_range("id", FIRST_VALUE_ID),
        volume(3.0),
    ),
)
PENDING_VALUES = Table(
    layer="encoded",
    name="pending_values",
    grain="one value below min_count that was seen that day (all that wait, on a base day)",
    columns=(
        DS,
        _FIELD,
        Column("value", "string", "the raw value"),
        Column("count", "int64", "occurrences in clean rows so far"),
        Column("last_seen", "string", "latest day on which it occurred"),
        nullable("described_on", "string", "user_id, item_id: latest day of its profile or item"),
    ),
    based=True,
    checks=(unique("field", "value"), in_range("count", 1), volume(3.0)),
)
LAST_SEEN = Table(
    layer="encoded",
    name="last_seen",
    grain="one id of a field with expire_days seen that day (all that can expire, on a base day)",
    columns=(
        DS,
        _FIELD,
        Column("id", "int32", "its id there"),
        Column("last_seen", "string", "latest day on which its value occurred"),
    ),
    based=True,
    checks=(unique("field", "id"), in_range("id", FIRST_VALUE_ID), volume(2.0)),
)
EXPIRIES = Table(
    layer="encoded",
    name="expiries",
    grain="one id that expired, or came back, that day (all that are expired, on a base day)",
    columns=(
        DS,
        _FIELD,
        Column("id", "int32", "its id there; it stays the value's own"),
        Column("state", "string", "expired: reads as unknown from then on; returned: as itself"),
        Column("turned_on", "string", "the day on which it did"),
    ),
    based=True,
    checks=(unique("field", "id"), in_range("id", FIRST_VALUE_ID)),
)
USERS = Table(
    layer="encoded",
    name="users",
    grain="one user whose profile changed that day (all, as the day began, on a base day)",
    columns=(
        DS,
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("valid_from", "timestamp", "later of the change and the beginning of its day"),
    ),
    based=True,
    checks=(
        unique("user_index", "valid_from"),
        in_range("user_index", FIRST_VALUE_ID),
        volume(3.0, "profiles"),
    ),
    expand="encoded_user",
    entity="user_index",
)
ENCODED_ITEMS = Table(
    layer="encoded",
    name="items",
    grain="one item that changed that day (all, as the day began, on a base day)",
    columns=(
        DS,
        Column("item_index", "int32", "vocabulary id of item_id"),
        Column("valid_from", "timestamp", "later of the change and the beginning of its day"),
        nullable("available_from", "timestamp", "first instant it may be recommended"),
        nullable("available_until", "timestamp", "first instant it may no longer be recommended"),
        nullable("text", "string", "title, attributes and description, for text scorers"),
    ),
    based=True,
    checks=(
        unique("item_index", "valid_from"),
        in_range("item_index", FIRST_VALUE_ID),
        volume(3.0, "items"),
    ),
    expand="encoded_item",
    entity="item_index",
)
