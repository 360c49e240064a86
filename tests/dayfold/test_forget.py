"""A forgotten user is gone: from every table, file, list and snapshot, whatever interrupts it."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import ConcurrentWrite, MissingPartition, OrderError
from conf.settings import Settings, TrainingSettings
from dayfold.forget import days_in_progress, forget, look
from dayfold.workplace import Workplace
from feature_store.days import shift
from feature_store.erasure import one_at_a_time
from feature_store.lake import Lake
from feature_store.ledger import close_day, closed_days
from feature_store.online import OnlineStore
from feature_store.tables import (
    EVENTS,
    EXAMPLES,
    INTAKE,
    LEDGER,
    QUARANTINE,
    RECOMMENDATIONS,
    STEP_RUNS,
    TABLES,
    USER_SEQUENCES,
    USER_STATS,
    USERS,
    VOCABULARIES,
    Table,
)
from feature_store.tombstones import forgotten_users, tombstone_of
from feature_store.upkeep import sweep
from tests.training.home_fixture import fresh_home
from tests.training.lake_fixture import small_dataset, small_lake
from tests.training.log_fixture import FIRST_DAY
from tests.training.promoted_home import TRAINED, promoted_home
from training.fitting.examples import load_examples, plan_of
from training.registry.bundle import Bundle
from training.registry.registry import Registry

ANNA, BERT = "u00009", "u00010"
"""What the small lake calls two users that are there from the first days on."""
DAYS = [shift(FIRST_DAY, n) for n in range(12)]
LAST = DAYS[-1]


def lists(ds: str) -> pa.Table:
    users = [ANNA, BERT, "*"]
    return pa.table(
        {
            "ds": [ds] * 3,
            "user_id": users,
            "rank": pa.array([1] * 3, pa.int32()),
            "item_id": ["i00002"] * 3,
            "score": [0.5] * 3,
            "source": ["model"] * 3,
            "model_version": pa.array([1] * 3, pa.int32()),
        }
    )


def closed_lake(root: Path) -> Lake:
    """A lake of 12 closed days with lists, a replaced list, an intake, a rejected line."""
    lake = small_lake(root, per_day=120)
    for ds in DAYS:
        clean = lake.read(EVENTS, [ds]).num_rows
        outcomes = {"read": clean + 1, "clean": clean, "malformed": 1}
        intake = [{"stream": "events", "outcome": o, "rows": n} for o, n in outcomes.items()]
        lake.replace(INTAKE, {"ds": ds}, pa.Table.from_pylist(intake), {"step": "clean_events"})
        line = {"stream": "events", "file": "part-0.jsonl", "line": 1, "reason": "malformed"}
        rejected = pa.Table.from_pylist([line | {"masked_line": f"*** {ANNA} ***"}])
        lake.replace(QUARANTINE, {"ds": ds}, rejected, {"step": "clean_events"})
        lake.replace(RECOMMENDATIONS, {"ds": ds}, lists(ds), {"step": "recommend"})
        versions = {table.key: lake.version(table) for table in TABLES if lake.delta(table)}
        close_day(lake, ds, "published", "published", {}, versions)
    lake.replace(RECOMMENDATIONS, {"ds": LAST}, lists(LAST).slice(1), {"step": "recommend"})
    return lake


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a closed lake and an online store; to be copied."""
    home = tmp_path_factory.mktemp("forget") / "home"
    closed_lake(home / "lake" / "small")
    store = OnlineStore(home / "online" / "small.db")
    for ds in DAYS[-2:]:
        store.write_lists(ds, lists(ds))
    return home


@pytest.fixture
def shop(prepared: Path, tmp_path: Path) -> Workplace:
    """A copy of the prepared home that the test may write to."""
    return at(shutil.copytree(prepared, tmp_path / "home"))


class SmallPlace(Workplace):
    """A workplace whose commits name no code (asking git takes longer than a test)."""

    def lineage(self) -> dict[str, str]:
        return {}


def at(home: Path) -> Workplace:
    return SmallPlace(Settings(home=str(home), dataset="small"), small_dataset())


def quiet(_: str) -> None:
    pass


def files_naming(root: Path, user_id: str) -> list[str]:
    """Files below `root` in whose bytes, or decompressed values, the text occurs."""
    return [
        str(path.relative_to(root))
        for path in sorted(root.rglob("*"))
        if path.is_file() and (user_id.encode() in path.read_bytes() or _values_name(path, user_id))
    ]


def _values_name(path: Path, user_id: str) -> bool:
    if path.suffix != ".parquet":
        return False
    with pq.ParquetFile(path) as file:
        return user_id in json.dumps(file.read().to_pylist(), default=str)


def index_of(lake: Lake, user_id: str) -> int:
    return next(
        row["id"]
        for row in lake.read(VOCABULARIES, lake.days(VOCABULARIES)).to_pylist()
        if row["field"] == "user_id" and row["value"] == user_id
    )


def files_with_index(lake: Lake, index: int) -> list[str]:
    """Parquet files of the tables keyed by user_index that hold this one, in any version."""
    found = []
    for table in (USERS, USER_STATS, USER_SEQUENCES, EXAMPLES):
        for path in Path(lake.uri(table)).rglob("*.parquet"):
            if (
                index
                in pq.read_table(path, columns=["user_index"], partitioning=None)[0].to_pylist()
            ):
                found.append(str(path))
    return found


def content(lake: Lake) -> dict[str, list[str]]:
    """The rows of all tables, whatever the order; times of closing aside."""
    return {
        table.key: sorted(
            json.dumps({k: v for k, v in row.items() if k != "closed_at"}, default=str)
            for row in lake.read(table, lake.days(table)).to_pylist()
        )
        for table in TABLES
        if lake.delta(table) is not None
    }


def test_nothing_in_the_lake_names_the_user_but_the_tombstone(shop: Workplace) -> None:
    lake = shop.lake()
    index = index_of(lake, ANNA)
    assert len(files_naming(lake.root, ANNA)) > 20
    assert len(files_with_index(lake, index)) > 20
    others = files_naming(lake.root, BERT)
    done = forget(shop, ANNA, "asked by letter", quiet)
    left = files_naming(lake.root, ANNA)
    assert left
    assert all(name.startswith("clean/forgotten_v1/") for name in left)
    assert files_with_index(lake, index) == []
    assert len(files_naming(lake.root, BERT)) >= len(others) - len(DAYS)
    assert done.state == "done"
    assert forgotten_users(lake) == [ANNA]
    assert tombstone_of(lake, ANNA) == replace(done, raw_days=())


def test_rows_of_others_stay_as_they_were(shop: Workplace) -> None:
    lake = shop.lake()
    index = index_of(lake, ANNA)
    before = {
        table: lake.read(table, lake.days(table)).to_pylist()
        for table in (EVENTS, EXAMPLES, USER_STATS, USER_SEQUENCES, USERS, RECOMMENDATIONS)
    }
    done = forget(shop, ANNA, "", quiet)
    for table, rows in before.items():
        mine = [r for r in rows if r.get("user_id") == ANNA or r.get("user_index") == index]
        kept = [row for row in rows if row not in mine]
        now = lake.read(table, lake.days(table)).to_pylist()
        assert sorted(map(str, now)) == sorted(map(str, kept))
        assert done.removed[table.key] == len(mine) > 0


def test_the_users_id_is_never_given_to_another(shop: Workplace) -> None:
    lake = shop.lake()
    index = index_of(lake, ANNA)
    before = lake.read(VOCABULARIES, lake.days(VOCABULARIES)).to_pylist()
    forget(shop, ANNA, "", quiet)
    now = lake.read(VOCABULARIES, lake.days(VOCABULARIES)).to_pylist()
    assert len(now) == len(before)
    (neutral,) = [row for row in now if row not in before]
    assert (neutral["field"], neutral["value"], neutral["id"]) == (
        "user_id",
        f"forgotten.{index}",
        index,
    )


def test_the_intake_still_adds_up(shop: Workplace) -> None:
    lake = shop.lake()
    rows = lake.read(EVENTS, lake.days(EVENTS)).to_pylist()
    mine = {ds: sum(r["ds"] == ds and r["user_id"] == ANNA for r in rows) for ds in DAYS}
    assert sum(mine.values()) > 0
    for _ in range(2):
        forget(shop, ANNA, "", quiet)
    for ds in DAYS:
        counts = {row["outcome"]: row["rows"] for row in lake.read(INTAKE, [ds]).to_pylist()}
        assert counts.get("forgotten", 0) == mine[ds]
        assert counts["clean"] == lake.read(EVENTS, [ds]).num_rows
        assert counts["read"] == sum(n for outcome, n in counts.items() if outcome != "read")


def test_a_reader_by_the_ledger_gets_the_day_without_the_user(shop: Workplace) -> None:
    lake = shop.lake()
    early = closed_days(lake)[DAYS[3]].table_versions[EVENTS.key]
    whole = lake.read(EVENTS, DAYS[:4], version=early)
    others = whole.num_rows - whole.column("user_id").to_pylist().count(ANNA)
    assert others < whole.num_rows
    forget(shop, ANNA, "", quiet)
    named = closed_days(lake)[DAYS[3]].table_versions
    now = lake.read(EVENTS, DAYS[:4], version=named[EVENTS.key])
    assert now.num_rows == others
    with pytest.raises(MissingPartition, match=r"version \d+ cannot be read any more.*forget"):
        lake.read(EVENTS, DAYS[:4], version=early)
    assert closed_days(lake)[DAYS[3]].state == "published"
    # Upkeep keeps what the ledger names: it must not stumble over what is gone.
    assert sweep(lake, 1, dry_run=False)
    assert lake.read(EVENTS, DAYS[:4], version=named[EVENTS.key]).num_rows == others


def test_the_online_store_has_neither_the_list_nor_its_bytes(shop: Workplace) -> None:
    store = OnlineStore(shop.home / "online" / "small.db")
    mine = store.read_list(ANNA)
    assert mine is not None
    assert mine.user_id == ANNA
    forget(shop, ANNA, "", quiet)
    found, other = store.read_list(ANNA), store.read_list(BERT)
    assert found is not None
    assert other is not None
    assert (found.user_id, other.user_id) == ("*", BERT)
    assert files_naming(shop.home / "online", ANNA) == []


def test_the_next_training_has_the_rows_of_the_others_alone(shop: Workplace) -> None:
    lake, settings = shop.lake(), TrainingSettings()
    plan = plan_of(lake, LAST, None)
    index = index_of(lake, ANNA)
    before = load_examples(lake, plan, settings)
    mine = int((before.user.index == index).sum())
    assert mine > 0
    forget(shop, ANNA, "", quiet)
    after = load_examples(lake, plan, settings)
    assert len(after) == len(before) - mine
    assert index not in after.user.index
    assert np.array_equal(after.label, before.label[before.user.index != index])


class Killed(Exception):
    """What stands for the end of a process between two parts."""


def test_killed_after_any_part_the_same_command_ends_the_same(
    prepared: Path, tmp_path: Path
) -> None:
    spoken: list[str] = []
    whole = at(shutil.copytree(prepared, tmp_path / "whole"))
    done = forget(whole, ANNA, "why", spoken.append)
    expected = content(whole.lake())
    assert len(spoken) >= 20
    for survived in range(0, len(spoken), 4):
        home = shutil.copytree(prepared, tmp_path / f"killed-{survived}")
        place, heard = at(home), iter(range(survived))

        def say(_: str, heard: Iterator[int] = heard) -> None:
            if next(heard, None) is None:
                raise Killed

        with pytest.raises(Killed):
            forget(place, ANNA, "why", say)
        assert forgotten_users(place.lake()) == [ANNA], "the tombstone comes first"
        again = forget(place, ANNA, "another reason", quiet)
        found = content(place.lake())
        # How many commits it took differs; the ledger names the last of them.
        assert found.pop(LEDGER.key)
        assert found == {key: rows for key, rows in expected.items() if key != LEDGER.key}
        assert (again.removed, again.reason, again.raw_days) == (
            done.removed,
            "why",
            done.raw_days,
        )
        left = files_naming(place.lake().root, ANNA)
        assert all(name.startswith("clean/forgotten_v1/") for name in left)
        for ds, day in closed_days(place.lake()).items():
            for table in TABLES:
                if version := day.table_versions.get(table.key):
                    place.lake().read(table, [ds], version=version)
        shutil.rmtree(home)


_ENDLESS = """
import sys
from pathlib import Path
from dayfold.forget import forget
from tests.dayfold.test_forget import ANNA, at
forget(at(Path(sys.argv[1])), ANNA, "why", lambda line: print(line, flush=True))
"""


def test_killed_by_the_system_at_any_instant_nothing_is_left_half(
    prepared: Path, tmp_path: Path
) -> None:
    home = shutil.copytree(prepared, tmp_path / "home")
    dice = random.Random(3)
    events = at(home).lake().read(EVENTS, DAYS)
    others = events.num_rows - events.column("user_id").to_pylist().count(ANNA)
    for lines in (3, 6, 9):
        with subprocess.Popen(
            [sys.executable, "-c", _ENDLESS, str(home)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(lines):
                process.stdout.readline()
            time.sleep(dice.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert process.returncode in (-signal.SIGKILL, 0)
    assert forget(at(home), ANNA, "why", quiet).state == "done"
    lake = at(home).lake()
    assert lake.read(EVENTS, DAYS).num_rows == others
    assert all(n.startswith("clean/forgotten_v1/") for n in files_naming(lake.root, ANNA))


def begin(lake: Lake, table: Table, ds: str, *steps: str) -> None:
    for step in steps:
        row = {
            "step": step,
            "finished_at": datetime.now(UTC),
            "summary": "",
            "table_versions": "{}",
        }
        cost = {"seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mb": 1.0}
        rows = pa.Table.from_pylist([row | cost | {"ds": ds}], lake.schema(table))
        lake.replace(table, {"ds": ds, "step": step}, rows, {"step": step})


def test_while_a_day_is_run_only_the_tombstone_is_written(shop: Workplace) -> None:
    lake, running = shop.lake(), shift(LAST, 1)
    begin(lake, STEP_RUNS, running, "open_day", "clean_events")
    before = content(lake)
    with pytest.raises(OrderError, match=f"{running} is being run.*tombstone stands.*dayfold run"):
        forget(shop, ANNA, "", quiet)
    assert content(lake) == before
    stone = tombstone_of(lake, ANNA)
    assert stone is not None
    assert stone.state == "begun"
    close_day(lake, running, "waived", "", {}, {})
    assert forget(shop, ANNA, "", quiet).state == "done"


def test_a_step_of_a_closed_day_that_is_run_again_counts_as_running(shop: Workplace) -> None:
    lake = shop.lake()
    steps = ("clean_events", "encode_profiles", "build_features", "build_examples")
    begin(lake, STEP_RUNS, LAST, *steps, "score_day", "recommend", "publish")
    assert days_in_progress(lake) == []
    lake.clear(STEP_RUNS, [LAST], {}, step="build_features")
    assert days_in_progress(lake) == [LAST]


def test_two_requests_at_once_do_not_undo_each_other(shop: Workplace) -> None:
    with one_at_a_time(shop.lake()), pytest.raises(ConcurrentWrite, match="Another `dayfold forg"):
        forget(shop, ANNA, "", quiet)
    forget(shop, ANNA, "", quiet)
    forget(shop, BERT, "", quiet)
    left = files_naming(shop.lake().root, ANNA) + files_naming(shop.lake().root, BERT)
    assert all(name.startswith("clean/forgotten_v1/") for name in left)
    assert forgotten_users(shop.lake()) == [ANNA, BERT]


def test_a_user_whom_nobody_knows_gets_a_tombstone_alone(shop: Workplace) -> None:
    before = content(shop.lake())
    assert look(shop, "f" * 32).tables == []
    done = forget(shop, "f" * 32, "", quiet)
    assert (done.state, done.removed) == ("done", {})
    assert content(shop.lake()) == before


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A home in which TRAINED promoted a version that knows the user."""
    root = tmp_path_factory.mktemp("trained")
    home = root / "home"
    lake = small_lake(home / "lake" / "small")
    settings = fresh_home(home)
    promoted_home(lake, settings)
    return SmallPlace(settings, lake.dataset)


def test_versions_lose_the_users_row_and_say_that_they_knew_one(trained: Workplace) -> None:
    lake = trained.lake()
    registry = Registry(trained.settings, lake.id)
    version = registry.champion()
    assert version is not None
    asked = [{"user_id": user, "top_n": 5} for user in (ANNA, BERT, "nobody-knows")]
    anna, bert, stranger = (_answer(registry, version, row) for row in asked)
    assert anna != stranger
    done = forget(trained, ANNA, "", quiet)
    assert version in done.model_versions
    assert registry.version_tags(version)["forgotten_users"] == "1"
    assert [_answer(registry, version, row) for row in asked] == [stranger, bert, stranger]
    assert files_naming(trained.home / "artifacts", ANNA) == []
    assert ANNA.encode() not in (trained.home / "mlflow.db").read_bytes()
    forget(trained, ANNA, "", quiet)
    forget(trained, BERT, "", quiet)
    assert registry.version_tags(version)["forgotten_users"] == "2"
    assert TRAINED in lake.days(RECOMMENDATIONS)


def _answer(registry: Registry, version: int, row: dict[str, Any]) -> list[tuple[str, float]]:
    import pandas as pd

    bundle = Bundle(registry.version_directory(version), str(version))
    found = bundle.predict(pd.DataFrame([row]))
    return list(zip(found["item_id"], found["score"].round(6), strict=True))
