"""What the checks of a step's tables said: recorded whether the step passed or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from conf.errors import CheckFailed
from feature_store.step import Step

if TYPE_CHECKING:
    from feature_store.checks import CheckResult
    from feature_store.lake import Lake

_SAID = 3
"""Warnings that the summary of a step names."""


@contextmanager
def recorded_checks(lake: Lake, step: Step, task: str, days: Sequence[str]) -> Iterator[None]:
    """Check the volumes when the block has written, and record what all checks said.

    Raises:
        CheckFailed: a check of severity `fail` is broken; what was said is recorded nevertheless.
    """
    from feature_store.volume import check_volumes

    lake.check_results.clear()
    try:
        yield
    except CheckFailed:
        _record(lake, task, days)
        raise
    lake.check_results += check_volumes(lake, step.writes, days)
    _record(lake, task, days)


def warnings_said(results: Sequence[CheckResult]) -> str:
    """The end of a step's summary: the first of the checks that warn; empty if none does."""
    warning = [result for result in results if result.warns]
    said = "".join(f"; WARNING {result.ds} {result}" for result in warning[:_SAID])
    more = len(warning) - _SAID
    return said + (f"; WARNING {more} more: dayfold status --json" if more > 0 else "")


def _record(lake: Lake, task: str, days: Sequence[str]) -> None:
    import pyarrow as pa

    from feature_store.tables import CHECKS

    # A step may write a table twice: what was said last is what the table holds.
    last = {(result.ds, result.table, result.check): result for result in lake.check_results}
    columns = ("ds", "table", "check", "severity", "passed", "observed", "expected")
    schema = lake.schema(CHECKS)
    by_day = {
        ds: pa.Table.from_pylist(
            [
                {"step": task, **{name: getattr(result, name) for name in columns}}
                for result in last.values()
                if result.ds == ds
            ],
            schema,
        )
        for ds in days
    }
    lake.replace_days(CHECKS, by_day, {"step": task, "ds": days[-1]}, step=task)
