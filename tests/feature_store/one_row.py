"""One row of any table, for tests that need it to be there."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from feature_store.lake import Lake
from feature_store.tables import Table

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def put(lake: Lake, table: Table, partition: dict[str, str], **columns: object) -> None:
    """One row of `table` with these columns; the others are empty."""
    empty: dict[str, object] = {"string": "", "bool": False, "timestamp[us, tz=UTC]": EPOCH}
    empty[str(pa.list_(pa.string()))] = empty[str(pa.map_(pa.string(), pa.string()))] = []
    row = {
        field.name: empty.get(str(field.type), 0)
        for field in lake.schema(table)
        if field.name not in partition
    }
    schema = pa.schema([f for f in lake.schema(table) if f.name not in partition])
    lake.replace(table, partition, pa.Table.from_pylist([row | columns], schema), {})
