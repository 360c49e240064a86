"""The ledger decides whether a day may run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conf.dataset import load_dataset
from conf.errors import OrderError
from feature_store.days import days_between
from feature_store.lake import Lake
from feature_store.ledger import (
    check_order,
    close_day,
    closed_days,
    reopen_day,
    table_versions,
    waive_day,
)
from feature_store.tables import (
    EVALUATIONS,
    GATES,
    INTAKE,
    LEDGER,
    PROMOTIONS,
    STEP_RUNS,
)
from tests.feature_store.one_row import put

DAYS = list(days_between("2026-01-30", "2026-02-02"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path, load_dataset("simulated"))


def test_a_day_is_refused_while_an_earlier_day_with_data_is_open(lake: Lake) -> None:
    close_day(lake, DAYS[0], "published", "", {}, {})
    with pytest.raises(OrderError, match=r"2026-02-02 cannot run: 2 earlier.*2026-01-31.*waive"):
        check_order(lake, DAYS, DAYS[3])
    check_order(lake, DAYS, DAYS[1])


def test_published_waived_and_history_days_let_the_next_one_pass(lake: Lake) -> None:
    close_day(lake, DAYS[0], "history", "", {}, {})
    close_day(lake, DAYS[1], "waived", "no data came", {}, {})
    close_day(lake, DAYS[2], "published", "", {}, {"clean.events": 3})
    check_order(lake, DAYS, DAYS[3])
    assert closed_days(lake)[DAYS[1]].reason == "no data came"
    assert closed_days(lake)[DAYS[2]].table_versions == {"clean.events": 3}


def test_days_without_data_do_not_stand_in_the_way(lake: Lake) -> None:
    check_order(lake, [DAYS[3]], DAYS[3])


def test_the_versions_of_a_day_are_the_last_of_each_table(lake: Lake) -> None:
    for step, version in (("train.two_tower", 10), ("train.mlp", 11), ("evaluate.mlp", 9)):
        written = json.dumps({"reports.candidates": version})
        put(lake, STEP_RUNS, {"ds": DAYS[0], "step": step}, table_versions=written)
    assert table_versions(lake, DAYS[0]) == {"reports.candidates": 11}


def test_a_day_run_again_is_open_and_its_candidates_are_gone(lake: Lake) -> None:
    for ds in DAYS[:2]:
        put(lake, STEP_RUNS, {"ds": ds, "step": "train.mlp"}, table_versions="{}")
        put(lake, EVALUATIONS, {"ds": ds, "scorer": "mlp"}, metric="auc")
        put(lake, GATES, {"ds": ds}, scorer="mlp")
        close_day(lake, ds, "published", "", {})
    reopen_day(lake, DAYS[1], {})
    with pytest.raises(OrderError, match=f"the first is {DAYS[1]}"):
        check_order(lake, DAYS, DAYS[2])
    for table in (LEDGER, STEP_RUNS, EVALUATIONS):
        assert lake.days(table) == [DAYS[0]], table.key
    assert lake.days(GATES) == DAYS[:2]


def test_of_a_waived_day_nothing_counts(lake: Lake) -> None:
    for ds in DAYS[:2]:
        put(lake, INTAKE, {"ds": ds}, stream="events", outcome="read", rows=7)
        put(lake, PROMOTIONS, {"ds": ds}, promoted=False, state="done")
    waive_day(lake, DAYS[1], "half of it came", {})
    assert lake.days(INTAKE) == [DAYS[0]]
    assert lake.days(PROMOTIONS) == [DAYS[0]]
    assert closed_days(lake)[DAYS[1]].state == "waived"
    waive_day(lake, DAYS[1], "none of it came", {})
    assert closed_days(lake)[DAYS[1]].reason == "none of it came"


def test_a_day_that_is_closed_or_has_promoted_cannot_be_waived(lake: Lake) -> None:
    close_day(lake, DAYS[0], "published", "", {})
    put(lake, PROMOTIONS, {"ds": DAYS[1]}, promoted=True, state="done")
    with pytest.raises(OrderError, match="only an open day"):
        waive_day(lake, DAYS[0], "no", {})
    with pytest.raises(OrderError, match=f"promoted a model.*dayfold run --from {DAYS[1]}"):
        waive_day(lake, DAYS[1], "no", {})
    assert lake.days(PROMOTIONS) == [DAYS[1]]


def test_a_day_that_later_days_were_built_on_cannot_be_waived(lake: Lake) -> None:
    put(lake, INTAKE, {"ds": DAYS[0]}, stream="events", outcome="read", rows=7)
    close_day(lake, DAYS[1], "waived", "", {}, {})
    close_day(lake, DAYS[2], "published", "", {}, {})
    with pytest.raises(OrderError, match=f"{DAYS[2]} and later days.*run --from {DAYS[0]}"):
        waive_day(lake, DAYS[0], "no", {})
    assert lake.days(INTAKE) == [DAYS[0]]
    waive_day(lake, DAYS[3], "nothing was built on it", {})


def test_a_day_that_came_late_may_be_left_out(lake: Lake) -> None:
    close_day(lake, DAYS[1], "published", "", {}, {})
    with pytest.raises(OrderError, match=f"--from {DAYS[0]} --to {DAYS[2]} --cascade`, or"):
        check_order(lake, DAYS, DAYS[2])
    waive_day(lake, DAYS[0], "it came too late", {})
    check_order(lake, DAYS, DAYS[2])


def test_an_open_day_that_was_begun_stops_the_next_without_its_raw_files_too(lake: Lake) -> None:
    put(lake, INTAKE, {"ds": DAYS[0]}, stream="events", outcome="read", rows=7)
    with pytest.raises(OrderError, match=f"the first is {DAYS[0]}.*--to {DAYS[1]}`, or"):
        check_order(lake, [DAYS[1]], DAYS[1])
