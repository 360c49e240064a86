"""A forgotten user is gone: from every table, file, list and snapshot, whatever interrupts it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from conf.errors import ConcurrentWrite, MissingPartition, OrderError
from conf.training import TrainingSettings
from dayfold.forget import days_in_progress, forget, look
from dayfold.step import run_step
from dayfold.workplace import Workplace
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.ledger import close_day, closed_days
from feature_store.locks import erasing, stepping
from feature_store.online import open_online_store
from feature_store.tables import (
    EVENTS,
    EXAMPLES,
    INTAKE,
    RECOMMENDATIONS,
    STEP_RUNS,
    USER_SEQUENCES,
    USER_STATS,
    USERS,
    VOCABULARIES,
    Table,
)
from feature_store.tombstones import forgotten_users, tombstone_of
from feature_store.upkeep import sweep
from tests.dayfold.forget_fixture import (
    ANNA,
    BERT,
    DAYS,
    LAST,
    content,
    files_naming,
    files_with_index,
    index_of,
    quiet,
)
from training.fitting.examples import load_examples, plan_of


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
    store = open_online_store(shop.settings)
    mine = store.read_list(ANNA)
    assert mine is not None
    assert mine.user_id == ANNA
    forget(shop, ANNA, "", quiet)
    found, other = store.read_list(ANNA), store.read_list(BERT)
    assert found is not None
    assert other is not None
    assert (found.user_id, other.user_id) == ("*", BERT)
    assert (store.read_user(ANNA), store.entries_of(BERT)) == (None, 2)
    assert files_naming(shop.home / "online", ANNA) == []


def test_the_next_training_has_the_rows_of_the_others_alone(shop: Workplace) -> None:
    lake, settings = shop.lake(), TrainingSettings()
    plan = plan_of(lake, LAST, None)
    index = index_of(lake, ANNA)
    before = load_examples(lake, plan, settings)
    is_mine = before.users.index[before.user] == index
    mine = int(is_mine.sum())
    assert mine > 0
    forget(shop, ANNA, "", quiet)
    after = load_examples(lake, plan, settings)
    assert len(after) == len(before) - mine
    assert index not in after.users.index
    assert np.array_equal(after.label, before.label[~is_mine])


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


def test_a_step_and_the_erasing_wait_for_each_other(shop: Workplace) -> None:
    root = shop.lake().root
    with stepping(root), pytest.raises(ConcurrentWrite, match="A step, `dayfold forget` or"):
        forget(shop, ANNA, "", quiet)
    with (
        erasing(root),
        pytest.raises(ConcurrentWrite, match="`dayfold forget` or `dayfold upkeep` is at work"),
    ):
        run_step(shop, "open_day", [LAST])
    with stepping(root), stepping(root):
        pass


def test_two_requests_at_once_do_not_undo_each_other(shop: Workplace) -> None:
    with (
        erasing(shop.lake().root),
        pytest.raises(ConcurrentWrite, match="`dayfold forget` or `dayfold up"),
    ):
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
