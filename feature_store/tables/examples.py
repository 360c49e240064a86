"""Rows with a final label."""

from __future__ import annotations

from feature_store.tables.declare import (
    DS,
    Column,
    Table,
    in_range,
    nullable,
    unique,
    volume,
)

EXAMPLES = Table(
    layer="examples",
    name="examples",
    grain="one event whose label became final that day",
    columns=(
        DS,
        Column("example_id", "string", "event_id of the impression, rating or positive event"),
        Column("event_timestamp", "timestamp", "when the user saw or took the item"),
        Column("event_ds", "string", "day it happened on; features are those known before it"),
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("item_index", "int32", "vocabulary id of item_id"),
        nullable("request_id", "string", "the slate it belongs to"),
        nullable("position", "int32", "rank within the slate"),
        Column("hour", "int32", "hour of the day in the dataset's time zone, 0-23"),
        Column("weekday", "int32", "0 = Monday ... 6 = Sunday, in the dataset's time zone"),
        Column("label", "double", "1 = positive, 0 = not; of a rating its place on the scale, 0-1"),
        nullable("value", "double", "rating or quantity, where logged"),
        Column("weight", "double", "weight of the positive event type; 1 for negatives"),
    ),
    checks=(
        unique("example_id"),
        in_range("label", 0, 1),
        in_range("hour", 0, 23),
        in_range("weekday", 0, 6),
        in_range("weight", 0),
        volume(2.0),
    ),
    expand="encoded_context",
)
