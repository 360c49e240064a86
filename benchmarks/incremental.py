"""The incremental protocol of ADER: each period is predicted before anything learns from it.

    python -m benchmarks.incremental --source DIR
    python -m benchmarks.incremental --source DIR --quick

After the first item of a session each further one is to be predicted from those before it, among
all items seen in earlier periods; the figures are means over the periods of Recall@20 and MRR@20.
Clicks on items that were never seen are taken out of the test, as published figures do; beside
them the same of a sample of the test as it is (`_whole`), where such a click is a miss. Ties go to
the item that was seen first.

Methods: popularity and counts of what follows what (the two floors), session-kNN alone, and their
interpolation, whose weights are learned on the period before. Nothing of them is trained by
gradients: a period is added to counts and to a memory of bounded size. Progress is kept period by
period under --home; the same command goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from benchmarks.next_item import MISS, PREFIX_LENGTHS, Predictions, places, score_of
from benchmarks.result import write_result
from benchmarks.session_memory import Counts, Scores, SessionMemory, chosen, shares
from benchmarks.sessions import Bools, Ints, Sessions, load_periods

TOP = 20
FLOORS = ("popularity", "counts")
METHODS = (*FLOORS, "neighbours", "interpolated")
HALF_LIFE, SHORT_HALF_LIFE = 6.0, 1.0
"""In periods, of the counts that are interpolated."""
SAMPLE = 20_000
"""Most predictions of a period from which weights are learned, and of the test as it is."""
QUICK_PERIODS, QUICK_PREDICTIONS = 3, 1_000
_STEPS = 100


@dataclass(frozen=True)
class State:
    """All that is kept of the periods so far; its size does not depend on their number."""

    known: Bools
    """(V,) items seen."""
    popularity: Ints
    """(V,) clicks."""
    flat: Counts
    slow: Counts
    fast: Counts
    memory: SessionMemory

    @staticmethod
    def empty(items: int) -> State:
        """Before the first period."""
        half_lives = (float("inf"), HALF_LIFE, SHORT_HALF_LIFE)
        flat, slow, fast = (Counts.empty(items, half_life) for half_life in half_lives)
        nothing = np.zeros(items, dtype=np.int64)
        return State(nothing > 0, nothing, flat, slow, fast, SessionMemory(items))

    def with_period(self, period: Sessions) -> State:
        """After a further period."""
        clicks = np.bincount(period.items, minlength=len(self.known))
        return State(
            self.known | (clicks > 0),
            self.popularity + clicks,
            *(counts.with_period(period) for counts in (self.flat, self.slow, self.fast)),
            self.memory.with_period(period),
        )


def sources(state: State, prefix: Ints) -> list[Scores]:
    """(N, V) each, rows that sum to one: what each kind of evidence says of the next item."""
    newest, second, third, fourth = (chosen(prefix[:, lag], len(state.known)) for lag in range(4))
    slow, fast = state.slow, state.fast
    found = [
        newest @ slow.around(1, 0),
        newest @ slow.around(1, 2),
        newest @ slow.around(1, 2).T,
        newest @ fast.around(1, 2),
        newest @ fast.around(1, 2).T,
        second @ slow.around(2, 1),
        second @ slow.around(1, 2).T,
        third @ slow.around(3, 1),
        fourth @ slow.around(4, 1),
        state.memory.scores(prefix),
        newest,
        second,
        third,
    ]
    return [shares(scores.tocsr()) for scores in found]


def learned_weights(state: State, lesson: Predictions) -> npt.NDArray[np.float64]:
    """(PREFIX_LENGTHS, sources) weights under which `lesson` is likeliest, by EM.

    As Jelinek and Mercer (1980) interpolate language models.
    """
    said = np.concatenate(
        [
            np.stack(
                [score_of(scores, part.target) for scores in sources(state, part.prefix)], axis=1
            )
            for part in lesson.parts()
        ]
    )
    number = said.shape[1]
    learned = np.full((PREFIX_LENGTHS, number), 1.0 / number)
    for length in range(PREFIX_LENGTHS):
        mine = said[(lesson.length_class == length) & (said.sum(axis=1) > 0)]
        for _ in range(_STEPS if len(mine) else 0):
            part = mine * learned[length]
            learned[length] = (part / part.sum(axis=1, keepdims=True).clip(1e-300)).mean(axis=0)
    return learned


def scored(state: State, weights: npt.NDArray[np.float64], part: Predictions) -> dict[str, Scores]:
    """(N, V) scores of each method but popularity, which is the same for all."""
    by_source = sources(state, part.prefix)
    rows = weights[part.length_class]
    mixed = sum(sparse.diags(rows[:, k]) @ scores for k, scores in enumerate(by_source))
    newest = chosen(part.prefix[:, 0], len(state.known))
    return {
        "counts": (newest @ state.flat.around(1, 2)).tocsr(),
        "neighbours": by_source[9],
        "interpolated": mixed.tocsr(),
    }


def tested(
    state: State, weights: npt.NDArray[np.float64], test: Predictions
) -> dict[str, dict[str, float]]:
    """Recall@20 and MRR@20 of each method, in per cent."""
    order = np.argsort(-state.popularity, kind="stable")[:TOP]
    standing = np.full(len(state.known), MISS)
    standing[order] = np.arange(1, len(order) + 1)
    found: dict[str, list[Ints]] = {name: [] for name in METHODS}
    for part in test.parts():
        found["popularity"].append(standing[part.target])
        for name, scores in scored(state, weights, part).items():
            found[name].append(places(scores, part.target))
    result = {}
    for name, parts in found.items():
        place = np.concatenate(parts)
        hit = place <= TOP
        result[name] = {
            "recall20": 100 * float(hit.mean()),
            "mrr20": 100 * float(np.where(hit, 1 / place, 0).mean()),
        }
    return result


def run_periods(
    periods: list[Sessions], items: int, most: int, kept: Path
) -> Iterator[dict[str, Any]]:
    """One row for each period but the first; those that `kept` holds are not tested again."""
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    first = periods[0]
    cut = len(first) * 9 // 10  # the first lesson: the last tenth of the first period
    head = Sessions(first.items[: first.starts[cut]], first.starts[: cut + 1])
    tail_starts = first.starts[cut:] - first.starts[cut]
    lesson = Sessions(first.items[first.starts[cut] :], tail_starts)
    before, state = State.empty(items).with_period(head), State.empty(items).with_period(first)
    for number, period in enumerate(periods[1:], start=1):
        row = next((row for row in done if row["period"] == number), None)
        if row is None:
            row = _period_row(number, (before, state), lesson, period, most)
            with kept.open("a") as lines:
                lines.write(json.dumps(row) + "\n")
        yield row
        before, state, lesson = state, state.with_period(period), period


def _period_row(
    number: int, states: tuple[State, State], lesson: Sessions, period: Sessions, most: int
) -> dict[str, Any]:
    before, state = states
    started = time.process_time()
    learned = Predictions.of(lesson.of_known(before.known), before.known)
    weights = learned_weights(before, learned.drawn(min(most, SAMPLE), number))
    state.with_period(period)
    cost = time.process_time() - started
    usual = Predictions.of(period.of_known(state.known), state.known)
    whole = Predictions.of(period, state.known)
    return {
        "period": number,
        "predictions": min(len(usual), most),
        "new_share": float((~state.known[whole.target]).mean()),
        "cpu_seconds_to_learn_a_period": cost,
        "known": tested(state, weights, usual.drawn(most, number)),
        "whole": tested(state, weights, whole.drawn(min(most, SAMPLE), number)),
    }


def summary_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means over the periods."""
    summary = {"periods": float(len(rows))}
    for test, ending in (("known", ""), ("whole", "_whole")):
        for name in METHODS:
            for metric in ("recall20", "mrr20"):
                values = [row[test][name][metric] for row in rows]
                summary[f"{metric}_{name}{ending}"] = float(np.mean(values))
    cost = [row["cpu_seconds_to_learn_a_period"] for row in rows]
    summary["cpu_seconds_to_learn_a_period"] = float(np.mean(cost))
    return summary


def main() -> None:
    """Run the protocol over the folder's periods."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with period_0.txt.gz ..")
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench"))
    parser.add_argument("--quick", action="store_true", help="3 periods, 1,000 predictions each")
    arguments = parser.parse_args()
    periods, items = load_periods(arguments.source)
    if len(periods) <= 1:
        sys.exit(f"{arguments.source} has one period, expected at least two: one to learn from.")
    most = QUICK_PREDICTIONS if arguments.quick else MISS
    periods = periods[: 1 + QUICK_PERIODS] if arguments.quick else periods
    code = b"".join(Path(__file__).with_name(f"{n}.py").read_bytes() for n in _CODE)
    digest = hashlib.sha256(code + str((arguments.source.absolute(), most)).encode())
    folder = arguments.home / "incremental"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for row in run_periods(periods, items, most, folder / f"{digest.hexdigest()[:16]}.jsonl"):
        best = row["known"]["interpolated"]
        print(
            f"period {row['period']} of {len(periods) - 1}: {row['predictions']} predictions, "
            f"interpolated {best['recall20']:.2f} / {best['mrr20']:.2f}",
            flush=True,
        )
        rows.append(row)
    name = "incremental-quick" if arguments.quick else "incremental"
    print(write_result(name, summary_of(rows), rows))


_CODE = ("incremental", "next_item", "session_memory", "sessions")

if __name__ == "__main__":
    main()
