"""A table's columns as Arrow and Delta types."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from conf.dataset import DatasetConfig
from conf.errors import SchemaMismatch
from feature_store.tables import Table, Type, columns_of

ARROW_TYPES: dict[Type, pa.DataType] = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "list<string>": pa.list_(pa.string()),
    "list<int32>": pa.list_(pa.int32()),
    "list<timestamp>": pa.list_(pa.timestamp("us", tz="UTC")),
    "map<string,string>": pa.map_(pa.string(), pa.string()),
}


def arrow_schema(table: Table, dataset: DatasetConfig) -> pa.Schema:
    """The Arrow schema of `table` for `dataset`, partition columns included."""
    return pa.schema([pa.field(c.name, ARROW_TYPES[c.type]) for c in columns_of(table, dataset)])


def with_values(rows: pa.Table, partition: Mapping[str, str]) -> pa.Table:
    """`rows` with the columns of `partition` that they leave out."""
    for name, value in partition.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.array([value] * rows.num_rows, pa.string()))
    return rows


def conform(rows: pa.Table, table: Table, dataset: DatasetConfig) -> pa.Table:
    """`rows` with exactly the declared columns, in order and cast to their types.

    Raises:
        SchemaMismatch: a declared column is missing, an undeclared one is there, or a type differs.
    """
    schema = arrow_schema(table, dataset)
    missing = [name for name in schema.names if name not in rows.column_names]
    extra = [name for name in rows.column_names if name not in schema.names]
    if missing or extra:
        raise SchemaMismatch(
            f"{table.key}: expected columns {schema.names}; missing {missing}, undeclared {extra}."
        )
    try:
        return rows.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaMismatch(f"{table.key}: {error}. Expected {schema}.") from error
