"""How often the gate promotes a worse model, and lets one that is equal pass: by simulation.

    dayfold bench gate
    dayfold bench gate --days 20 --users 200

Clicks are drawn from known probabilities; what serves and each candidate know their log-odds with
an error, most of which both have in common (a warm start). The candidates' errors are chosen so
that their mean log loss, over all days, differs from what serves by the stated share. Each day
shows the gate (`training.promotion.gate.decide`, default settings) one candidate, once as the
next of the champion's family and once as another family's first, and beside it the rule "a higher
AUC wins". Harmful: worse by the gate's margin (1 % of the log loss) or more. A harmful rate is
that of the likeliest harmful candidate, at the volume where it is highest.

Other rules for a daily update, on the same days and intervals:
    point_estimate  an inconclusive update passes if it is not worse on average
    non_inferior    an inconclusive update never passes
    bound           the one-sided bound is within the margin, whatever the interval's width
    pooled          the same bound, of the last seven days' differences together, weighted by their
                    precision; `pooled_sudden`: of six days of equal updates and today's candidate
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from benchmarks.result import write_result
from conf.settings import GateSettings
from feature_store.days import shift
from training.promotion.gate import Scored, decide
from training.scoring.metrics import auc, log_losses, sigmoid

Floats = npt.NDArray[np.float64]
CHANGES = (-0.02, 0.0, 0.005, 0.01, 0.02, 0.05)
"""True changes of the mean log loss, as shares of that of what serves."""
USERS = (200, 600, 4000)
"""Users a day, so 1,000, 3,000 and 20,000 rows."""
FULL_DAYS_USERS = 600
"""Beyond this many users a day, fewer days are simulated."""
BASE_RATE_LOGIT = -2.0
ROWS_PER_USER = 5.0
SPREAD = 1.2
"""Standard deviation of the true log-odds, half of its variance between users."""
ERROR = 0.9
"""Standard deviation of the error of what serves."""
SHARED = 0.8
"""Share of an error's variance that both models have in common."""
POOLED_DAYS = 7
FIRST_DAY = "2026-01-01"
RULES = ("gate", "other_family", "auc_wins", "point_estimate", "non_inferior", "bound")
POOLED = ("pooled", "pooled_sudden")


@dataclass(frozen=True)
class World:
    """One day: (n,) users, true log-odds and clicks, and errors of standard deviation 1."""

    user: npt.NDArray[np.int64]
    truth: Floats
    label: Floats
    common: Floats
    own: tuple[Floats, Floats]


def drawn_day(random: np.random.Generator, users: int) -> World:
    """A day of so many users; a user's rows, tastes and errors are alike."""
    user = np.repeat(np.arange(users), 1 + random.poisson(ROWS_PER_USER - 1, users))

    def noise() -> Floats:
        own, shared = random.normal(size=len(user)), random.normal(size=users)[user]
        return (own + shared) / np.sqrt(2)

    truth = BASE_RATE_LOGIT + SPREAD * noise()
    label = (random.random(len(user)) < sigmoid(truth)).astype(float)
    return World(user, truth, label, noise(), (noise(), noise()))


def said(world: World, error: float, which: int) -> Floats:
    """(n,) log-odds by a model with this error: what serves (0), or a candidate (1)."""
    mixed = np.sqrt(SHARED) * world.common + np.sqrt(1 - SHARED) * world.own[which]
    # Shrunk as a trained model is, which would be overconfident otherwise.
    weight = SPREAD**2 / (SPREAD**2 + error**2)
    return BASE_RATE_LOGIT + weight * (world.truth - BASE_RATE_LOGIT + error * mixed)


def expected_loss(world: World, logits: Floats) -> float:
    """Mean log loss over all clicks that might have come of the true probabilities."""
    p = sigmoid(world.truth)
    return float((p * np.logaddexp(0, -logits) + (1 - p) * np.logaddexp(0, logits)).mean())


@cache
def errors_of(changes: tuple[float, ...]) -> dict[float, float]:
    """The error with which a candidate's loss is changed by each of `changes`, by bisection."""
    world = drawn_day(np.random.default_rng(0), 40_000)
    serving = expected_loss(world, said(world, ERROR, 1))
    found = {}
    for change in changes:
        low, high = 0.0, 4.0
        for _ in range(40):
            middle = (low + high) / 2
            better = expected_loss(world, said(world, middle, 1)) < serving * (1 + change)
            low, high = (middle, high) if better else (low, middle)
        found[change] = (low + high) / 2
    return found


def trials(days: int, users: int, gate: GateSettings, seed: int = 2) -> Iterator[dict[str, Any]]:
    """One row per change and day: which rules would have promoted the candidate."""
    errors = errors_of(CHANGES)
    for number in range(days):
        world = drawn_day(np.random.default_rng([users, number, seed]), users)
        serving = said(world, ERROR, 0)
        for change in CHANGES:
            logits = said(world, errors[change], 1)
            ds = shift(FIRST_DAY, number)
            update, own = _decided(world, serving, logits, "mlp", gate, ds)
            other, _ = _decided(world, serving, logits, "bert", gate, ds)
            yield {
                "change": change,
                "day": number,
                "users": users,
                "rows": len(world.label),
                "gate": update,
                "other_family": other,
                "auc_wins": auc(logits, world.label) > auc(serving, world.label),
                **_other_rules(own),
                "difference": own["difference"] / own["margin"],
                "error": (own["high"] - own["low"]) / own["margin"] / 3.92,
            }


def _decided(
    world: World, serving: Floats, logits: Floats, family: str, gate: GateSettings, ds: str
) -> tuple[bool, dict[str, Any]]:
    """Whether the gate makes it champion, and its comparison with what it is measured by."""
    loss, reference = log_losses(logits, world.label), log_losses(serving, world.label)
    constant = np.full(len(loss), np.log(world.label.mean() / (1 - world.label.mean())))
    scored = Scored(
        family,
        world.user,
        loss,
        log_losses(constant, world.label),
        head_loss=reference if family == "mlp" else None,
        champion_loss=reference,
        logits=logits,
        labels=world.label,
        reference_logits=serving,
    )
    decision = decide([scored], champion_family="mlp", gate=gate, ds=ds)[family]
    return decision.outcome == "champion", decision.evidence["own"]


def _other_rules(own: dict[str, Any]) -> dict[str, bool]:
    non_inferior = own["verdict"] in ("superior", "non_inferior")
    point = own["verdict"] == "inconclusive" and own["difference"] <= 0
    return {
        "point_estimate": non_inferior or point,
        "non_inferior": non_inferior,
        "bound": own["bound"] <= own["margin"],
    }


def with_pooled(rows: list[dict[str, Any]], confidence: float) -> None:
    """Add the pooled rules to the rows of one volume, from the differences of the days before."""
    past = {(row["change"], row["day"]): (row["difference"], row["error"]) for row in rows}
    for row in rows:
        before = range(max(row["day"] - POOLED_DAYS + 1, 0), row["day"])
        for rule, change in zip(POOLED, (row["change"], 0.0), strict=True):
            days = [*(past[change, day] for day in before), past[row["change"], row["day"]]]
            difference, error = np.array(days).T
            weight = error**-2.0
            bound = np.average(difference, weights=weight)
            bound += norm.ppf(confidence) / np.sqrt(weight.sum())
            row[rule] = bool(bound <= 1)


def rates_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per volume and change: how often each rule promotes."""
    return [
        {
            "rows_a_day": round(users * ROWS_PER_USER),
            "change": change,
            "days": len(mine),
            **{rule: float(np.mean([row[rule] for row in mine])) for rule in (*RULES, *POOLED)},
        }
        for users in sorted({row["users"] for row in rows})
        for change in CHANGES
        if (mine := [row for row in rows if row["users"] == users and row["change"] == change])
    ]


def summary_of(rates: list[dict[str, Any]], margin: float) -> dict[str, float]:
    """Per rule the highest rate of a harmful change and the lowest one of equal models."""
    summary: dict[str, float] = {}
    for rule in (*RULES, *POOLED):
        for volume in sorted({row["rows_a_day"] for row in rates}):
            mine = {row["change"]: row[rule] for row in rates if row["rows_a_day"] == volume}
            harmful = max(rate for change, rate in mine.items() if change >= margin)
            summary[f"harmful_{rule}_at_{volume}_rows"] = harmful
            summary[f"equal_{rule}_at_{volume}_rows"] = mine[0.0]
        worst = max(v for k, v in summary.items() if k.startswith(f"harmful_{rule}_at_"))
        least = min(v for k, v in summary.items() if k.startswith(f"equal_{rule}_at_"))
        summary |= {f"harmful_promotion_rate_{rule}": worst, f"equal_model_pass_rate_{rule}": least}
    gate = summary["harmful_promotion_rate_gate"], summary["harmful_promotion_rate_other_family"]
    equal = summary["equal_model_pass_rate_gate"]
    return {"harmful_promotion_rate": max(gate), "equal_model_pass_rate": equal, **summary}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="dayfold bench gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--days", type=int, default=400, help="simulated days (default 400)")
    parser.add_argument("--users", type=int, nargs="+", default=list(USERS), help="users a day")
    parser.add_argument("--seed", type=int, default=2, help="another one draws other days [2]")
    arguments = parser.parse_args()
    gate = GateSettings()
    rows: list[dict[str, Any]] = []
    for users in arguments.users:
        # A day of many rows costs more and varies less.
        days = arguments.days
        if users > FULL_DAYS_USERS:
            days = max(days * FULL_DAYS_USERS // (2 * users), 1)
        mine = list(trials(days, users, gate, arguments.seed))
        with_pooled(mine, gate.inconclusive_confidence)
        rows += mine
    rates = rates_of(rows)
    summary = summary_of(rates, gate.margin)
    for name, value in summary.items():
        print(f"{name}: {value:.3f}", flush=True)
    print(write_result("gate", summary, rates))


if __name__ == "__main__":
    main()
