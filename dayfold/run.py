"""Days one by one through the DAG, in this process; history in bulk before the first of them."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from threading import Thread
from typing import Any

from conf.errors import ConfigError, DayfoldError, OrderError
from dayfold import airflow_home
from dayfold.cascade import intentions, open_for_rebuild, rebuild_from, require_daily
from dayfold.day import STEPS, step_named
from dayfold.progress import Progress
from dayfold.step import finished_steps, run_step, task_name
from dayfold.workplace import Workplace
from feature_store.days import days_between, shift
from feature_store.ledger import (
    ClosedDay,
    built_after,
    check_order,
    close_day,
    closed_days,
    reopen_days,
)
from feature_store.raw_files import changed_since_read
from feature_store.step import resolve

REFERENCE_DAYS = 21
"""Last days of history, scored unseen by the first model: the drift check's first reference."""
MIN_BOOTSTRAP_DAYS = 7
"""Days of history before them, on which the bootstrap model is trained."""


def require_java() -> None:
    """Pass if a Java that Spark can use is there.

    Raises:
        ConfigError: neither JAVA_HOME nor PATH has one.
    """
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise ConfigError(
            "Java was not found, and Spark needs it: expected Java 17 on PATH or in JAVA_HOME. "
            "Next: install it (Debian, Ubuntu: apt-get install openjdk-17-jre-headless)."
        )


def run_days(
    workplace: Workplace, first: str, last: str, *, force: bool, progress: Progress
) -> None:
    """Run every day from `first` to `last` through the DAG; closed days only with `force`.

    Raises:
        OrderError: a closed day has other raw files than it was built on; nothing was started.
        DayfoldError: a day failed; the days after it were not started.
    """
    closed = closed_days(workplace.lake())
    _require_same_files(workplace, [ds for ds in days_between(first, last) if ds in closed])
    for ds in days_between(first, last):
        if ds in closed and not force:
            progress.note(f"{ds} is already {closed[ds].state}; {_way_on(workplace, ds, closed)}")
            continue
        workplace.raw_zone().require_complete([ds])
        run_day(workplace, ds, progress)


def _way_on(workplace: Workplace, ds: str, closed: Mapping[str, ClosedDay]) -> str:
    """How a closed day is run again."""
    came_late = closed[ds].state == "waived" and workplace.raw_zone().is_complete(ds)
    if came_late and built_after(closed, ds):
        return f"it has come: `dayfold run --from {ds} --to {ds} --cascade` builds it"
    return "--force runs it again"


def _require_same_files(workplace: Workplace, closed: list[str]) -> None:
    """Refuse to pass over a closed day whose raw files are there, and of other sizes."""
    zone = workplace.raw_zone()
    there = [ds for ds in closed if zone.is_complete(ds)]
    if changed := changed_since_read(workplace.lake(), zone, there):
        ds = next(day for day in there if f"/ds={day}/" in changed[0])
        raise OrderError(
            f"{ds} is closed, and has other raw files than it was built on: "
            f"{', '.join(changed[:3])}. Next: `dayfold run --from {ds} --to {ds} --cascade` takes "
            "them in; or put the files back as they were."
        )


def run_cascade(workplace: Workplace, first: str, last: str, progress: Progress) -> None:
    """Build `first` again and, after it, every later day that was built; up to `last` at least.

    Raises:
        OrderError: one of these days cannot be run, or is history; nothing was changed.
        ConcurrentWrite: a step is at work; nothing was changed.
        DayfoldError: a day failed; it and the days after it are open.
    """
    rebuild = rebuild_from(workplace, first, last)
    require_daily(workplace, rebuild)
    for line in intentions(workplace, rebuild):
        progress.note(line)
    way_on = f"`dayfold run --from {first} --to {rebuild.days[-1]}` (without --cascade)"
    progress.when_stopped = f"Stopped. {way_on} goes on with the day that was stopped."
    open_for_rebuild(workplace, rebuild, "run --cascade")
    for done, ds in enumerate(rebuild.days):
        try:
            run_day(workplace, ds, progress)
        except DayfoldError:
            left = len(rebuild.days) - done
            progress.note(f"{done} day(s) rebuilt, {left} open from {ds} on. {way_on} goes on")
            raise
    progress.note(f"{len(rebuild.days)} day(s) rebuilt, {first} to {rebuild.days[-1]}")


def run_day(workplace: Workplace, ds: str, progress: Progress) -> None:
    """Run the DAG of one day in this process.

    Raises:
        DayfoldError: a task failed and the day was not published.
    """
    progress.heading(ds)
    started, began = time.perf_counter(), datetime.now(UTC)
    dag = _load_dag(workplace)
    from dayfold.listener import TaskLines, listening

    def summary_of(task: str) -> str:
        run = finished_steps(workplace.lake(), ds).get(task)
        return str(run["summary"]) if run else ""

    lines = TaskLines(progress, workplace.settings.training.scorers, summary_of)
    logical_date = datetime.combine(date.fromisoformat(ds), datetime.min.time(), UTC)
    with listening(lines):
        dag_run = dag.test(logical_date=logical_date)
    progress.close()
    _say_when_begun(dag_run.run_id, dag.dag_id, began)
    # A run may end well although publish was skipped: the ledger has the last word.
    finished = finished_steps(workplace.lake(), ds).get("publish")
    published = finished is not None and finished["finished_at"] >= began
    if dag_run.state != "success" or not published:
        failed = next((f"{task}: {message}" for task, message in lines.failures.items()), "")
        # What was refused names its own way on.
        way_on = f" Next: mend the cause, then `dayfold run --from {ds} --to {ds}`"
        raise DayfoldError(
            f"{ds} was not published (the full log: {progress.log_file}). "
            f"{failed or 'A task failed.'}{'' if 'Next:' in failed else way_on}"
        )
    progress.note(f"  {ds} published in {time.perf_counter() - started:.1f} s")


def _say_when_begun(run_id: str, dag_id: str, began: datetime) -> None:
    """Let Airflow show how long a run took: `dag.test` lets it begin at the logical date."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        ours = (DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        session.execute(update(DagRun).where(*ours).values(start_date=began))


def build_history(workplace: Workplace, first: str, last: str, progress: Progress) -> None:
    """Build the days from `first` to `last` in bulk and give the next day its champion.

    The Spark steps run once over all days. A first model trained before the last three weeks
    scores those weeks unseen, then a candidate trained on them goes through the gate of `last`.

    Raises:
        ConfigError: there are too few days.
        OrderError: a day of the range is not complete in the raw zone, or was run by itself.
    """
    days = list(days_between(first, last))
    needed = MIN_BOOTSTRAP_DAYS + REFERENCE_DAYS + 1
    if len(days) < needed:
        raise ConfigError(
            f"--history-from {first} leaves {len(days)} days of history up to {last}, expected at "
            f"least {needed}. Next: an earlier --history-from or a later --from."
        )
    lake, zone = workplace.lake(), workplace.raw_zone()
    closed = closed_days(lake)
    if all(day in closed for day in days):
        progress.note(f"History {first} to {last} is already there")
        return
    # The last one is closed by its publish, before the loop that closes the others.
    done = [day for day in days[:-1] if day in closed and closed[day].state != "history"]
    if done:
        following = next(day for day in days if day not in closed)
        raise OrderError(
            f"--history-from {first} reaches over {len(done)} day(s) that were run one by one, the "
            f"first is {done[0]} ({closed[done[0]].state}). Next: without --history-from, "
            f"`dayfold run --from {following} --to {last}`."
        )
    zone.require_complete(days)
    check_order(lake, zone.complete_days(), first)
    # Built again because one of them is open: none may count as built on what it replaces.
    reopen_days(lake, days, {"step": "history", "ds": first})
    loading = Thread(target=_load_engines, args=(workplace,), daemon=True)
    loading.start()
    progress.heading(f"History {first} to {last}: {len(days)} days in bulk")
    for step in STEPS:
        if step.engine == "spark":
            _timed(workplace, step.name, days, None, progress)
    loading.join()
    _bootstrap(workplace, days, progress)
    for day in days:
        close_day(lake, day, "history", "built in bulk", {**workplace.lineage(), "step": "history"})


def _load_engines(workplace: Workplace) -> None:
    """Import what the days need after the Spark steps: half a minute, while Python waits anyway."""
    for step in STEPS:
        if step.engine != "spark":
            resolve(step.entry)
    _load_dag(workplace)


def _bootstrap(workplace: Workplace, days: list[str], progress: Progress) -> None:
    from training.registry.registry import Registry
    from training.review.day import log_candidates
    from training.review.day_tags import day_tags

    cut, last = days[-1 - REFERENCE_DAYS], days[-1]
    scorers = workplace.settings.training.scorers
    progress.heading(f"First model: trained before {cut}, scores the days up to {last} unseen")
    for name in ("score_day", "check_drift", "train", "evaluate", "promote"):
        for scorer in scorers if name in {"train", "evaluate"} else (None,):
            _timed(workplace, name, [cut], scorer, progress)
    lake = workplace.lake()
    registry = Registry(workplace.settings, lake.id)
    # The day is not published: its runs say here what the first version is.
    registry.log(registry.day_run(cut), tags=day_tags(lake, cut))
    log_candidates(lake, registry, cut)
    registry.finish_day(cut)
    started = time.perf_counter()
    progress.started("score_day")
    for day in days_between(shift(cut, 1), last):
        run_step(workplace, "score_day", [day])
    progress.finished(
        "score_day", time.perf_counter() - started, f"{REFERENCE_DAYS} days scored unseen"
    )
    progress.heading(f"First candidate: trained up to {shift(last, -1)}, tested on {last}")
    for name in ("check_drift", "train", "evaluate", "promote", "recommend", "publish"):
        for scorer in scorers if name in {"train", "evaluate"} else (None,):
            _timed(workplace, name, [last], scorer, progress)


def _timed(
    workplace: Workplace, name: str, days: list[str], scorer: str | None, progress: Progress
) -> None:
    task = task_name(step_named(name), scorer)
    progress.started(task)
    started = time.perf_counter()
    result = run_step(workplace, name, days, scorer)
    progress.finished(task, time.perf_counter() - started, result.summary)


def _load_dag(workplace: Workplace) -> Any:
    airflow_home.prepare(workplace.home)
    folder = str(airflow_home.DAGS_FOLDER)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("dayfold_daily").dag
