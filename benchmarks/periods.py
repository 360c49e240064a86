"""One period after the other: predicted by everything that knows the periods before, then learned.

Letters: N predictions.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.evidence import (
    NEIGHBOURS,
    State,
    learned_weights,
    mixed,
    sources,
    target_shares,
)
from benchmarks.next_item import MISS, Predictions, places
from benchmarks.reranker import (
    Candidates,
    candidates_of,
    features_of,
    learned_reranker,
    reranked_places,
    reranker_of,
)
from benchmarks.session_memory import chosen
from benchmarks.sessions import Ints, Sessions
from benchmarks.teaching import CHAINS, FULL, Nets, Replay, candidate_logits, full_places

TOP = 20
FLOORS = ("popularity", "counts")
COUNTED = (*FLOORS, "neighbours", "interpolated", "best")
METHODS = (*COUNTED, *CHAINS, FULL)
BESIDE = "replay"
"""The net whose opinion `best` sees."""


@dataclass(frozen=True)
class Run:
    """How much of the protocol is run."""

    periods: int = 1_000
    """Most periods that are predicted."""
    predictions: int = MISS
    """Most of a period's test."""
    network_predictions: int = 20_000
    """Most of a period's test for the nets alone, which compare each with every item."""
    taught: int = MISS
    """Most predictions of a period that the nets are taught."""
    learned: int = 20_000
    """Most predictions of a period from which the weights and the last stage are learned."""


@dataclass(frozen=True)
class Knowledge:
    """All that has been learned before a period."""

    state: State
    replay: Replay
    nets: Nets
    weights: npt.NDArray[np.float64]
    """Of the kinds of evidence."""
    reranker: nn.Module
    seconds: dict[str, float]
    """CPU-seconds that it took each method to learn the newest period."""


def run_periods(
    periods: list[Sessions], items: int, run: Run, folder: Path
) -> Iterator[dict[str, Any]]:
    """One row for each period but the first; those that `folder` holds are not run again."""
    rows_file = folder / "rows.jsonl"
    done = [json.loads(n) for n in rows_file.read_text().splitlines()] if rows_file.exists() else []
    yield from done
    if len(done) == len(periods) - 1:
        return
    first = len(done) + 1
    knowledge = (
        _loaded(folder / f"before-{first}", periods[:first], items, run)
        if done
        else _begun(periods[0], items, run)
    )
    for number in range(first, len(periods)):
        row = _period_row(knowledge, periods[number], run, {"period": number})
        knowledge = _learned(knowledge, periods[number], number, run)
        _save(knowledge, folder / f"before-{number + 1}")
        with rows_file.open("a") as lines:
            lines.write(json.dumps(row) + "\n")
        shutil.rmtree(folder / f"before-{number}", ignore_errors=True)
        yield row


def _begun(first: Sessions, items: int, run: Run) -> Knowledge:
    """What the first period teaches: most of it as the past, its end as the first lesson."""
    head, tail = _cut(first)
    state = State.empty(items).with_period(head)
    past = Predictions.of(head, state.known).drawn(run.taught, 0)
    nets = Nets.begun(past, _items_of(state))
    replay = Replay().with_period(past)
    nothing = Knowledge(state, replay, nets, np.empty(0), nn.Identity(), {})
    return _learned(nothing, tail, 0, run)


def _cut(first: Sessions) -> tuple[Sessions, Sessions]:
    """Nine tenths of the sessions, and the last one."""
    cut = len(first) * 9 // 10
    end = first.starts[cut]
    head = Sessions(first.items[:end], first.starts[: cut + 1])
    return head, Sessions(first.items[end:], first.starts[cut:] - end)


def _learned(before: Knowledge, period: Sessions, number: int, run: Run) -> Knowledge:
    """What is known after `period`."""
    started = time.process_time()
    lesson = Predictions.of(period.of_known(before.state.known), before.state.known)
    lesson = lesson.drawn(run.learned, number)
    parts = [(part, sources(before.state, part.prefix)) for part in lesson.parts()]
    said = np.concatenate([target_shares(found, part.target) for part, found in parts])
    weights = learned_weights(said, lesson.length_class)
    state = before.state.with_period(period)
    interpolated = time.process_time() - started
    candidates = Candidates.joined([_candidates(before, weights, f, part) for part, f in parts])
    reranker = learned_reranker(candidates, lesson.target, number)
    counted = time.process_time() - started
    new = Predictions.of(period, state.known).drawn(run.taught, number)
    nets = before.nets.with_period(new, before.replay, _items_of(state), number)
    started = time.process_time()
    before.state.memory.with_period(period)
    seconds = nets.seconds | {
        "neighbours": time.process_time() - started,
        "interpolated": interpolated,
        "best": counted + nets.seconds[BESIDE],
    }
    return Knowledge(state, before.replay.with_period(new), nets, weights, reranker, seconds)


def _candidates(
    knowledge: Knowledge,
    weights: npt.NDArray[np.float64],
    by_source: list[Any],
    part: Predictions,
) -> Candidates:
    """The likeliest items of each prefix of `part` with all that is known of them."""
    items = candidates_of(mixed(by_source, weights, part))
    network = knowledge.nets.by_method[BESIDE]
    said = candidate_logits(network, network.vectors(), part.prefix, items)
    return Candidates(items, features_of(knowledge.state, by_source, part, items, said))


def tests_of(
    period: Sessions, known: npt.NDArray[np.bool_], number: int, run: Run
) -> dict[str, Predictions]:
    """What is to be predicted of `period`: clicks on `known` items (V,), and a sample of all."""
    usual = Predictions.of(period.of_known(known), known).drawn(run.predictions, number)
    most = min(run.predictions, run.network_predictions)
    return {"known": usual, "whole": Predictions.of(period, known).drawn(most, number)}


def _period_row(
    before: Knowledge, period: Sessions, run: Run, row: dict[str, Any]
) -> dict[str, Any]:
    """`row` with the figures of `period`."""
    number, known = row["period"], before.state.known
    tests = tests_of(period, known, number, run)
    row |= {
        "predictions": len(tests["known"]),
        "network_predictions": min(len(tests["known"]), run.network_predictions),
        "new_share": float((~known[Predictions.of(period, known).target]).mean()),
        "cpu_seconds": dict(before.seconds),
    }
    for name, test in tests.items():
        found = _counted_places(before, test)
        drawn = test.drawn(run.network_predictions, number)
        found |= {method: full_places(net, drawn) for method, net in before.nets.by_method.items()}
        row[name] = {method: metrics_of(place) for method, place in found.items()}
    return row


def _counted_places(knowledge: Knowledge, test: Predictions) -> dict[str, Ints]:
    """(N,) place of each target by every method but the nets alone."""
    state = knowledge.state
    order = np.argsort(-state.popularity, kind="stable")[:TOP]
    standing = np.full(len(state.known), MISS)
    standing[order] = np.arange(1, len(order) + 1)
    found: dict[str, list[Ints]] = {name: [] for name in COUNTED}
    for part in test.parts():
        by_source = sources(state, part.prefix)
        newest = chosen(part.prefix[:, 0], len(state.known))
        mixture = mixed(by_source, knowledge.weights, part)
        candidates = _candidates(knowledge, knowledge.weights, by_source, part)
        found["popularity"].append(standing[part.target])
        found["counts"].append(places((newest @ state.flat.around(1, 2)).tocsr(), part.target))
        found["neighbours"].append(places(by_source[NEIGHBOURS], part.target))
        found["interpolated"].append(places(mixture, part.target))
        found["best"].append(reranked_places(knowledge.reranker, candidates, part.target))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def metrics_of(place: Ints) -> dict[str, float]:
    """Recall@20 and MRR@20, in per cent."""
    hit = place <= TOP
    return {
        "recall20": 100 * float(hit.mean()),
        "mrr20": 100 * float(np.where(hit, 1 / place, 0).mean()),
    }


def _items_of(state: State) -> int:
    """Items up to the last that is known (items are numbered as they first occur)."""
    return int(np.flatnonzero(state.known).max()) + 1


def _save(knowledge: Knowledge, folder: Path) -> None:
    """What cannot be counted again from the periods."""
    folder.mkdir(exist_ok=True)
    knowledge.nets.save(folder)
    save_file(knowledge.reranker.state_dict(), folder / "reranker")
    learned = {"weights": knowledge.weights.tolist(), "seconds": knowledge.seconds}
    (folder / "learned.json").write_text(json.dumps(learned))


def _loaded(folder: Path, periods: list[Sessions], items: int, run: Run) -> Knowledge:
    """What `_save` wrote, and the rest counted again from the periods before."""
    state, replay = State.empty(items), Replay()
    first, last = _cut(periods[0])
    for number, sessions in enumerate((first, last, *periods[1:])):
        state = state.with_period(sessions)
        new = Predictions.of(sessions, state.known).drawn(run.taught, max(0, number - 1))
        replay = replay.with_period(new)
    learned = json.loads((folder / "learned.json").read_text())
    reranker = reranker_of(load_file(folder / "reranker"))
    nets = Nets.load(folder, _items_of(state))
    weights = np.array(learned["weights"])
    return Knowledge(state, replay, nets, weights, reranker, learned["seconds"])
