"""Two writers of one table: of one partition one is told, of different ones both are served."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from feature_store.swap import swap

SCHEMA = pa.schema([("ds", pa.string()), ("n", pa.int32())])


class Writers:
    """A table, and commits on the version of it that a writer looked at."""

    def __init__(self, root: Path) -> None:
        self.uri = str(root)
        DeltaTable.create(self.uri, schema=SCHEMA, partition_by=["ds"])

    def look(self) -> DeltaTable:
        return DeltaTable(self.uri)

    def commit(
        self, ds: str, n: int, looked: DeltaTable | None = None, read: int | None = None
    ) -> None:
        """Replace `ds` by one row; the first look at the table is `looked`."""
        from deltalake.transaction import AddAction
        from pyarrow import parquet

        path = Path(self.uri, f"ds={ds}", f"{n}.parquet")
        path.parent.mkdir(exist_ok=True)
        parquet.write_table(pa.table({"n": pa.array([n], pa.int32())}), path)
        add = AddAction(
            f"ds={ds}/{n}.parquet", path.stat().st_size, {"ds": ds}, 0, True, '{"numRecords": 1}'
        )
        looks = iter([looked] if looked else [])
        newest = lambda: next(looks, None) or self.look()  # noqa: E731
        swap(newest, [add], [("ds", "in", [ds])], SCHEMA, {"by": str(n)}, read)

    def rows(self) -> list[tuple[str, int]]:
        return sorted((r["ds"], r["n"]) for r in self.look().to_pyarrow_table().to_pylist())


@pytest.fixture
def writers(tmp_path: Path) -> Writers:
    """An empty table."""
    return Writers(tmp_path / "table")


def test_of_two_writers_of_an_empty_partition_the_second_is_told(writers: Writers) -> None:
    looked = writers.look()
    writers.commit("1", 10)
    with pytest.raises(CommitFailedError):
        writers.commit("1", 11, looked)
    assert writers.rows() == [("1", 10)]


def test_of_two_writers_of_a_full_partition_the_second_is_told(writers: Writers) -> None:
    writers.commit("1", 9)
    looked = writers.look()
    writers.commit("1", 10)
    with pytest.raises(CommitFailedError):
        writers.commit("1", 11, looked)
    assert writers.rows() == [("1", 10)]


def test_writers_of_different_partitions_do_not_disturb_each_other(writers: Writers) -> None:
    looked = writers.look()
    writers.commit("1", 10)
    writers.commit("2", 20, looked)
    assert writers.rows() == [("1", 10), ("2", 20)]
    assert writers.look().history(1)[0]["by"] == "20"


def test_what_follows_from_other_partitions_is_refused_when_they_changed(writers: Writers) -> None:
    looked = writers.look()
    writers.commit("1", 10)
    with pytest.raises(CommitFailedError, match="version 1, expected 0"):
        writers.commit("2", 20, read=0)
    with pytest.raises(CommitFailedError):
        writers.commit("2", 20, looked, read=0)
    writers.commit("2", 21, read=1)
    assert writers.rows() == [("1", 10), ("2", 21)]
