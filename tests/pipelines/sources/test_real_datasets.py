"""The adapters on the real files; skipped where those are not at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.sources.movielens_100k import import_movielens_100k
from pipelines.sources.movietweetings import import_movietweetings
from pipelines.sources.online_retail import import_online_retail

REPOSITORY = Path(__file__).parents[3]
SHARED = Path(os.environ.get("DAYFOLD_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))


def _folder(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"no {name} in {SHARED}; point DAYFOLD_SHARED_DATA at a folder that has it")
    return SHARED / name


def _first_days_of_items_and_events(raw: Path) -> Callable[[str, str], Any]:
    def query(key: str, stream: str) -> Any:
        return duckdb.sql(
            f"""
            with events as (select {key} as id, min(ds) as ds
                            from read_json('{raw}/events/ds=*/part-*', hive_partitioning=true)
                            group by 1),
                 rows as (select {key} as id, min(ds) as ds, count(*) as n
                          from read_json('{raw}/{stream}/ds=*/part-*', hive_partitioning=true)
                          group by 1)
            select count(*), count_if(rows.ds is distinct from events.ds), max(n)
            from events full join rows using (id)
            """  # noqa: S608
        ).fetchall()[0]

    return query


def test_movietweetings_has_its_published_size_and_no_movie_before_its_first_rating(
    tmp_path: Path,
) -> None:
    summary = import_movietweetings(_folder("movietweetings"), tmp_path, None, None)
    assert (summary.days, summary.events, summary.items) == (186, 100_000, 10_506)
    assert summary.skipped == {}
    query = _first_days_of_items_and_events(tmp_path)
    assert query("item_id", "items") == (10_506, 0, 1)


def test_movielens_has_its_published_size_and_no_profile_before_its_first_rating(
    tmp_path: Path,
) -> None:
    summary = import_movielens_100k(_folder("ml-100k"), tmp_path, None, None)
    assert (summary.days, summary.events, summary.profiles, summary.items) == (
        215,
        100_000,
        943,
        1682,
    )
    query = _first_days_of_items_and_events(tmp_path)
    assert query("user_id", "profiles") == (943, 0, 1)
    assert query("item_id", "items") == (1682, 0, 1)


def test_online_retail_rows_arrive_with_all_their_dirt(tmp_path: Path) -> None:
    source = _folder("online-retail")
    summary = import_online_retail(source, tmp_path, "2010-12-01", "2010-12-31")
    assert (summary.days, summary.skipped) == (31, {})
    theirs = duckdb.sql(
        f"""
        select count(*), count_if(CustomerID is null), count_if(InvoiceNo like 'C%'),
               count_if(Quantity::int < 0), count(distinct StockCode)
        from read_csv('{source}/by-day/2010-12-*.csv.gz', all_varchar=true)
        """  # noqa: S608
    ).fetchall()[0]
    ours = duckdb.sql(
        f"""
        select count(*), count_if(user_id is null), count_if(event_type = 'return'),
               count_if(value < 0), count(distinct item_id)
        from read_json('{tmp_path}/events/ds=*/part-*', columns={{'user_id': 'VARCHAR',
            'event_type': 'VARCHAR', 'value': 'DOUBLE', 'item_id': 'VARCHAR'}})
        """  # noqa: S608
    ).fetchall()[0]
    assert ours == theirs
    assert ours[1] > 0
    empty = tmp_path / "events" / "ds=2010-12-04"
    assert [path.name for path in empty.iterdir()] == ["_SUCCESS"]
