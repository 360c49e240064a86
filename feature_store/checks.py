"""A table's declared checks, on the rows of one partition before they are committed."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from conf.dataset import DatasetConfig
from conf.errors import CheckFailed
from feature_store.tables import Check, Table, columns_of


def run_checks(table: Table, dataset: DatasetConfig, rows: pa.Table, partition: str) -> None:
    """Pass, or say which check failed on how many rows, with three of them.

    Raises:
        CheckFailed: a required column has nulls, or a declared check does not hold.
    """
    for column in columns_of(table, dataset):
        if not column.nullable and rows.column(column.name).null_count:
            bad = rows.filter(pc.is_null(rows.column(column.name)))
            raise CheckFailed(_message(table, partition, f"{column.name} is never null", bad))
    for check in table.checks:
        bad = _offenders(check, rows)
        if bad.num_rows:
            raise CheckFailed(_message(table, partition, _rule(check), bad))


def _offenders(check: Check, rows: pa.Table) -> pa.Table:
    if check.rule == "unique":
        counts = (
            rows.select(list(check.columns))
            .group_by(list(check.columns))
            .aggregate([([], "count_all")])
        )
        return counts.filter(pc.greater(counts.column("count_all"), 1))
    column = rows.column(check.columns[0])
    inside = pc.and_(pc.greater_equal(column, check.low), pc.less_equal(column, check.high))
    return rows.filter(pc.invert(pc.fill_null(inside, True)))


def _rule(check: Check) -> str:
    if check.rule == "unique":
        return f"({', '.join(check.columns)}) identifies a row"
    return f"{check.low:g} <= {check.columns[0]} <= {check.high:g}"


def _message(table: Table, partition: str, rule: str, bad: pa.Table) -> str:
    return (
        f"{table.key}, {partition}: expected that {rule}; {bad.num_rows} rows break it, "
        f"for example {bad.slice(0, 3).to_pylist()}. Nothing was committed."
    )
