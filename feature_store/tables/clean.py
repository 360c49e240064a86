"""What came in, cleaned: events, profiles, items, the quarantine, and the ledger of days."""

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

EVENTS = Table(
    layer="clean",
    name="events",
    grain="one event, on the day it arrived",
    columns=(
        DS,
        Column("event_id", "string", "the log's id, else a hash of the other fields"),
        Column("event_timestamp", "timestamp", "when it happened"),
        Column("event_ds", "string", "day it happened on, in the dataset's time zone"),
        Column("user_id", "string", "pseudonym: HMAC-SHA256, 32 hex digits"),
        Column("item_id", "string", "the log's item id"),
        Column("event_type", "string", "one of the dataset's event types"),
        nullable("value", "double", "rating, quantity or dwell seconds"),
        nullable("request_id", "string", "the slate it belongs to"),
        nullable("position", "int32", "rank within the slate, from 0 or 1 as logged"),
        Column("context", "map<string,string>", "declared context fields that were present"),
    ),
    checks=(unique("event_id"), volume(2.0)),
)
PROFILES = Table(
    layer="clean",
    name="profiles",
    grain="one user whose profile is new or changed that day",
    columns=(
        DS,
        Column("user_id", "string", "pseudonym"),
        Column("updated_at", "timestamp", "when the profile changed"),
    ),
    checks=(unique("user_id"), volume(3.0, "profiles")),
    expand="raw_user",
    entity="user_id",
)
ITEMS = Table(
    layer="clean",
    name="items",
    grain="one item that is new or changed that day",
    columns=(
        DS,
        Column("item_id", "string", "the log's item id"),
        Column("updated_at", "timestamp", "when the item changed"),
        nullable("available_from", "timestamp", "first instant it may be recommended"),
        nullable("available_until", "timestamp", "first instant it may no longer be recommended"),
        nullable("title", "string", "for people and text scorers"),
        nullable("description", "string", "for people and text scorers"),
    ),
    checks=(unique("item_id"), volume(3.0, "items")),
    expand="raw_item",
    entity="item_id",
)
QUARANTINE = Table(
    layer="clean",
    name="quarantine",
    grain="one rejected raw row",
    columns=(
        DS,
        Column("stream", "string", "events, profiles or items"),
        Column("file", "string", "file name within the day's raw folder"),
        Column("line", "int64", "line (text) or row (Parquet) number in the file, from 1"),
        Column("masked_line", "string", "the row, ids and personal data masked"),
        Column("reason", "string", "reason code"),
    ),
    checks=(unique("stream", "file", "line"),),
)
INTAKE = Table(
    layer="clean",
    name="intake",
    grain="one stream and outcome of a day",
    columns=(
        DS,
        Column("stream", "string", "events, profiles or items"),
        Column("outcome", "string", "read, clean, or a quarantine reason"),
        Column("rows", "int64", "raw rows; read = clean + the sum of the reasons"),
    ),
    checks=(unique("stream", "outcome"), in_range("rows", 0)),
)
RAW_FILES = Table(
    layer="clean",
    name="raw_files",
    grain="one raw file of a day, as it was when it was read",
    columns=(
        DS,
        Column("stream", "string", "events, profiles or items"),
        Column("file", "string", "file name within the day's raw folder"),
        Column("bytes", "int64", "its size"),
        Column("sha256", "string", "of its content, 64 hex digits"),
        Column("fields", "map<string,string>", "fields of its first rows and their kinds"),
    ),
    version=2,
    checks=(unique("stream", "file"), in_range("bytes", 0)),
)
LEDGER = Table(
    layer="clean",
    name="ledger",
    grain="one day that is closed",
    columns=(
        DS,
        Column("state", "string", "history, published or waived"),
        Column("closed_at", "timestamp", "when the row was written"),
        Column("reason", "string", "why waived; else how the day ended"),
        Column("table_versions", "string", "JSON: {table: Delta version} that make up the day"),
        Column("code_version", "string", "git commit or package version"),
        Column("config_hash", "string", "hash of the settings and the dataset's declaration"),
    ),
    checks=(unique("ds"),),
)
