"""What must outlive every day: who asked to be forgotten.

Not one of TABLES: those belong to days, whose re-run or waiver clears them.
"""

from __future__ import annotations

from feature_store.tables.declare import Column, Table, nullable, unique

FORGOTTEN = Table(
    layer="clean",
    name="forgotten",
    grain="one user who is forgotten; ds is the day (UTC) of the request",
    columns=(
        Column("ds", "string", "day of the request, YYYY-MM-DD, UTC"),
        Column("user_id", "string", "pseudonym"),
        Column("requested_at", "timestamp", "when the request was made"),
        Column("reason", "string", "why, as given; may be empty"),
        Column("state", "string", "begun (erasing is not over) or done"),
        nullable("finished_at", "timestamp", "when the last row was gone"),
        Column("removed", "string", "JSON: {table: rows removed}"),
        Column("model_versions", "string", "JSON: registered versions that trained on the user"),
        Column("raw_days", "string", "JSON: days whose raw files hold the user; empty when done"),
    ),
    checks=(unique("user_id"),),
    partition=("ds", "user_id"),
)
