"""Opening days again from the command line: what is said, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conf.dataset import load_dataset
from dayfold.forget import days_in_progress
from feature_store.days import days_between
from feature_store.lake import Lake
from feature_store.ledger import State, close_day, closed_days
from feature_store.locks import stepping
from feature_store.raw_files import fingerprints
from feature_store.raw_zone import STREAMS, RawZone
from feature_store.tables import INTAKE, RAW_FILES
from tests.feature_store.one_row import put

DAYFOLD = str(Path(sys.executable).parent / "dayfold")
DAYS = list(days_between("2026-01-30", "2026-02-02"))
FIRST, LATE, NEXT, LAST = DAYS


def dayfold(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DAYFOLD__HOME": str(home)}
    return subprocess.run(
        [DAYFOLD, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def lake_at(home: Path) -> Lake:
    return Lake(home / "lake" / "simulated", load_dataset("simulated"))


def built(home: Path, state: State = "published") -> Lake:
    """A home in which LATE has come after the days behind it were built."""
    zone, lake = home / "raw" / "simulated", lake_at(home)
    for ds in DAYS:
        for stream in STREAMS:
            (zone / stream / f"ds={ds}").mkdir(parents=True)
            (zone / stream / f"ds={ds}" / "part-0.jsonl").write_text(f"{ds}\n")
            (zone / stream / f"ds={ds}" / "_SUCCESS").touch()
        if ds != LATE:
            put(lake, INTAKE, {"ds": ds}, stream="events", outcome="read", rows=1)
            lake.replace(RAW_FILES, {"ds": ds}, fingerprints(RawZone(zone), ds), {})
            close_day(lake, ds, state, "", {}, {})
    return lake


def test_reopen_says_what_it_opens_and_how_to_go_on(tmp_path: Path) -> None:
    lake = built(tmp_path)
    close_day(lake, NEXT, "waived", "", {}, {})
    lake.clear(INTAKE, [NEXT], {})
    done = dayfold(tmp_path, "day", "reopen", LATE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"Rebuilds 2 day(s), {LATE} to {LAST}: 1 closed one(s) become open, until each is "
        "published again",
        f"1 waived day(s) stay waived: {NEXT}. One that has come meanwhile: "
        f"`dayfold day reopen {NEXT}` first",
        "1 day(s) are open again",
        f"Next: `dayfold run --from {LATE} --to {LAST}`, or the same days with Airflow "
        "(docs/operations.md)",
    ]
    assert set(closed_days(lake)) == {FIRST, NEXT}
    line = f"1 day(s) are open, the first is {LAST}; days after it wait."
    assert line in dayfold(tmp_path, "status").stdout
    assert days_in_progress(lake) == [LAST]


def test_a_late_day_is_refused_by_its_step_with_the_command_to_type(tmp_path: Path) -> None:
    lake = built(tmp_path)
    done = dayfold(tmp_path, "step", "open_day", "--ds", LATE)
    assert done.returncode == 2
    assert f"`dayfold run --from {LATE} --to {LATE} --cascade`" in done.stderr
    assert f"`dayfold day waive {LATE} --reason" in done.stderr
    assert f"`dayfold day reopen {LATE}`" in done.stderr
    assert dayfold(tmp_path, "day", "waive", LATE, "--reason", "too late").returncode == 0
    assert set(closed_days(lake)) == set(DAYS)


def test_history_is_opened_and_built_in_bulk_not_day_by_day(tmp_path: Path) -> None:
    lake = built(tmp_path, "history")
    way_on = f"`dayfold run --history-from {FIRST} --from 2026-02-03 --to 2026-02-03`"
    done = dayfold(tmp_path, "run", "--from", LATE, "--to", LATE, "--cascade")
    assert done.returncode == 2
    assert f"`dayfold day reopen {LATE}`, then {way_on}" in done.stderr
    assert set(closed_days(lake)) == {FIRST, NEXT, LAST}
    assert way_on in dayfold(tmp_path, "day", "reopen", LATE).stdout
    assert set(closed_days(lake)) == {FIRST}


@pytest.mark.parametrize(
    "command", [("day", "reopen", LATE), ("run", "--from", LATE, "--to", LATE, "--cascade")]
)
def test_days_whose_raw_files_are_gone_are_not_opened(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    lake = built(tmp_path)
    mark = tmp_path / "raw" / "simulated" / "events" / f"ds={LAST}" / "_SUCCESS"
    mark.unlink()
    done = dayfold(tmp_path, *command)
    assert done.returncode == 2
    assert f"the first is {LAST}: expected {mark}. Nothing was changed" in done.stderr
    assert set(closed_days(lake)) == {FIRST, NEXT, LAST}


def test_a_day_is_not_opened_while_an_earlier_one_is_open_or_a_step_is_at_work(
    tmp_path: Path,
) -> None:
    lake = built(tmp_path)
    done = dayfold(tmp_path, "day", "reopen", NEXT)
    assert done.returncode == 2
    assert f"the first is {LATE}. Next: `dayfold run --from {LATE}" in done.stderr
    with stepping(lake.root):
        assert dayfold(tmp_path, "day", "reopen", LATE).returncode == 1
    assert set(closed_days(lake)) == {FIRST, NEXT, LAST}


def test_a_plain_run_does_not_pass_over_a_closed_day_with_other_files(tmp_path: Path) -> None:
    built(tmp_path)
    assert dayfold(tmp_path, "day", "waive", LATE, "--reason", "too late").returncode == 0
    span = ("run", "--from", FIRST, "--to", LAST)
    same = dayfold(tmp_path, *span)
    assert same.returncode == 0, same.stderr
    assert f"{NEXT} is already published" in same.stdout
    (tmp_path / "raw" / "simulated" / "items" / f"ds={NEXT}" / "part-0.jsonl").write_text(
        "more\n" * 9
    )
    done = dayfold(tmp_path, *span)
    assert done.returncode == 2
    assert f"{NEXT} is closed, and has other raw files" in done.stderr
    assert f"items/ds={NEXT}/part-0.jsonl had 11 bytes and has 45" in done.stderr
    assert f"`dayfold run --from {NEXT} --to {NEXT} --cascade`" in done.stderr
    forced = dayfold(tmp_path, *span, "--force")  # runs on the raw files that it read
    assert (forced.returncode, forced.stderr) == (2, done.stderr)


def test_a_waiver_on_which_nothing_was_built_is_withdrawn(tmp_path: Path) -> None:
    lake = built(tmp_path)
    assert dayfold(tmp_path, "day", "waive", LATE, "--reason", "too late").returncode == 0
    far = dayfold(tmp_path, "day", "waive", "2026-02-09", "--reason", "a typing error")
    assert far.returncode == 2
    assert f"the lake ends with {LAST}" in far.stderr
    assert "Expected a day up to 2026-02-03" in far.stderr
    assert dayfold(tmp_path, "day", "waive", "2026-02-03", "--reason", "gone").returncode == 0
    done = dayfold(tmp_path, "day", "reopen", "2026-02-03")
    assert done.stdout.startswith("2026-02-03 is open again")
    assert set(closed_days(lake)) == set(DAYS)


def test_cascade_and_a_history_are_two_ways(tmp_path: Path) -> None:
    span = ("--history-from", FIRST, "--from", LATE, "--to", LATE, "--cascade")
    done = dayfold(tmp_path, "run", *span)
    assert done.returncode == 2
    assert f"`dayfold day reopen {FIRST}`" in done.stderr
