"""When to retrain: by the drift check, every day, or never. Quality and cost, day by day.

    dayfold bench retraining
    dayfold bench retraining --quick
    dayfold bench retraining --log online-retail --source DIR
    dayfold bench retraining --log movietweetings --source DIR

A simulated shop's lake is built once, in bulk, with changes planted: a turn of taste, a fall of
the click rate, and one of the mix of users, who go on doing as they did (no drift of labels).
The shop begins with three weeks by the default settings, which train every seventh day as long as
there is little to compare with. Then each policy goes on from there in a home of its own, with the
day's real steps: score, check drift, train and evaluate two scorers where the policy says so, gate
and promote.

    drift    the default settings: the drift check, and every seventh day after the last training
    daily    every day
    weekly   every seventh day, whatever happens
    never    what serves goes on serving

A change counts as found on the first day from it on that decides `retrain` for its labels. Quality
is back on the first day from there on whose log loss is within 1 % of that of `daily` on the same
day. A candidate of a day is trained on the days before it: what changes on a day can be learned
from the next one on, and serves on the one after that. Cost: CPU-seconds of the steps train,
evaluate and promote. Days that are done are kept in the home: the same command goes on.

With --log the days are those of a public log, in which nobody planted anything: what counts is
which days alarm, and how good the champion is at ranking what users took (percentile rank, 1 = on
top), beside `daily` and `never`. `paid_<policy>`: by how much it is above that of `never`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.replay import KEY
from benchmarks.result import write_result
from conf.pseudonym import KEY_VARIABLE
from dayfold.run import REFERENCE_DAYS
from dayfold.step import run_step
from dayfold.workplace import Workplace, open_workplace
from feature_store.days import days_between, gap, shift
from feature_store.lake import Lake
from feature_store.tables import DAILY_METRICS, DRIFT, PROMOTIONS, STEP_RUNS
from pipelines.sources.simulator import PlantedDrift, SimulationSettings, simulate

WINDOWS = {
    "simulated": ("2026-01-01", "2026-01-31", "2026-03-11"),
    "movietweetings": ("2013-02-28", "2013-06-30", "2013-07-24"),
    "online-retail": ("2011-06-01", "2011-09-18", "2011-11-18"),
}
"""First day, last day of the history, last day."""
METRICS = ("auc", "log_loss", "mean_percentile_rank", "recall_at_1_percent")
BULK = ("clean_events", "encode_profiles", "build_features", "build_examples")
PLANTED = (
    PlantedDrift(day=date(2026, 2, 6), kind="taste", size=0.5),
    PlantedDrift(day=date(2026, 2, 17), kind="ctr", size=-0.4),
    PlantedDrift(day=date(2026, 2, 28), kind="covariate", size=0.5),
)
CONCEPT = ("taste", "ctr")
NEVER = {
    "DAYFOLD__DRIFT__ALPHA": "1e-12",
    "DAYFOLD__DRIFT__MAX_GAP_DAYS": "10000",
    "DAYFOLD__DRIFT__FALLBACK_EVERY_DAYS": "10000",
}
POLICIES: dict[str, dict[str, str]] = {
    "drift": {},
    "daily": NEVER | {"DAYFOLD__DRIFT__MAX_GAP_DAYS": "1"},
    "weekly": NEVER | {"DAYFOLD__DRIFT__MAX_GAP_DAYS": "7"},
    "never": NEVER,
}
COMMON = {"DAYFOLD__TRAINING__SCORERS": "two_tower,mlp"}
BACK_WITHIN = 0.01


def prepare(users: int, items: int) -> None:
    """The lake of all days, and three weeks as they go by default, in the home of this process."""
    place = open_workplace()
    first, history_until, last = WINDOWS[place.dataset.name]
    if place.dataset.name == "simulated":
        shop = SimulationSettings(users=users, items=items, seed=11, drift=PLANTED)
        print(simulate(place.raw_root, first, last, shop), flush=True)
    days = list(days_between(first, last))
    for name in BULK:
        print(name, run_step(place, name, days).summary, flush=True)
    for ds in days_between(shift(history_until, -REFERENCE_DAYS), history_until):
        _day(place, ds)


def _day(place: Workplace, ds: str) -> None:
    """The day's steps from its scores to its promotion."""
    run_step(place, "score_day", [ds])
    if run_step(place, "check_drift", [ds]).facts["train"]:
        for name in ("train", "evaluate"):
            for scorer in place.settings.training.scorers:
                run_step(place, name, [ds], scorer)
    run_step(place, "promote", [ds])


def run_policy(policy: str) -> list[dict[str, Any]]:
    """One row per day, in the home of this process."""
    place, rows = open_workplace(), []
    _, history_until, last = WINDOWS[place.dataset.name]
    done = set(place.lake().days(PROMOTIONS))
    for ds in days_between(shift(history_until, 1), last):
        if ds not in done:
            _day(place, ds)
        rows.append({"policy": policy} | day_row(place.lake(), ds))
        print(rows[-1], flush=True)
    return rows


def day_row(lake: Lake, ds: str) -> dict[str, Any]:
    """What the day was scored with, what was decided, and what that cost."""
    scored = {
        row["metric"]: row["value"]
        for row in lake.read(DAILY_METRICS, [ds]).to_pylist()
        if row["subject"] == "champion"
    }
    (decision,) = lake.read(DRIFT, [ds]).to_pylist()
    (promotion,) = lake.read(PROMOTIONS, [ds]).to_pylist()
    evidence = json.loads(decision["evidence"])
    steps = lake.read(STEP_RUNS, [ds], ["step", "cpu_seconds"]).to_pylist()
    training = ("train", "evaluate", "promote")
    return {
        "ds": ds,
        **{name: round(scored[name], 6) for name in METRICS if name in scored},
        "decision": decision["decision"],
        "trained": decision["train"],
        "labels_drifted": bool(evidence.get("labels_drifted")),
        "extent": evidence.get("extent"),
        "promoted": promotion["promoted"],
        "cpu_seconds": round(
            sum(s["cpu_seconds"] for s in steps if s["step"].split(".")[0] in training), 3
        ),
        "reason": decision["reason"],
    }


def _prepared(home: Path, log: str, source: Path | None, size: tuple[int, int]) -> Path:
    """The home with which all policies begin; made once."""
    before = home / "before"
    if (before / "done").exists():
        return before
    shutil.rmtree(before, ignore_errors=True)
    environment = _environment(before, log, {"DAYFOLD__SPARK__LARGE_DAYS": "true"})
    commands = [["dayfold", "setup"], ["benchmarks.retraining", "--prepare", *map(str, size)]]
    if source is not None:
        first, _, last = WINDOWS[log]
        into = ["--raw", str(before / "raw" / log), "--from", first, "--to", last]
        commands.insert(1, ["dayfold", "import", log, "--source", str(source.absolute()), *into])
    for command in commands:
        subprocess.run([sys.executable, "-m", *command], env=environment, check=True)  # noqa: S603
    (before / "done").touch()
    return before


def measured(home: Path, log: str, before: Path, policies: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of all policies, each in a process and a home of its own, two at a time."""
    waiting, running = [p for p in policies if not (home / f"{p}.json").exists()], []
    for policy in waiting:
        place = _begun(home / policy, before)
        command = [sys.executable, "-m", "benchmarks.retraining", "--policy", policy]
        command += ["--out", str(home / f"{policy}.json")]
        environment = _environment(place, log, POLICIES[policy])
        running.append(subprocess.Popen(command, env=environment))  # noqa: S603
        if len(running) > 1 or policy == waiting[-1]:
            if any(process.wait() for process in running):
                raise SystemExit(f"{policies}: a policy failed, see above")
            running = []
    return [row for p in policies for row in json.loads((home / f"{p}.json").read_text())]


def _begun(place: Path, before: Path) -> Path:
    """The policy's home, as it was left, or a copy of `before`."""
    if not place.exists():
        copied = place.with_name(f"{place.name}.copying")
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(before, copied, symlinks=True)
        copied.rename(place)
    return place


def _environment(home: Path, log: str, changes: dict[str, str]) -> dict[str, str]:
    places = {"DAYFOLD__HOME": str(home), "DAYFOLD__DATASET": log, "DAYFOLD__LAUNCHER": "inline"}
    if log != "simulated":
        places[KEY_VARIABLE] = KEY
    return os.environ | COMMON | places | changes


def summarised(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Quality and cost beside `daily`, and of each planted change when it was found."""
    of = {p: [row for row in rows if row["policy"] == p] for p in POLICIES}
    of = {policy: mine for policy, mine in of.items() if mine}
    summary: dict[str, float] = {}
    daily = {row["ds"]: row for row in of["daily"]}
    for policy, mine in of.items():
        for name in METRICS:
            values = [row[name] for row in mine if name in row]
            if values:
                summary[f"{name}_{policy}"] = statistics.mean(values)
        summary[f"trainings_{policy}"] = sum(row["trained"] for row in mine)
        spent = sum(row["cpu_seconds"] for row in mine)
        summary[f"cost_share_{policy}"] = spent / sum(row["cpu_seconds"] for row in of["daily"])
    return summary | (_planted(of, daily, summary) if "auc_daily" in summary else _paid(summary))


def _paid(summary: dict[str, float]) -> dict[str, float]:
    rank = "mean_percentile_rank"
    return {
        f"paid_{policy}": summary[f"{rank}_{policy}"] - summary[f"{rank}_never"]
        for policy in POLICIES
        if {f"{rank}_{policy}", f"{rank}_never"} <= summary.keys()
    }


def _planted(
    of: dict[str, list[dict[str, Any]]],
    daily: dict[str, dict[str, Any]],
    means: dict[str, float],
) -> dict[str, float]:
    """What `daily` is ahead by, and of each planted change when it was found."""
    summary = {f"auc_loss_{policy}": means["auc_daily"] - means[f"auc_{policy}"] for policy in of}
    for change in PLANTED:
        ds = change.day.isoformat()
        if change.kind in CONCEPT:
            summary |= _found(change.kind, ds, of["drift"], daily)
        else:
            after = [r for r in of["drift"] if ds <= r["ds"]]
            summary[f"retrains_after_{change.kind}"] = sum(row["labels_drifted"] for row in after)
    return summary


def _found(
    kind: str, ds: str, mine: Sequence[dict[str, Any]], daily: dict[str, dict[str, Any]]
) -> dict[str, float]:
    after = [row for row in mine if row["ds"] >= ds]
    found = next((row["ds"] for row in after if row["labels_drifted"] and row["trained"]), None)
    if found is None:
        return {f"found_after_days_{kind}": float("inf")}
    near = (
        row["ds"]
        for row in after
        if row["ds"] > found and row["log_loss"] <= (1 + BACK_WITHIN) * daily[row["ds"]]["log_loss"]
    )
    back = next(near, None)
    return {
        f"found_after_days_{kind}": gap(ds, found),
        f"back_after_days_{kind}": float("inf") if back is None else gap(found, back),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small shop, drift and daily alone")
    parser.add_argument("--log", choices=WINDOWS, default="simulated", help="[simulated]")
    parser.add_argument("--source", type=Path, help="folder with the log's files")
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench/retraining"))
    parser.add_argument("--prepare", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--policy", choices=POLICIES, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        prepare(*arguments.prepare)
        return
    if arguments.policy:
        arguments.out.write_text(json.dumps(run_policy(arguments.policy)))
        return
    size = (300, 120) if arguments.quick else (1500, 400)
    simulated = arguments.log == "simulated"
    if simulated == (arguments.source is not None):
        parser.error("--log and --source belong together")
    policies = tuple(POLICIES) if simulated else ("drift", "daily", "never")
    policies = policies[:2] if arguments.quick else policies
    home = arguments.home.absolute() / (f"{size[0]}" if simulated else arguments.log)
    home.mkdir(parents=True, exist_ok=True)
    before = _prepared(home, arguments.log, arguments.source, size)
    rows = measured(home, arguments.log, before, policies)
    name = "retraining" + ("" if simulated else f"-{arguments.log}")
    name += "-quick" if arguments.quick else ""
    print(write_result(name, summarised(rows), rows))


if __name__ == "__main__":
    main()
