"""What `run --cascade` and a history that was opened again do, day by day; the days are empty."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from conf.errors import DayfoldError
from dayfold import run
from dayfold.progress import Progress
from dayfold.workplace import Workplace, open_workplace
from feature_store.days import days_between
from feature_store.ledger import close_day, closed_days, reopen_days
from feature_store.tables import INTAKE
from tests.feature_store.one_row import put

DAYS = list(days_between("2026-01-01", "2026-02-02"))
LATE, WAIVED, NEXT, LAST = DAYS[-4:]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.setenv("DAYFOLD__HOME", str(tmp_path))
    for ds in DAYS:
        folder = tmp_path / "raw" / "simulated" / "events" / f"ds={ds}"
        folder.mkdir(parents=True)
        (folder / "_SUCCESS").touch()
    return open_workplace()


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(Console(file=io.StringIO(), width=200), tmp_path / "log")


def said(progress: Progress) -> str:
    assert isinstance(progress.console.file, io.StringIO)
    return progress.console.file.getvalue()


def close(workplace: Workplace, ds: str, state: str = "published") -> None:
    put(workplace.lake(), INTAKE, {"ds": ds}, stream="events", outcome="read", rows=1)
    close_day(workplace.lake(), ds, state, "", {}, {})  # type: ignore[arg-type]


def test_the_days_are_run_in_order_and_a_failed_one_says_what_is_left(
    workplace: Workplace, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ds in (*DAYS[:-4], NEXT, LAST):
        close(workplace, ds)
    close_day(workplace.lake(), WAIVED, "waived", "", {}, {})
    ran: list[str] = []

    def run_day(_: Workplace, ds: str, __: Progress) -> None:
        assert not [day for day in (LATE, NEXT, LAST) if day >= ds and day in closed(workplace)]
        if ds == NEXT and not ran.count(NEXT):
            ran.append(ds)
            raise DayfoldError("Spark died")
        ran.append(ds)
        close(workplace, ds)

    monkeypatch.setattr(run, "run_day", run_day)
    with pytest.raises(DayfoldError, match="Spark died"):
        run.run_cascade(workplace, LATE, LATE, progress)
    assert f"Rebuilds 3 day(s), {LATE} to {LAST}: 2 closed one(s)" in said(progress)
    way_on = f"`dayfold run --from {LATE} --to {LAST}` (without --cascade) goes on"
    assert f"1 day(s) rebuilt, 2 open from {NEXT} on. {way_on}" in said(progress)
    assert way_on in progress.when_stopped
    run.run_days(workplace, LATE, LAST, force=False, progress=progress)
    assert ran == [LATE, NEXT, NEXT, LAST]
    assert closed(workplace)[WAIVED] == "waived"
    run.run_cascade(workplace, LATE, LATE, progress)
    assert ran[4:] == [LATE, NEXT, LAST]
    assert f"3 day(s) rebuilt, {LATE} to {LAST}" in said(progress)


def closed(workplace: Workplace) -> dict[str, str]:
    return {ds: row.state for ds, row in closed_days(workplace.lake()).items()}


def test_a_history_that_was_opened_again_is_built_as_a_whole(
    workplace: Workplace, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = DAYS[:-2]
    for ds in history:
        close(workplace, ds, "history")
    reopen_days(workplace.lake(), history[5:], {})
    built: list[tuple[str, int]] = []

    def timed(_: Workplace, name: str, days: list[str], *__: object) -> None:
        assert not closed(workplace)
        built.append((name, len(days)))

    for name in ("_load_engines", "_bootstrap"):
        monkeypatch.setattr(run, name, lambda *_: None)
    monkeypatch.setattr(run, "_timed", timed)
    run.build_history(workplace, history[0], history[-1], progress)
    assert ("clean_events", len(history)) in built
    assert closed(workplace) == dict.fromkeys(history, "history")
