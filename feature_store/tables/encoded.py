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
)

VOCABULARIES = Table(
    layer="encoded",
    name="vocabularies",
    grain="one value of one field, on its day of birth (ds)",
    columns=(
        DS,
        Column(
            "field",
            "string",
            "user_id, item_id, user.<attribute>, item.<attribute>, context.<field>",
        ),
        Column("value", "string", "the raw value"),
        Column("id", "int32", "from 2; never changes, never given again"),
    ),
    checks=(unique("field", "value"), unique("field", "id"), in_range("id", FIRST_VALUE_ID)),
)
USERS = Table(
    layer="encoded",
    name="users",
    grain="one user whose profile changed that day, label-encoded",
    columns=(
        DS,
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("valid_from", "timestamp", "later of the change and the beginning of ds"),
    ),
    checks=(unique("user_index"), in_range("user_index", FIRST_VALUE_ID)),
    expand="encoded_user",
    entity="user_index",
)
ENCODED_ITEMS = Table(
    layer="encoded",
    name="items",
    grain="one item that changed that day, label-encoded",
    columns=(
        DS,
        Column("item_index", "int32", "vocabulary id of item_id"),
        Column("valid_from", "timestamp", "later of the change and the beginning of ds"),
        nullable("available_from", "timestamp", "first instant it may be recommended"),
        nullable("available_until", "timestamp", "first instant it may no longer be recommended"),
    ),
    checks=(unique("item_index"), in_range("item_index", FIRST_VALUE_ID)),
    expand="encoded_item",
    entity="item_index",
)
