from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from feature_store.online import ListedItem, OnlineStore


def lists(version: int, **items_of: list[str]) -> pa.Table:
    """Rows of table `recommendations`; `everybody` stands for `*`."""
    entries = [
        (user.replace("everybody", "*"), rank, item)
        for user, items in items_of.items()
        for rank, item in enumerate(items, start=1)
    ]
    return pa.table(
        {
            "user_id": [user for user, _, _ in entries],
            "rank": pa.array([rank for _, rank, _ in entries], pa.int32()),
            "item_id": [item for _, _, item in entries],
            "score": [1.5 / rank if rank < 3 else float("nan") for _, rank, _ in entries],
            "source": ["model" if rank < 3 else "popularity" for _, rank, _ in entries],
            "model_version": pa.array([version] * len(entries), pa.int32()),
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> OnlineStore:
    return OnlineStore(tmp_path / "online" / "lists.db")


def test_a_list_is_read_in_the_order_of_its_ranks(store: OnlineStore) -> None:
    shuffled = lists(3, anna=["a", "b", "c"]).take([2, 0, 1])
    assert store.write_lists("2026-01-05", shuffled)
    found = store.read_list("anna")
    assert found is not None
    assert (found.ds, found.model_version) == ("2026-01-05", 3)
    assert found.items == (
        ListedItem(1, "a", 1.5, "model"),
        ListedItem(2, "b", 0.75, "model"),
        ListedItem(3, "c", None, "popularity"),
    )


def test_a_user_without_a_list_gets_the_one_for_everybody(store: OnlineStore) -> None:
    store.write_lists("2026-01-05", lists(3, anna=["a"], everybody=["z"]))
    found = store.read_list("nobody")
    assert found is not None
    assert (found.user_id, found.items[0].item_id) == ("*", "z")
    anna = store.read_list("anna")
    assert anna is not None
    assert anna.items[0].item_id == "a"


def test_before_the_first_day_there_is_nothing(store: OnlineStore) -> None:
    assert store.read_list("anna") is None
    assert store.current_day() is None


def test_a_new_day_replaces_every_list(store: OnlineStore) -> None:
    store.write_lists("2026-01-05", lists(3, anna=["a"], ben=["b"]))
    assert store.write_lists("2026-01-06", lists(4, anna=["c"]))
    assert store.read_list("ben") is None
    assert store.current_day() == "2026-01-06"


def test_an_older_day_never_replaces_a_newer_one(store: OnlineStore) -> None:
    store.write_lists("2026-01-06", lists(4, anna=["c"]))
    assert not store.write_lists("2026-01-05", lists(3, anna=["a"]))
    anna = store.read_list("anna")
    assert anna is not None
    assert anna.items[0].item_id == "c"


def test_the_same_day_again_replaces_itself(store: OnlineStore) -> None:
    store.write_lists("2026-01-06", lists(4, anna=["c"]))
    assert store.write_lists("2026-01-06", lists(5, anna=["d"]))
    anna = store.read_list("anna")
    assert anna is not None
    assert (anna.model_version, anna.items[0].item_id) == (5, "d")


def test_a_day_without_lists_leaves_yesterdays(store: OnlineStore) -> None:
    store.write_lists("2026-01-05", lists(3, anna=["a"]))
    assert store.write_lists("2026-01-06", lists(3))
    assert store.current_day() == "2026-01-05"


def test_a_reader_never_sees_two_days_mixed(store: OnlineStore, tmp_path: Path) -> None:
    store.write_lists("2026-01-05", lists(3, anna=["a"], ben=["b"]))
    with closing(sqlite3.connect(tmp_path / "online" / "lists.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT items FROM lists WHERE user_id = 'anna'").fetchone()
        store.write_lists("2026-01-06", lists(4, anna=["c"], ben=["d"]))
        (items,) = reader.execute("SELECT items FROM lists WHERE user_id = 'ben'").fetchone()
        assert json.loads(items)[0]["item_id"] == "b"
        reader.execute("COMMIT")
        (items,) = reader.execute("SELECT items FROM lists WHERE user_id = 'ben'").fetchone()
    assert json.loads(items)[0]["item_id"] == "d"


def test_a_writer_that_dies_halfway_leaves_the_old_day(store: OnlineStore) -> None:
    store.write_lists("2026-01-05", lists(3, anna=["a"]))
    broken = lists(4, anna=["c"], ben=["d"]).set_column(
        0, "user_id", pa.array(["anna", None], pa.string())
    )
    with pytest.raises(sqlite3.IntegrityError):
        store.write_lists("2026-01-06", broken)
    anna = store.read_list("anna")
    assert anna is not None
    assert (anna.ds, anna.items[0].item_id) == ("2026-01-05", "a")
