"""A table's declared checks, on the rows of one partition before they are committed.

A check of severity `fail` stops the step; one of severity `warn` is only noted. Volume only warns,
and is checked when the rows are there: see `feature_store.volume`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.dataset import DatasetConfig
from conf.errors import CheckFailed
from feature_store.schema import conform
from feature_store.tables import Check, Severity, Table, columns_of

NOT_NULL = "not_null"
_SHOWN_ROWS = 3


@dataclass(frozen=True)
class CheckResult:
    """What one check said of one partition."""

    ds: str
    table: str
    check: str
    """`not_null`, `unique(a, b)`, `in_range(a)`, or `volume`."""
    severity: Severity
    passed: bool | None
    """None: there was too little to compare with."""
    observed: float
    """Rows that break the rule; rows of the day for `volume`."""
    expected: str
    example: str = ""
    """Three of the rows; not kept in the table of results."""

    @property
    def warns(self) -> bool:
        """Whether it found something that does not stop the step."""
        return self.passed is False and self.severity == "warn"

    @property
    def fails(self) -> bool:
        """Whether it found something that stops the step."""
        return self.passed is False and self.severity == "fail"

    def __str__(self) -> str:
        """One line: where, what was expected, what was found."""
        return f"{self.table} {self.check}: expected {self.expected}; {self.observed:,.0f} rows" + (
            "" if self.check == "volume" else " break it"
        )


def run_checks(
    table: Table,
    dataset: DatasetConfig,
    rows: pa.Table,
    partition: Mapping[str, str],
    noted: list[CheckResult],
) -> None:
    """Add what each check says of `rows` to `noted`; pass if none fails.

    Raises:
        CheckFailed: a check of severity `fail` found bad rows; the message shows three of them.
    """
    results = [_not_null(table, dataset, rows, partition["ds"])]
    results += [
        _result(table, check, rows, partition["ds"])
        for check in table.checks
        if check.rule != "volume"
    ]
    noted += results
    _refuse_failed(results, ", ".join(f"{n}={v}" for n, v in partition.items()))


def check_staged(
    table: Table,
    dataset: DatasetConfig,
    ds: str,
    paths: Sequence[Path],
    noted: list[CheckResult],
) -> None:
    """As `run_checks`, for the rows of `ds` in Parquet files that are to be committed.

    Raises:
        SchemaMismatch: they do not have the declared columns.
        CheckFailed: a check of severity `fail` found bad rows.
    """
    if not paths:
        return
    rows = pa.concat_tables(pq.ParquetFile(path).read() for path in paths)
    rows = rows.append_column("ds", pa.array([ds] * rows.num_rows, pa.string()))
    run_checks(table, dataset, conform(rows, table, dataset), {"ds": ds}, noted)


def _refuse_failed(results: Sequence[CheckResult], partition: str) -> None:
    """Pass if none of `results`, all of one partition, fails.

    Raises:
        CheckFailed: one does.
    """
    for result in results:
        if result.fails:
            of = result.table
            raise CheckFailed(
                f"{of}, {partition}: {str(result).removeprefix(of).lstrip()}, for example "
                f"{result.example}. Nothing was committed. Next: mend what the rows are made of, "
                f"then `dayfold run --from {result.ds} --to {result.ds}`"
            )


def _not_null(table: Table, dataset: DatasetConfig, rows: pa.Table, ds: str) -> CheckResult:
    """Whether the columns that need a value have one."""
    required = [column.name for column in columns_of(table, dataset) if not column.nullable]
    with_nulls = [name for name in required if rows.column(name).null_count]
    if not with_nulls:
        expected = f"{len(required)} columns never null"
        return CheckResult(ds, table.key, NOT_NULL, "fail", True, 0.0, expected)
    bad = rows.filter(pc.is_null(rows.column(with_nulls[0])))
    expected = f"that {with_nulls[0]} is never null"
    return _of_rows(table, ds, NOT_NULL, "fail", expected, bad)


def _result(table: Table, check: Check, rows: pa.Table, ds: str) -> CheckResult:
    name = f"{check.rule}({', '.join(check.columns)})"
    return _of_rows(
        table, ds, name, check.severity, f"that {_rule(check)}", _offenders(check, rows)
    )


def _of_rows(
    table: Table, ds: str, name: str, severity: Severity, expected: str, bad: pa.Table
) -> CheckResult:
    example = str(bad.slice(0, _SHOWN_ROWS).to_pylist()) if bad.num_rows else ""
    count = bad.num_rows
    return CheckResult(ds, table.key, name, severity, not count, float(count), expected, example)


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
