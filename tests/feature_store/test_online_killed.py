"""A writer of the online store that is killed, or meets another, and who reads meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from conf.errors import ConcurrentWrite, ConfigError, OnlineStoreError
from conf.settings import Settings
from feature_store.online import OnlineDay, OnlineStore, open_online_store
from feature_store.online_redis import RedisStore
from tests.feature_store.test_online import D1, D2, D3, lists, vectors
from tests.redis_fixture import PASSWORD, redis_server


@pytest.fixture(scope="module")
def redis_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as uri:
        yield uri


def at(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    if kind == "sqlite":
        return Settings(home=str(tmp_path), dataset="shop")
    settings = Settings(dataset="shop", online_store=request.getfixturevalue("redis_uri"))
    open_online_store(settings).clear()
    return settings


def of_one_day(store: OnlineStore) -> str:
    """The day that list and vectors agree on."""
    found, user, items = store.read_list("anna"), store.read_user("anna"), store.read_items(["a"])
    assert found is not None
    assert user is not None
    assert {found.ds, user.ds, items[0].ds} == {found.ds}
    return found.ds


# Imports take seconds: one process makes all the writers that are killed.
WRITERS = """
import json, os, signal, sys
import feature_store.online_redis as in_redis, feature_store.online_sqlite as in_sqlite
from conf.settings import Settings
from feature_store.online import OnlineDay, open_online_store
from tests.feature_store.test_online import lists, vectors

def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def dying(rows):
    yield next(iter(rows))
    dies()

def write(settings, point):
    if point == "while_writing":
        whole = in_redis.written_lists
        in_redis.written_lists = in_sqlite.written_lists = lambda rows: dying(whole(rows))
    if point == "before_the_flip":
        in_redis.RedisStore._take_place = dies
        in_sqlite.layout_as_json = dies
    if point == "after_the_flip":
        in_redis.RedisStore._remove = lambda self, keys: dies() if list(keys) else None
    people = vectors(anna=2.0, ben=2.0)
    day = OnlineDay("2026-01-06", lists(4, anna=["c"], ben=["d"]), people, vectors(a=2.0))
    open_online_store(settings).write(day)

for line in sys.stdin:
    settings, point = json.loads(line)
    child = os.fork()
    if not child:
        write(Settings(**settings), point)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def writers() -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", WRITERS]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("kind", "point", "left"),
    [
        ("sqlite", "while_writing", D1),
        ("sqlite", "before_the_flip", D1),
        ("redis", "while_writing", D1),
        ("redis", "before_the_flip", D1),
        ("redis", "after_the_flip", D2),
    ],
)
def test_a_killed_writer_leaves_a_whole_day_and_the_next_one_cleans_up(
    kind: str,
    point: str,
    left: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    writers: subprocess.Popen[str],
) -> None:
    settings = at(kind, tmp_path, request)
    store = open_online_store(settings)
    store.write(OnlineDay(D1, lists(3, anna=["a"]), vectors(anna=1.0), vectors(a=1.0)))
    told = settings.model_dump(include={"home", "dataset", "online_store"})
    assert writers.stdin is not None
    assert writers.stdout is not None
    print(json.dumps([told, point]), file=writers.stdin, flush=True)
    assert int(writers.stdout.readline()) == -signal.SIGKILL
    assert of_one_day(store) == left == store.current_day()
    assert store.write(OnlineDay(D3, lists(5, anna=["e"]), vectors(anna=3.0), vectors(a=3.0)))
    assert of_one_day(store) == D3
    if kind == "redis":
        with redis.Redis.from_url(settings.online_store) as client:
            assert len(list(client.scan_iter("dayfold:shop:*"))) == 4


def test_a_reader_in_a_transaction_never_sees_two_days_mixed(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), dataset="shop")
    store = open_online_store(settings)
    store.write(OnlineDay(D1, lists(3, anna=["a"], ben=["b"])))
    with closing(sqlite3.connect(tmp_path / "online" / "shop.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT items FROM lists WHERE user_id = 'anna'").fetchone()
        store.write(OnlineDay(D2, lists(4, anna=["c"], ben=["d"])))
        (items,) = reader.execute("SELECT items FROM lists WHERE user_id = 'ben'").fetchone()
        assert json.loads(items)[0]["item_id"] == "b"
        reader.execute("COMMIT")
        (items,) = reader.execute("SELECT items FROM lists WHERE user_id = 'ben'").fetchone()
    assert json.loads(items)[0]["item_id"] == "d"


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_items_asked_for_together_are_of_one_day_while_days_are_written(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = at(kind, tmp_path, request)
    names = [f"i{number}" for number in range(200)]

    def publish(number: int) -> None:
        people = vectors(anna=1.0)
        many = vectors(**dict.fromkeys(names, float(number)))
        ds = f"2026-01-{number:02}"
        open_online_store(settings).write(OnlineDay(ds, lists(3, anna=["a"]), people, many))

    publish(1)
    writer = threading.Thread(target=lambda: [publish(number) for number in range(2, 20)])
    writer.start()
    seen = set()
    store = open_online_store(settings)
    while writer.is_alive():
        found = store.read_items(names)
        days = {vector.ds for vector in found}
        assert len(found) == len(names)
        assert len(days) == 1
        seen |= days
    writer.join()
    assert len(seen) > 1
    assert {vector.ds for vector in store.read_items(names)} == {"2026-01-19"}


def test_of_two_writers_in_redis_one_is_refused_and_nothing_is_mixed(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = at("redis", tmp_path, request)
    first, second = open_online_store(settings), open_online_store(settings)
    whole = RedisStore._take_place

    def overtaken(self: RedisStore, *arguments: object) -> bool:
        monkeypatch.setattr(RedisStore, "_take_place", whole)
        second.write(OnlineDay(D2, lists(4, anna=["c"]), vectors(anna=2.0), vectors(a=2.0)))
        return whole(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(RedisStore, "_take_place", overtaken)
    with pytest.raises(ConcurrentWrite, match=f"{D3}.*run the step again"):
        first.write(OnlineDay(D3, lists(5, anna=["e"]), vectors(anna=3.0), vectors(a=3.0)))
    assert of_one_day(first) == D2
    assert first.write(OnlineDay(D3, lists(5, anna=["e"]), vectors(anna=3.0), vectors(a=3.0)))
    assert of_one_day(first) == D3


def test_a_store_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with redis_server(tmp_path) as uri:
        pass
    store = open_online_store(Settings(dataset="shop", online_store=uri))
    with pytest.raises(OnlineStoreError, match=r"redis://\*\*\*@127.0.0.1.*online_store") as raised:
        store.read_list("anna")
    assert PASSWORD not in str(raised.value)


def test_a_wrong_password_is_said_and_not_shown(redis_uri: str) -> None:
    wrong = redis_uri.replace(PASSWORD, "swordfish")
    store = open_online_store(Settings(dataset="shop", online_store=wrong))
    with pytest.raises(OnlineStoreError, match="AuthenticationError") as raised:
        store.current_day()
    assert "swordfish" not in str(raised.value)


@pytest.mark.parametrize("uri", ["http://:hunter2@h/1", "redis://:hunter2@h/0?socket_timeout=x"])
def test_a_uri_that_is_none_of_redis_is_refused_without_its_password(uri: str) -> None:
    with pytest.raises(ConfigError, match="DAYFOLD__ONLINE_STORE") as raised:
        open_online_store(Settings(dataset="shop", online_store=uri))
    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "shop.db").mkdir()
    store = open_online_store(Settings(online_store=str(tmp_path / "shop.db")))
    with pytest.raises(OnlineStoreError, match=r"shop\.db.*online_store"):
        store.read_list("anna")
