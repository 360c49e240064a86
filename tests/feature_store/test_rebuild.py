"""Opening days again: nothing is forgotten, wherever it is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from conf.dataset import load_dataset
from conf.errors import OrderError
from feature_store.days import days_between
from feature_store.lake import Lake
from feature_store.ledger import (
    ClosedDay,
    begin_later_days_anew,
    begun_days,
    check_order,
    close_day,
    closed_days,
    reopen_days,
)
from feature_store.rebuild import Rebuild, plan_rebuild, require_open, require_same_inputs
from feature_store.tables import (
    CHECKS,
    EVALUATIONS,
    INTAKE,
    LEDGER,
    RAW_FILES,
    RECOMMENDATIONS,
    STEP_RUNS,
    VOCABULARIES,
)
from tests.feature_store.one_row import put

DAYS = list(days_between("2026-01-30", "2026-02-03"))
FIRST, LATE, WAIVED, NEXT, LAST = DAYS
BUILT = (FIRST, NEXT, LAST)
COMMITS = 6
"""Tables that opening changes: finished steps, ledger, checks, candidates, ids (and one spare)."""


class Killed(Exception):
    """The process is gone."""


def built_without(root: Path, late: str, waived: str) -> Lake:
    """Days that were built while `late` was not there."""
    lake = Lake(root, load_dataset("simulated"))
    for ds in DAYS:
        if ds in (late, waived):
            continue
        put(lake, INTAKE, {"ds": ds}, stream="events", outcome="read", rows=7)
        put(lake, RAW_FILES, {"ds": ds}, stream="events", file="part-0", bytes=3, sha256="a" * 64)
        put(lake, STEP_RUNS, {"ds": ds, "step": "publish"}, table_versions=json.dumps({}))
        put(lake, CHECKS, {"ds": ds, "step": "publish"}, severity="warn")
        put(lake, EVALUATIONS, {"ds": ds, "scorer": "mlp"}, metric="auc")
        put(lake, VOCABULARIES, {"ds": ds}, field="item_id", value=ds, id=2, born_on=ds)
        put(
            lake,
            RECOMMENDATIONS,
            {"ds": ds},
            user_id="*",
            rank=1,
            item_id="i",
            source="model",
            reason=".",
        )
        close_day(lake, ds, "published", "", {})
    close_day(lake, waived, "waived", "nothing came", {}, {})
    return lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return built_without(tmp_path, LATE, WAIVED)


def plan(lake: Lake, first: str = LATE, last: str = LATE) -> Rebuild:
    known = {"closed": closed_days(lake), "begun": begun_days(lake)}
    return plan_rebuild(first, last, complete=DAYS, **known)  # type: ignore[arg-type]


def test_a_late_day_means_itself_and_every_later_day_that_is_not_waived(lake: Lake) -> None:
    assert plan(lake) == Rebuild((LATE, NEXT, LAST), (NEXT, LAST), (WAIVED,))
    assert plan(lake, WAIVED).days == (WAIVED, NEXT, LAST)
    assert plan(lake, LAST, "2026-02-04") == Rebuild((LAST, "2026-02-04"), (LAST,), ())


def test_days_that_never_came_are_not_run_and_late_ones_between_are() -> None:
    closed = {ds: ClosedDay(ds, "published", "", {}) for ds in (FIRST, LAST)}
    found = plan_rebuild(FIRST, FIRST, closed=closed, begun=[FIRST, LAST], complete=[FIRST, NEXT])
    assert found.days == (FIRST, NEXT, LAST)


def test_opened_days_are_open_their_ids_are_free_and_published_lists_stay(lake: Lake) -> None:
    reopen_days(lake, plan(lake).days, {})
    assert set(closed_days(lake)) == {FIRST, WAIVED}
    for table in (STEP_RUNS, CHECKS, EVALUATIONS, VOCABULARIES):
        assert lake.days(table) == [FIRST], table.key
    assert lake.days(RECOMMENDATIONS) == list(BUILT)


@pytest.mark.parametrize("kill_at", range(COMMITS))
def test_killed_anywhere_nothing_is_forgotten(
    lake: Lake, kill_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    days, whole, done = plan(lake).days, Lake._commit, []

    def commit(*arguments: object) -> int:
        if len(done) == kill_at:
            raise Killed
        done.append(arguments)
        return whole(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Lake, "_commit", commit)
        try:
            reopen_days(lake, days, {})
        except Killed:
            assert kill_at < COMMITS - 1
    closed = closed_days(lake)
    assert set(closed) in ({*BUILT, WAIVED}, {FIRST, WAIVED})
    # What is open has no finished step, by which a task could close it.
    assert not set(lake.days(STEP_RUNS)) - closed.keys()
    with pytest.raises(OrderError, match=f"the first is {LATE}"):
        check_order(lake, DAYS, LAST)
    if LAST not in closed:
        with pytest.raises(OrderError, match=f"the first is {NEXT}"):
            check_order(lake, [], LAST)
    assert plan(lake).days == days

    # Either the day is run, or the command is repeated.
    if LAST not in closed:
        begin_later_days_anew(lake, LATE, {})
        assert lake.days(VOCABULARIES) == [FIRST]
    reopen_days(lake, plan(lake).days, {})
    assert set(closed_days(lake)) == {FIRST, WAIVED}
    for table in (STEP_RUNS, CHECKS, EVALUATIONS, VOCABULARIES):
        assert lake.days(table) == [FIRST], table.key


def test_later_days_that_are_closed_keep_what_they_have(lake: Lake) -> None:
    before = {table.key: lake.version(table) for table in (LEDGER, STEP_RUNS, VOCABULARIES)}
    begin_later_days_anew(lake, LATE, {})
    assert before == {table.key: lake.version(table) for table in (LEDGER, STEP_RUNS, VOCABULARIES)}


def files(sha256: str = "a" * 64, name: str = "part-0", size: int = 3) -> pa.Table:
    row = {"stream": "events", "file": name, "bytes": size, "sha256": sha256, "fields": []}
    return pa.Table.from_pylist([row])


def test_the_same_files_pass(lake: Lake) -> None:
    require_same_inputs(lake, FIRST, files())
    require_open(lake, FIRST, files())


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (files("b" * 64), f"events/ds={FIRST}/part-0 has another content"),
        (files("b" * 64, size=1_234), "part-0 had 3 bytes and has 1,234"),
        (files(name="part-1"), "2 file.*part-0 is gone, .*part-1 is new"),
    ],
)
def test_other_files_of_a_day_that_later_ones_were_built_on_are_refused(
    lake: Lake, now: pa.Table, said: str
) -> None:
    way_on = f"Next: `dayfold run --from {FIRST} --to {FIRST} --cascade`"
    with pytest.raises(OrderError, match=f"2 later day.*, {NEXT} to {LAST},.*{said}.*{way_on}"):
        require_same_inputs(lake, FIRST, now)
    with pytest.raises(OrderError, match=f"{FIRST} is published.*{way_on}"):
        require_open(lake, FIRST, now)


def test_the_last_day_may_have_other_files_once_it_is_open(lake: Lake) -> None:
    require_same_inputs(lake, LAST, files("b" * 64))
    with pytest.raises(OrderError, match=f"{LAST} is published"):
        require_open(lake, LAST, files("b" * 64))
    reopen_days(lake, [LAST], {})
    require_open(lake, LAST, files("b" * 64))


@pytest.mark.parametrize(("ds", "state"), [(LATE, "not there"), (WAIVED, "waived")])
def test_a_day_that_was_not_built_is_refused_with_the_same_way_on(
    lake: Lake, ds: str, state: str
) -> None:
    with pytest.raises(OrderError, match=f"was {state} when 2 later.*--from {ds} .*--cascade`"):
        require_same_inputs(lake, ds, files())
