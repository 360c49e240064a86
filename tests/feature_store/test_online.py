"""The online store, in SQLite and in a real Redis: one day at a time, whole, never an older one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import redis

from conf.settings import Settings
from feature_store.online import ListedItem, OnlineDay, OnlineStore, open_online_store
from feature_store.online_vectors import Section, Vectors
from tests.redis_fixture import redis_server

D1, D2, D3 = "2026-01-05", "2026-01-06", "2026-01-07"
MakeStore = Callable[[], OnlineStore]


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
            "reason": ["because it is popular"] * len(entries),
            "model_version": pa.array([version] * len(entries), pa.int32()),
        }
    )


def vectors(**numeric_of: float) -> Vectors:
    """Vectors with one number, and a history as long as the number (5 at most)."""
    names = [name.replace("unknown", "*") for name in numeric_of]
    numbers = np.array(list(numeric_of.values()), np.float32)[:, None]
    return Vectors(
        names,
        (Section("numeric", "float32", ("clicks",)), Section("history", "int32")),
        (numbers, np.tile(np.arange(7, 12, dtype=np.int32), (len(names), 1))),
        (np.ones(len(names), np.int64), np.minimum(numbers[:, 0], 5).astype(np.int64)),
    )


@pytest.fixture(scope="module")
def redis_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as uri:
        yield uri


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Opens one and the same empty store again and again."""
    if request.param == "sqlite":
        settings = Settings(home=str(tmp_path), dataset="shop")
    else:
        settings = Settings(dataset="shop", online_store=request.getfixturevalue("redis_uri"))
        open_online_store(settings).clear()
    return lambda: open_online_store(settings)


@pytest.fixture
def store(stores: MakeStore) -> OnlineStore:
    return stores()


def test_a_list_is_read_in_the_order_of_its_ranks(store: OnlineStore) -> None:
    shuffled = lists(3, anna=["a", "b", "c"]).take([2, 0, 1])
    assert store.write(OnlineDay(D1, shuffled))
    found = store.read_list("anna")
    assert found is not None
    assert (found.user_id, found.ds, found.model_version) == ("anna", D1, 3)
    assert found.items == (
        ListedItem(1, "a", 1.5, "model", "because it is popular"),
        ListedItem(2, "b", 0.75, "model", "because it is popular"),
        ListedItem(3, "c", None, "popularity", "because it is popular"),
    )


def test_a_user_without_a_list_gets_the_one_for_everybody(store: OnlineStore) -> None:
    store.write(OnlineDay(D1, lists(3, anna=["a"], everybody=["z"])))
    found = store.read_list("nobody")
    assert found is not None
    assert (found.user_id, found.items[0].item_id) == ("*", "z")
    anna = store.read_list("anna")
    assert anna is not None
    assert anna.items[0].item_id == "a"


def test_before_the_first_day_there_is_nothing(store: OnlineStore) -> None:
    assert store.read_list("anna") is None
    assert store.read_user("anna") is None
    assert store.read_items(["a"]) == []
    assert store.current_day() is None


def test_a_vector_is_read_bit_for_bit_with_its_day(store: OnlineStore) -> None:
    third = float(np.float32(1) / np.float32(3))
    day = OnlineDay(D1, lists(3, anna=["a"]), vectors(anna=third, unknown=0.0), vectors(a=2.0))
    assert store.write(day)
    anna = store.read_user("anna")
    assert anna is not None
    assert (anna.entity_id, anna.ds) == ("anna", D1)
    assert anna.values["numeric"].dtype == np.float32
    assert anna.values["numeric"].tolist() == [third]
    assert anna.values["history"].tolist() == []
    (item,) = store.read_items(["a"])
    assert (item.entity_id, item.ds) == ("a", D1)
    assert item.values["history"].tolist() == [7, 8]


def test_who_is_not_there_reads_the_values_of_the_unknown(store: OnlineStore) -> None:
    items = vectors(a=1.0, b=2.0, unknown=0.5)
    store.write(OnlineDay(D1, lists(3, anna=["a"]), vectors(anna=1.0, unknown=0.25), items))
    nobody = store.read_user("nobody")
    assert nobody is not None
    assert (nobody.entity_id, nobody.values["numeric"].tolist()) == ("*", [0.25])
    found = store.read_items(["b", "new", "a", "b"])
    assert [vector.entity_id for vector in found] == ["b", "*", "a", "b"]
    assert [vector.values["numeric"][0] for vector in found] == [2.0, 0.5, 1.0, 2.0]


def test_a_new_day_replaces_every_list_and_vector(store: OnlineStore) -> None:
    store.write(OnlineDay(D1, lists(3, anna=["a"], ben=["b"]), vectors(anna=1.0, ben=1.0)))
    assert store.write(OnlineDay(D2, lists(4, anna=["c"]), vectors(anna=2.0)))
    assert store.read_list("ben") is None
    assert store.read_user("ben") is None
    assert store.current_day() == D2
    anna = store.read_user("anna")
    assert anna is not None
    assert (anna.ds, anna.values["numeric"].tolist()) == (D2, [2.0])


def test_an_older_day_never_replaces_a_newer_one(store: OnlineStore) -> None:
    store.write(OnlineDay(D2, lists(4, anna=["c"]), vectors(anna=2.0)))
    assert not store.write(OnlineDay(D1, lists(3, anna=["a"]), vectors(anna=1.0)))
    anna, vector = store.read_list("anna"), store.read_user("anna")
    assert anna is not None
    assert vector is not None
    assert (anna.ds, anna.items[0].item_id) == (D2, "c")
    assert vector.values["numeric"].tolist() == [2.0]


def test_the_same_day_again_replaces_itself(store: OnlineStore) -> None:
    store.write(OnlineDay(D2, lists(4, anna=["c"])))
    assert store.write(OnlineDay(D2, lists(5, anna=["d"])))
    anna = store.read_list("anna")
    assert anna is not None
    assert (anna.model_version, anna.items[0].item_id) == (5, "d")


def test_a_day_without_lists_leaves_yesterdays(store: OnlineStore) -> None:
    store.write(OnlineDay(D1, lists(3, anna=["a"]), vectors(anna=1.0)))
    assert store.write(OnlineDay(D2, lists(3)))
    assert store.current_day() == D1
    assert store.read_user("anna") is not None


def test_a_removed_user_is_answered_as_somebody_unknown(store: OnlineStore) -> None:
    assert store.remove_user("anna") == 0
    people = vectors(anna=1.0, ben=2.0, unknown=0.0)
    store.write(OnlineDay(D1, lists(3, anna=["a"], ben=["b"], everybody=["z"]), people))
    assert (store.entries_of("anna"), store.remove_user("anna")) == (2, 2)
    assert (store.entries_of("anna"), store.entries_of("ben")) == (0, 2)
    for name, answered in (("anna", "*"), ("ben", "ben")):
        found, vector = store.read_list(name), store.read_user(name)
        assert found is not None
        assert vector is not None
        assert (found.user_id, vector.entity_id) == (answered, answered)


def test_a_cleared_store_is_as_before_the_first_day(stores: MakeStore) -> None:
    stores().write(OnlineDay(D2, lists(3, anna=["a"]), vectors(anna=1.0)))
    stores().clear()
    assert stores().read_user("anna") is None
    assert stores().write(OnlineDay(D1, lists(3, anna=["a"])))
    assert stores().current_day() == D1


def test_nothing_is_left_in_redis_but_the_day(redis_uri: str) -> None:
    settings = Settings(dataset="tidy", online_store=redis_uri)
    for number, ds in enumerate((D1, D2, D3)):
        people = vectors(anna=float(number))
        open_online_store(settings).write(OnlineDay(ds, lists(3, anna=["a"]), people, people))
    with redis.Redis.from_url(redis_uri) as client:
        keys = {key.decode() for key in client.scan_iter("dayfold:tidy:*")}
    assert keys == {f"dayfold:tidy:{name}" for name in ("day", "lists", "users", "items")}
