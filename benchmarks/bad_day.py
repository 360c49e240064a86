"""A bad day injected: its labels are flipped for a third of the users. What the champion costs.

    python -m benchmarks.bad_day
    python -m benchmarks.bad_day --seeds 11,12,13
    python -m benchmarks.bad_day --quick

Real days of a simulated shop, step by step, three times from the same home:

    clean     the labels are as they were
    gated     flipped after `build_examples` of the bad day; the gate decides
    released  flipped, and the gate switched off: what learned from the bad day is promoted. Two
              days later somebody types `dayfold rollback --day BAD`, and the days go on

Every day trains (the drift check is told to). What counts is the loss of the champion on the days
after, each scored before anything trained on it, over that of `clean` on the same days:
`loss_ratio_gated` from the day after the bad one on, `loss_ratio_before_rollback` while the bad
version served, `loss_ratio_after_rollback` from the second day after the rollback on (the first is
scored by the version of before the bad day, that has not learned from the days since: its ratio is
`loss_ratio_first_day_back`). An arm that is done is kept in the home: the same command goes on.
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
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.result import write_result
from dayfold.day import STEPS
from dayfold.rollback import roll_back
from dayfold.step import run_step
from dayfold.workplace import Workplace, open_workplace
from feature_store.days import days_between, shift
from feature_store.lake import Lake
from feature_store.tables import DAILY_METRICS, EXAMPLES, GATES, PROMOTIONS

HISTORY_FROM, FIRST, BAD = "2026-01-01", "2026-01-31", "2026-02-05"
DAYS_BEFORE_ROLLBACK, DAYS_AFTER_ROLLBACK = 2, 5
ARMS = ("clean", "gated", "released")
FLIPPED_SHARE = 1 / 3
ALWAYS = {
    "DAYFOLD__TRAINING__SCORERS": "two_tower,mlp",
    "DAYFOLD__DRIFT__MAX_GAP_DAYS": "1",
    "DAYFOLD__SPARK__DRIVER_MEMORY": "3g",
}
WITHOUT_GATE = {
    "DAYFOLD__GATE__MARGIN": "1",
    "DAYFOLD__GATE__MAX_CALIBRATION_ERROR": "100",
    "DAYFOLD__GATE__MAX_ECE": "1",
    "DAYFOLD__GATE__MAX_LIST_CHURN": "1",
    "DAYFOLD__GATE__MAX_COVERAGE_LOSS": "1",
    "DAYFOLD__GATE__MAX_LOG_LOSS_INCREASE": "100",
    "DAYFOLD__GATE__MAX_NEW_USER_INCREASE": "100",
    "DAYFOLD__GATE__MAX_NEW_ITEM_INCREASE": "100",
}


def last_day() -> str:
    """The last day of the experiment."""
    return shift(BAD, DAYS_BEFORE_ROLLBACK + DAYS_AFTER_ROLLBACK)


def days_before(home: Path, size: Sequence[str]) -> None:
    """The shop's days up to the one before the bad day, through the DAG; made once."""
    if (home / "done").exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    _dayfold(home, "key")
    raw = home / "raw" / "simulated"
    span = ("--from", HISTORY_FROM, "--to", last_day())
    _dayfold(home, "simulate", "--raw", str(raw), *span, *size)
    _dayfold(home, "run", "--history-from", HISTORY_FROM, "--from", FIRST, "--to", shift(BAD, -1))
    (home / "done").touch()


def _dayfold(home: Path, *arguments: str) -> None:
    environment = os.environ | ALWAYS | {"DAYFOLD__HOME": str(home), "DAYFOLD__LAUNCHER": "inline"}
    subprocess.run([sys.executable, "-m", "dayfold", *arguments], env=environment, check=True)  # noqa: S603


def flip(lake: Lake, ds: str, seed: int) -> int:
    """Turn the labels of `ds` of a third of its users round; how many rows."""
    examples = lake.read(EXAMPLES, [ds])
    users = np.unique(examples.column("user_index").to_numpy())
    drawn = np.random.default_rng(seed).choice(
        users, int(len(users) * FLIPPED_SHARE), replace=False
    )
    turned = np.isin(examples.column("user_index").to_numpy(), drawn)
    label = examples.column("label").to_numpy()
    column = examples.schema.get_field_index("label")
    content = examples.set_column(
        column, examples.schema.field(column), pa.array(np.where(turned, 1 - label, label))
    )
    lake.replace(EXAMPLES, {"ds": ds}, content, {"step": "bad_day", "ds": ds})
    return int(turned.sum())


def run_day(place: Workplace, ds: str, *, flipped_by: int | None) -> None:
    """All steps of `ds`, in order; between two of them the labels are flipped."""
    trains = True
    for step in STEPS:
        scorers = place.settings.training.scorers if step.mapped else (None,)
        if step.mapped and not trains:
            continue
        for scorer in scorers:
            facts = run_step(place, step.name, [ds], scorer).facts
            if step.name == "check_drift":
                trains = bool(facts["train"])
        if step.name == "build_examples" and flipped_by is not None:
            print(f"{ds}: {flip(place.lake(), ds, flipped_by)} labels flipped", flush=True)


def run_arm(arm: str, seed: int) -> list[dict[str, Any]]:
    """One row per day from the bad one on, of the arm in the home of this process."""
    place = open_workplace()
    rows = []
    for ds in days_between(BAD, last_day()):
        bad = ds == BAD and arm != "clean"
        run_day(place, ds, flipped_by=seed if bad else None)
        rows.append({"arm": arm, "seed": seed} | day_row(place.lake(), ds))
        print(rows[-1], flush=True)
        if arm == "released" and ds == shift(BAD, DAYS_BEFORE_ROLLBACK):
            event = roll_back(place, to=None, day=BAD, reason="labels flipped", say=print)
            rows[-1]["rolled_back_to"] = event.version
    return rows


def day_row(lake: Lake, ds: str) -> dict[str, Any]:
    """What the day scored with, and what became of its candidates."""
    scored = {
        row["metric"]: row["value"]
        for row in lake.read(DAILY_METRICS, [ds]).to_pylist()
        if row["subject"] == "champion"
    }
    (promotion,) = lake.read(PROMOTIONS, [ds]).to_pylist()
    gates = {row["scorer"]: row["outcome"] for row in lake.read(GATES, [ds]).to_pylist()}
    return {
        "ds": ds,
        "log_loss": round(scored["log_loss"], 6),
        "auc": round(scored["auc"], 6),
        "champion_after": promotion["champion_version"],
        "promoted": promotion["promoted"],
        **{f"gate_{scorer}": outcome for scorer, outcome in sorted(gates.items())},
    }


def measured(home: Path, seed: int, arms: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of all arms of one shop, each in a process and a home of its own."""
    rows: list[dict[str, Any]] = []
    for arm in arms:
        kept = home / f"{arm}.json"
        if not kept.exists():
            place = home / arm
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(home / "before", place, symlinks=True)
            environment = os.environ | ALWAYS | {"DAYFOLD__HOME": str(place)}
            environment |= WITHOUT_GATE if arm == "released" else {}
            command = [sys.executable, "-m", "benchmarks.bad_day", "--arm", arm]
            command += ["--seeds", str(seed), "--out", str(kept)]
            subprocess.run(command, env=environment, check=True)  # noqa: S603
            shutil.rmtree(place)
        rows += json.loads(kept.read_text())
    return rows


def summarised(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Losses over those of the clean chain, means over days and shops."""
    clean = {(row["seed"], row["ds"]): row["log_loss"] for row in rows if row["arm"] == "clean"}
    back = shift(BAD, DAYS_BEFORE_ROLLBACK + 1)

    def ratio(arm: str, first: str, last: str) -> float:
        mine = [r for r in rows if r["arm"] == arm and first <= r["ds"] <= last]
        loss = statistics.mean(row["log_loss"] for row in mine)
        return loss / statistics.mean(clean[row["seed"], row["ds"]] for row in mine)

    after = shift(BAD, 1)
    harmful = [r for r in rows if r["arm"] == "gated" and r["ds"] == after]
    return {
        "shops": len({row["seed"] for row in rows}),
        "blocked_by_gate_share": statistics.mean(not row["promoted"] for row in harmful),
        "loss_ratio_gated": ratio("gated", after, last_day()),
        "loss_ratio_before_rollback": ratio("released", shift(BAD, 2), shift(back, -1)),
        "loss_ratio_first_day_back": ratio("released", back, back),
        "loss_ratio_after_rollback": ratio("released", shift(back, 1), last_day()),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="11,12,13", help="one shop each")
    parser.add_argument("--quick", action="store_true", help="one small shop")
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench/bad-day"))
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    if arguments.arm:
        arguments.out.write_text(json.dumps(run_arm(arguments.arm, seeds[0])))
        return
    users, items = (300, 120) if arguments.quick else (1200, 400)
    seeds = seeds[:1] if arguments.quick else seeds
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        home = arguments.home.absolute() / f"{users}-{seed}"
        size = ("--users", str(users), "--items", str(items), "--seed", str(seed))
        days_before(home / "before", size)
        rows += measured(home, seed, ARMS)
    name = "bad-day" + ("-quick" if arguments.quick else "")
    print(write_result(name, summarised(rows), rows))


if __name__ == "__main__":
    main()
