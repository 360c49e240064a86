"""A year of a real shop through cleaning: what is known to be wrong with it comes out by reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from conf.dataset import load_dataset
from feature_store.raw_zone import RawZone
from feature_store.tables import EVENTS, INTAKE
from pipelines.sources.online_retail import import_online_retail
from tests.pipelines.workbench import Workbench

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("DAYFOLD_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
SOURCE = SHARED / "online-retail"
ROWS, WITHOUT_CUSTOMER, EXACT_DUPLICATES, CANCELLATIONS = 541_909, 135_080, 5_268, 9_288
"""Of the whole file, as counted by hand before there was a pipeline."""

pytestmark = pytest.mark.slow


def test_the_known_dirt_of_online_retail_comes_out_by_reason(
    bench: Callable[..., Workbench], tmp_path: Path
) -> None:
    if not SOURCE.is_dir():
        pytest.skip(f"no {SOURCE}; point DAYFOLD_SHARED_DATA at a folder that has online-retail")
    del bench  # only its Spark session
    workbench = Workbench(tmp_path, load_dataset("online-retail"))
    import_online_retail(SOURCE, tmp_path / "raw", None, None)
    days = RawZone(tmp_path / "raw").complete_days()
    workbench.run("clean_events", *days)

    counts: dict[str, int] = {}
    for row in workbench.lake.read(INTAKE, days).to_pylist():
        if row["stream"] == "events":
            counts[row["outcome"]] = counts.get(row["outcome"], 0) + row["rows"]
    returned = workbench.lake.read(EVENTS, days, columns=["event_type"])["event_type"].to_pylist()

    theirs = duckdb.sql(
        f"""
        with source as (select * exclude (filename) from read_csv(
                '{SOURCE}/by-day/*.csv.gz', all_varchar=true, filename=true)),
        rows as (select *, count(*) as copies from source group by all)
        select sum(copies), sum(copies) filter (where CustomerID is null), sum(copies - 1),
               sum(copies - 1) filter (where CustomerID is not null),
               sum(copies) filter (where InvoiceNo like 'C%'),
               count(*) filter (where InvoiceNo like 'C%' and CustomerID is not null)
        from rows
        """  # noqa: S608
    ).fetchall()[0]
    read, nobodys, repeated, somebodys_repeated, cancelled, somebodys_cancelled = map(int, theirs)
    assert (read, nobodys, repeated, cancelled) == (
        *(ROWS, WITHOUT_CUSTOMER, EXACT_DUPLICATES),
        CANCELLATIONS,
    )
    # A row without a customer is rejected for that, be it there once or twice.
    assert counts == {
        "read": ROWS,
        "missing_user_id": WITHOUT_CUSTOMER,
        "duplicate": somebodys_repeated,
        "clean": ROWS - WITHOUT_CUSTOMER - somebodys_repeated,
    }
    assert returned.count("return") == somebodys_cancelled
