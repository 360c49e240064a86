"""Every snippet of docs/read-the-lake.md and docs/lists.md runs and finds what is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conf.dataset import load_dataset
from conf.pseudonym import pseudonym
from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.ledger import close_day
from feature_store.online import OnlineDay, open_online_store
from feature_store.online_vectors import Section, Vectors
from feature_store.tables import (
    CHECKS,
    EVENTS,
    EXAMPLES,
    ITEM_STATS,
    RECOMMENDATIONS,
    STEP_RUNS,
    USER_STATS,
    Table,
    columns_of,
)
from tests.redis_fixture import redis_server

DOCS = Path(__file__).parents[2] / "docs"
D1, D2, D3 = "2026-02-10", "2026-02-11", "2026-02-12"
KEY = "0123456789abcdef" * 4
ANNA = pseudonym(bytes.fromhex(KEY), "u000007")
NOON = datetime(2026, 2, 12, 12, tzinfo=UTC)


def put(lake: Lake, table: Table, ds: str, rows: list[dict[str, Any]]) -> int:
    """`rows` with nothing in the columns that they leave out."""
    schema = lake.schema(table)
    nothing = {"double": 0.0, "int32": 0, "string": "", "timestamp": NOON}
    blank = {c.name: nothing.get(c.type) for c in columns_of(table, lake.dataset) if not c.nullable}
    partition = {name: str(rows[0].get(name, ds)) for name in table.partition}
    filled = [{**blank, "ds": ds, **row} for row in rows]
    return lake.replace(table, partition, pa.Table.from_pylist(filled, schema), {"step": "test"})


def listed(*items: str) -> list[dict[str, Any]]:
    return [
        {
            "user_id": user,
            "rank": rank,
            "item_id": item,
            "score": 1.0 / rank,
            "source": "model",
            "reason": ".",
        }
        | {"model_version": 4}
        for user in (ANNA, "*")
        for rank, item in enumerate(items, start=1)
    ]


def event(name: str, user: str, kind: str) -> dict[str, Any]:
    return {"event_id": name, "user_id": user, "item_id": "i", "event_type": kind, "context": []}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small lake and an online store, where the docs expect them."""
    folder = tmp_path_factory.mktemp("docs")
    lake = Lake(folder / ".dayfold/lake/simulated", load_dataset("simulated"))
    put(lake, EVENTS, D1, [event("a", "anna", "click")])
    put(lake, EVENTS, D2, [event("b", "anna", "click"), event("c", "anna", "click")])
    events = [("d", "anna", "click"), ("e", "ben", "click"), ("f", "ben", "view")]
    put(lake, EVENTS, D3, [event(*fields) for fields in events])
    for table, entity in ((USER_STATS, "user_index"), (ITEM_STATS, "item_index")):
        put(lake, table, D1, [{entity: 2, "click_h7": 8.0}, {entity: 3, "click_h7": 2.0}])
        put(lake, table, D3, [{entity: 3, "click_h7": 3.0}])
    put(lake, EXAMPLES, D3, [{"example_id": "d", "event_ds": D3, "user_index": 3, "item_index": 2}])
    version = put(lake, RECOMMENDATIONS, D2, listed("as published"))
    versions = f'{{"reports.recommendations": {version}}}'
    put(lake, STEP_RUNS, D2, [{"step": "recommend", "table_versions": versions}])
    close_day(lake, D2, "published", "", {})
    put(lake, RECOMMENDATIONS, D2, listed("as run again"))
    put(lake, RECOMMENDATIONS, D3, listed("new", "old"))
    check = {"step": "clean_events", "table": "clean.events", "severity": "warn"}
    results = [check | {"check": "volume", "passed": False}, check | {"check": "x", "passed": True}]
    put(lake, CHECKS, D3, [*results, check | {"check": "y", "passed": None}])
    (folder / ".dayfold/pseudonym.key").write_text(KEY)
    open_online_store(Settings(home=str(folder / ".dayfold"))).write(day(lake))
    return folder


def day(lake: Lake) -> OnlineDay:
    numeric = np.array([[0.5, 0.25], [0.0, 0.0]], np.float32)
    index = np.array([[7], [0]], np.int32)
    sections = (Section("index", "int32"), Section("numeric", "float32", ("a", "b")))
    sizes = (np.array([1, 1]), np.array([2, 2]))
    people = Vectors([ANNA, "*"], sections, (index, numeric), sizes)
    return OnlineDay(D3, lake.read(RECOMMENDATIONS, [D3]), people, people)


@pytest.fixture(scope="module")
def redis_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as uri:
        yield uri


def snippets(page: str) -> list[str]:
    blocks = (DOCS / page).read_text().split("```python\n")[1:]
    return [block.split("```")[0] for block in blocks]


def test_the_page_on_the_lake_says_what_is_there(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    names: dict[str, Any] = {}
    said = []
    for snippet in snippets("read-the-lake.md"):
        exec(snippet, names)  # noqa: S102
        said.append(capsys.readouterr().out)
    assert len(said) == 7
    assert all(said)
    assert names["clicks"].to_dict("list") == {"ds": [D2, D3], "clicks": [2, 2], "users": [1, 2]}
    assert said[0].split()[-6:] == ["click", "2", "view", "1", "dtype:", "int64"]
    assert names["rows"] == [(3,)]
    state = names["state"].set_index("user_index")["clicks"].to_dict()
    assert state == {2: pytest.approx(8.0 * 0.5 ** (2 / 7)), 3: 3.0}
    assert set(names["published"]["item_id"]) == {"as published"}
    assert names["found"]["check"].tolist() == ["volume"]
    assert (len(names["inputs"]), names["inputs"].user.index.tolist()) == (1, [3])


def test_the_page_on_lists_finds_list_and_vector_in_either_store(
    home: Path,
    redis_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(home)
    lake = Lake(home / ".dayfold/lake/simulated", load_dataset("simulated"))
    open_online_store(Settings(online_store=redis_uri)).write(day(lake))
    names: dict[str, Any] = {}
    said = []
    for snippet in snippets("lists.md"):
        exec(snippet.replace("redis://localhost:6379/0", redis_uri), names)  # noqa: S102
        said += capsys.readouterr().out.splitlines()
    names["store"].close()
    names["cache"].close()
    assert [line for line in said if line.startswith(D3)] == [f"{D3} 4 ['new', 'old']"] * 2
    assert [line for line in said if line.startswith("(")] == ["(0.5, 0.25)"] * 2
    assert any("new" in line and "model" in line for line in said)
