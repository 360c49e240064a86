"""The demo: a simulated shop, its history in bulk, then day by day past a planted drift."""

from __future__ import annotations

import shutil
import time
from typing import Any

from rich.markup import escape
from rich.table import Table as RichTable

from conf.errors import ConfigError
from conf.pseudonym import make_key
from conf.settings import without_password
from dayfold.lists import PublishedList, list_table, published_list
from dayfold.progress import Progress, progress_to_terminal
from dayfold.report import write_report
from dayfold.run import build_history, require_java, run_days
from dayfold.simulation import simulate_days
from dayfold.status import collect_status, status_table
from dayfold.workplace import Workplace, open_workplace
from feature_store.days import shift

HISTORY_FROM, HISTORY_TO = "2026-01-01", "2026-02-04"
FIRST, LAST = "2026-02-05", "2026-02-12"
PLANTED = ("2026-02-07:ctr:-0.6", "2026-02-07:taste:0.5")
"""What the simulator changes, and when: users like other categories, and click more seldom."""
USERS, ITEMS, SEED = 700, 300, 7
USER = "u000007"
"""The user whose list is shown before and after."""


def run_demo(*, fresh: bool) -> None:
    """Run the demo and show what came out; days that are already there are kept.

    Raises:
        DayfoldError: a day failed.
    """
    workplace = open_workplace()
    require_java()
    if fresh:
        _delete(workplace)
    make_key(workplace.settings.path(workplace.settings.key_file))
    started = time.perf_counter()
    with progress_to_terminal(workplace.home / "logs", "demo") as progress:
        progress.note(f"Full log: {progress.log_file}")
        _simulate(workplace, progress)
        build_history(workplace, HISTORY_FROM, HISTORY_TO, progress)
        run_days(workplace, FIRST, LAST, force=False, progress=progress)
        report = workplace.home / f"report-{workplace.dataset.name}.html"
        write_report(workplace, report)
        _show(workplace, progress, str(report))
        progress.note(f"The demo took {time.perf_counter() - started:.0f} s.")


def _simulate(workplace: Workplace, progress: Progress) -> None:
    from pipelines.sources.raw_zone import is_complete
    from pipelines.sources.simulator import world_of

    progress.heading(f"Simulate {HISTORY_FROM} to {LAST}: {USERS:,} users, {ITEMS} items")
    # Not through RawZone: one whose first day was never finished is none yet.
    if world_of(workplace.raw_root) and is_complete(workplace.raw_root, "events", LAST):
        progress.note("  already there")
        return
    progress.started("simulate")
    started = time.perf_counter()
    summary = simulate_days(
        workplace.raw_root,
        HISTORY_FROM,
        LAST,
        users=USERS,
        items=ITEMS,
        seed=SEED,
        drift=PLANTED,
    )
    progress.finished("simulate", time.perf_counter() - started, summary)


def _delete(workplace: Workplace) -> None:
    from feature_store.online import open_online_store
    from pipelines.sources.simulator import world_of
    from training.registry.registry import Registry

    if workplace.raw_root.exists() and world_of(workplace.raw_root) is None:
        raise ConfigError(
            f"{workplace.raw_root} was not written by the simulator, and --fresh would delete it. "
            "Next: unset DAYFOLD__RAW, or set it to a folder for the demo."
        )

    lake = workplace.settings.path(workplace.settings.lake)
    if lake.exists():
        Registry(workplace.settings, workplace.lake().id).delete_dataset()
    for folder in (
        lake,
        workplace.raw_root,
        workplace.home / "candidates" / workplace.dataset.name,
    ):
        shutil.rmtree(folder, ignore_errors=True)
    open_online_store(workplace.settings).clear()


def _show(workplace: Workplace, progress: Progress, report: str) -> None:
    console = progress.console
    days = collect_status(workplace.lake(), 14)
    progress.note("")
    console.print(status_table(days, console.width))
    console.print(_drift_table(days))
    before, after = _lists(workplace)
    console.print(list_table(before))
    console.print(list_table(after))
    champion = next(day["champion"] for day in reversed(days) if day["champion"])
    settings = workplace.settings
    model = settings.uri(settings.mlflow.model_name)
    for line in (
        f"Champion: version {champion['version']} ({champion['scorer']}), models:/{model}@champion",
        f"          in MLflow at {without_password(settings.uri(settings.mlflow.tracking_uri))}",
        f"Report:   {report} (opens without network)",
        "Next:     dayfold ui                       MLflow and Airflow pages on this machine",
        f"          dayfold recommend --user {USER}  one user's list",
        "          dayfold status --json            the same table for programs",
        "          docs/raw-zone.md                 bring your own log",
        "          (dayfold is .venv/bin/dayfold)",
    ):
        progress.note(line)


def _drift_table(days: list[dict[str, Any]]) -> RichTable:
    planted: dict[str, list[str]] = {}
    for text in PLANTED:
        ds, kind, size = text.split(":")
        planted.setdefault(ds, []).append(f"{kind} {size}")
    table = RichTable(title="Drift: planted and found", title_justify="left")
    for heading in ("day", "planted", "decision", "reason"):
        table.add_column(heading)
    for day in (d for d in days if FIRST <= d["ds"] <= LAST):
        found = day["decision"] or "-"
        if day["ds"] in planted or found in {"retrain", "watch"}:
            table.add_row(
                day["ds"],
                ", ".join(planted.get(day["ds"], ["-"])),
                found,
                escape(day["reason"] or ""),
            )
    return table


def _lists(workplace: Workplace) -> tuple[PublishedList, PublishedList]:
    """One user's list on the evening before the planted change, and on the last day."""
    before = shift(min(text.split(":")[0] for text in PLANTED), -1)
    return published_list(workplace, USER, before), published_list(workplace, USER, LAST)
