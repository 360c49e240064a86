"""How often the drift check alarms where nothing changed, and how soon where something did.

    dayfold bench drift
    dayfold bench drift --days 200 --trials 20

Quiet days are simulated (benchmarks/drift_days.py) at 1 k, 30 k and 1 M rows: stable, with weekends
that differ, with days of a thousand times the rows or of a thousandth, correlated, by users, with
Sundays of which the model does not know, and with another model promoted every week or day, or
one that ranks otherwise (`promoted_uneven`). Apart
from these, harder than what the level holds for: days with heavy tails, models that are off, each
in its own way, by three times as much (`biased_models`), and models of which some rank far worse
(`skewed_models`). An alarm is a day on which a test
finds drift, by default settings; what follows on one trains once more, and is no second alarm.

Then days that change, at 30 k rows: from the 61st day on, at once or over 14 days; found is an
alarm within 14 days (21 if gradual); where labels change, only `retrain` counts. A change of the
scores alone (other people come, who do as predicted) must not retrain: `retrains_per_100_days`.
Last, changes that stay (benchmarks/drift_lasting.py), and what comes after them.

Beside it, on the same days and the scores alone, the usual rules: Kolmogorov-Smirnov p < .01, PSI >
.2, Jensen-Shannon > .1 against the same history, and a divergence beyond that of all days of it.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from scipy.stats import binomtest, kstwobign

from benchmarks.drift_days import HARDER, WORLDS, Change, Promotions, World, days_of, steady
from benchmarks.drift_in_turn import decided
from benchmarks.drift_lasting import LASTING, lasting_change
from benchmarks.result import write_result
from conf.drift import DriftSettings
from training.drift.bin_groups import grouped, groups_of
from training.drift.day_counts import DayCounts
from training.drift.outcome import PastDecision
from training.drift.past import past_of
from training.drift.score_test import divergence

DRIFT = DriftSettings(max_gap_days=36_500)
"""As they are by default, but without the calendar: it trains whatever the tests say."""
WARM_UP = 60
"""Days of history before the first one that is judged."""
FOUND_WITHIN, GRADUAL_DAYS, GRADUAL_WITHIN = 14, 14, 21
ROWS_OF_CHANGES = 30_000
PEERS = ("ks_p_01", "psi_02", "js_01", "max_of_history")


def _sudden(**size: float) -> Callable[[int], Change]:
    return lambda number: Change(**size) if number >= WARM_UP else Change()


def _gradual(**size: float) -> Callable[[int], Change]:
    def change(number: int) -> Change:
        share = min(max((number - WARM_UP + 1) / GRADUAL_DAYS, 0.0), 1.0)
        return Change(**{name: share * value for name, value in size.items()})

    return change


CHANGES: dict[str, tuple[Callable[[int], Change], frozenset[str], int]] = {
    name: (
        (_gradual if "gradual" in name else _sudden)(**size),
        frozenset({"retrain"})
        if {"rate", "slope"} & size.keys()
        else frozenset({"watch", "retrain"}),
        GRADUAL_WITHIN if "gradual" in name else FOUND_WITHIN,
    )
    for name, size in {
        "score_0.1": {"score": 0.1},
        "score_0.2": {"score": 0.2},
        "score_0.4": {"score": 0.4},
        "score_0.2_gradual": {"score": 0.2},
        "score_0.4_gradual": {"score": 0.4},
        "ctr_fall_0.1": {"rate": -0.1},
        "ctr_fall_0.3": {"rate": -0.3},
        "ctr_fall_0.3_gradual": {"rate": -0.3},
        "slope_0.2": {"slope": -0.2},
        "slope_0.4": {"slope": -0.4},
    }.items()
}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--days", type=int, default=1000, help="quiet days of each world [1000]")
    parser.add_argument("--trials", type=int, default=100, help="of each change [100]")
    parser.add_argument("--seed", type=int, default=6, help="of the simulation [6]")
    parser.add_argument("--only", default="", help="worlds and changes whose name has this in it")
    asked = parser.parse_args()
    worlds = [place for place, one in enumerate((*WORLDS, *HARDER)) if asked.only in one.name]
    changes = [name for name in CHANGES if asked.only in name]
    lasting = [name for name in LASTING if asked.only in name]
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        quiet = pool.map(partial(quiet_world, days=asked.days, seed=asked.seed), worlds)
        found = pool.map(partial(changed_days, trials=asked.trials, seed=asked.seed), changes)
        after = pool.map(
            partial(lasting_change, trials=asked.trials // 2, seed=asked.seed, drift=DRIFT), lasting
        )
        rows = {"quiet": list(quiet), "changes": list(found), "lasting": list(after)}
    summary = _summary(rows)
    for name, value in summary.items():
        print(f"{name:60} {value:.3f}")
    if not asked.only:
        print(write_result("drift", summary, [row for kind in rows.values() for row in kind]))


def quiet_world(place: int, *, days: int, seed: int) -> dict[str, Any]:
    """Alarms of a world, one of WORLDS, in which nothing changes."""
    world, random = (*WORLDS, *HARDER)[place], np.random.default_rng([seed, place])
    counts, peers, judged = Counter[str](), Counter[str](), 0
    last: str | None = None
    past: list[PastDecision] = []
    promotions = Promotions(world, random) if world.promoted_every else None
    known_days = promotions.days() if promotions else _known_days(world, random)
    for known in islice(known_days, WARM_UP, WARM_UP + days):
        decision = decided(known, last, past, DRIFT)
        past = [*past[-56:], past_of(known[-1].ds, decision)]
        last = known[-1].ds if decision.train else last
        if promotions:
            promotions.retrained = decision.train
        counts[decision.decision] += 1
        peers.update(name for name, alarmed in peer_alarms(known).items() if alarmed)
        judged += 1
        drifted = [test["name"] for test in decision.evidence.get("tests", ()) if test["drifted"]]
        counts.update(f"by_{name}" for name in drifted)
        counts["alarms"] += bool(drifted)
    alarms = counts["alarms"]
    interval = binomtest(alarms, judged).proportion_ci()
    return {
        "world": world.name,
        "days": judged,
        "skip_or_watch": (counts["skip"] + counts["watch"])
        / max(judged - counts["not_enough_data"], 1),
        "alarms_per_100_days": 100 * alarms / judged,
        "interval": [100 * interval.low, 100 * interval.high],
        **{name: counts[name] for name in sorted(counts)},
        "peers_per_100_days": {name: 100 * peers[name] / judged for name in PEERS},
    }


def changed_days(name: str, *, trials: int, seed: int) -> dict[str, Any]:
    """How often, and how soon, a change is found; retrainings per hundred days until it is."""
    change, counts_as, within = CHANGES[name]
    world = World(name, steady(ROWS_OF_CHANGES))
    delays: list[int] = []
    retrained = days = 0
    peers: dict[str, int] = dict.fromkeys(PEERS, 0)
    for trial in range(trials):
        random = np.random.default_rng([seed, trial, list(CHANGES).index(name)])
        known = list(islice(days_of(world, random, change), WARM_UP + within))
        delay = None
        by_peer: set[str] = set()
        for end in range(WARM_UP, WARM_UP + within):
            until = known[max(end - 56, 0) : end + 1]
            if delay is None or "score" in name:
                decision = decided(until, None, drift=DRIFT)
                retrained += decision.decision == "retrain"
                days += 1
                if delay is None and decision.decision in counts_as:
                    delay = end - WARM_UP
            by_peer |= {peer for peer, alarmed in peer_alarms(until).items() if alarmed}
        if delay is not None:
            delays.append(delay)
        for peer in by_peer:
            peers[peer] += 1
    return {
        "change": name,
        "trials": trials,
        "detected": len(delays) / trials,
        "delay_days": float(np.mean(delays)) if delays else float("nan"),
        "retrains_per_100_days": 100 * retrained / max(days, 1),
        "peers_detected": {peer: count / trials for peer, count in peers.items()},
    }


def _known_days(world: World, random: np.random.Generator) -> Iterator[list[DayCounts]]:
    known: list[DayCounts] = []
    for day in days_of(world, random):
        known = [*known[-56:], day]
        yield known


def peer_alarms(known: Sequence[DayCounts]) -> dict[str, bool]:
    """The usual rules on the scores of the last of these days against those before it."""
    *before, today = known
    days = np.array([day.carried for day in before])
    pool, now = days.sum(axis=0), today.rows
    n, m = float(now.sum()), float(pool.sum())
    largest = np.abs(np.cumsum(now) / n - np.cumsum(pool) / m).max()
    group = groups_of(pool, 10)
    p, q = grouped(now, group) / n, grouped(pool, group) / m
    p, q = np.maximum(p, 1e-6), np.maximum(q, 1e-6)
    wide = groups_of(pool, 20)
    apart = float(divergence(grouped(now, wide)[None], grouped(pool, wide))[0])
    each = [float(divergence(grouped(d, wide)[None], grouped(pool - d, wide))[0]) for d in days]
    return {
        "ks_p_01": bool(kstwobign.sf(np.sqrt(n * m / (n + m)) * largest) < 0.01),  # noqa: PLR2004
        "psi_02": bool(((p - q) * np.log(p / q)).sum() > 0.2),  # noqa: PLR2004
        "js_01": apart > 0.1,  # noqa: PLR2004
        "max_of_history": apart > max(each),
    }


def _summary(rows: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    summary: dict[str, float] = {}
    for row in rows["quiet"]:
        if row["world"] in {world.name for world in HARDER}:
            summary[f"alarms_per_100_days_{row['world']}"] = row["alarms_per_100_days"]
            continue
        summary[f"false_alarms_per_100_days_{row['world']}"] = row["alarms_per_100_days"]
        summary[f"skip_or_watch_{row['world']}"] = row["skip_or_watch"]
    for row in rows["changes"]:
        summary[f"detected_{row['change']}"] = row["detected"]
        summary[f"delay_days_{row['change']}"] = row["delay_days"]
        if row["change"].startswith("score"):
            summary[f"retrains_per_100_days_{row['change']}"] = row["retrains_per_100_days"]
    for row in rows["lasting"]:
        for what in ("detected", "delay_days", "days_until_usual", "alarms_per_100_days_between"):
            if what in row:
                summary[f"{what}_{row['change']}"] = row[what]
    for peer in PEERS:
        rates = [row["peers_per_100_days"][peer] for row in rows["quiet"]]
        if rates:
            summary[f"worst_false_alarms_per_100_days_{peer}"] = max(rates)
    return summary


if __name__ == "__main__":
    main()
