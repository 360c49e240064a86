"""How nets are kept up with new periods: the methods that are compared, and what each costs.

Letters: N predictions, K candidates, V items, D width of the vectors.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from benchmarks.next_item import Predictions
from benchmarks.reranker import Floats
from benchmarks.sequence_network import (
    FIRST_PASSES,
    FIRST_RATE,
    LATER_PASSES,
    LATER_RATE,
    Lesson,
    Network,
    fresh,
    taught,
)
from benchmarks.sessions import Ints

REPLAYED = 30_000
"""Predictions of earlier periods that are kept, all periods alike (as many as ADER keeps)."""
OPINION = 0.5
"""Weight of the teacher's opinion where there is one."""
CHAINS = ("finetune", "replay", "replay_distil")
"""Nets that are taught each period on top of what they know."""
FULL = "full_retrain"
_AT_ONCE = 2_000


@dataclass(frozen=True)
class Replay:
    """At most REPLAYED predictions of the periods so far, drawn without regard to the period."""

    kept: Predictions = field(default_factory=Predictions.none)
    periods: int = 0

    def with_period(self, new: Predictions) -> Replay:
        """What is kept after a further period."""
        number = self.periods + 1
        share = REPLAYED // number
        older = self.kept.drawn(REPLAYED - share, number)
        return Replay(Predictions.joined([older, new.drawn(share, number)]), number)


@dataclass(frozen=True)
class Nets:
    """The nets by method, and the CPU-seconds that each of them took to be taught the newest."""

    by_method: dict[str, Network]
    seconds: dict[str, float]

    @staticmethod
    def begun(new: Predictions, items: int) -> Nets:
        """All methods begin with one net, taught the first predictions."""
        started = time.process_time()
        net = taught(fresh(items, 0), Lesson(new), FIRST_PASSES, FIRST_RATE, 0)
        spent = time.process_time() - started
        return Nets(dict.fromkeys(CHAINS, net), dict.fromkeys(CHAINS, spent))

    def with_period(self, new: Predictions, replay: Replay, items: int, seed: int) -> Nets:
        """The chains after a further period; `replay` knows the periods before it."""
        nets, seconds = {}, {}
        for method, before in self.by_method.items():
            lesson = Lesson(new)
            if method != "finetune":
                lesson = replace(lesson, replayed=replay.kept)
            if method == "replay_distil":
                lesson = replace(lesson, teacher=before, weight=OPINION)
            started = time.process_time()
            nets[method] = taught(before.grown(items), lesson, LATER_PASSES, LATER_RATE, seed)
            seconds[method] = time.process_time() - started
        return Nets(nets, seconds)

    def save(self, folder: Path) -> None:
        """Write the chains, for a stopped benchmark to go on from."""
        for method in CHAINS:
            network = self.by_method[method]
            parts = {"net": network.net.state_dict(), "moments": network.moments or {}}
            tensors = {
                f"{part}.{name}": values.contiguous()
                for part, of_part in parts.items()
                for name, values in of_part.items()
            }
            save_file(tensors, folder / f"{method}.net")

    @staticmethod
    def load(folder: Path, items: int) -> Nets:
        """The chains that `save` wrote; what they cost is in the rows."""
        nets = {}
        for method in CHAINS:
            tensors = load_file(folder / f"{method}.net")
            net = fresh(items, 0).net
            parts: dict[str, dict[str, torch.Tensor]] = {"net": {}, "moments": {}}
            for name, values in tensors.items():
                part, _, rest = name.partition(".")
                parts[part][rest] = values
            net.load_state_dict(parts["net"])
            nets[method] = Network(net.eval(), parts["moments"])
        return Nets(nets, {})


def full_places(network: Network, test: Predictions) -> Ints:
    """(N,) place of each target among all items that the net knows; ties go to the lower item."""
    items = network.vectors().T
    found = [np.empty(0, dtype=np.int64)]
    for first in range(0, len(test), _AT_ONCE):
        part = test.take(slice(first, first + _AT_ONCE))
        scores = (network.users(part.prefix) @ items).numpy()
        known = part.target < network.items
        target = np.where(known, part.target, 0)
        mine = scores[np.arange(len(part)), target][:, None]
        ahead = scores > mine
        ahead |= (scores == mine) & (np.arange(network.items) < target[:, None])
        found.append(np.where(known, 1 + ahead.sum(axis=1), len(items.T) + 1))
    return np.concatenate(found)


def candidate_logits(network: Network, vectors: torch.Tensor, prefix: Ints, items: Ints) -> Floats:
    """(N, K) logits of the candidates `items` (N, K) after `prefix`; `vectors`: (V, D)."""
    users = network.users(prefix)
    listed = torch.from_numpy(np.where((items >= 0) & (items < len(vectors)), items, 0))
    found: Floats = torch.einsum("nd,nkd->nk", users, vectors[listed]).numpy()
    return found
