"""The last stage: which of the likeliest items comes next, learned on the period before.

Letters: N predictions, K candidates, F features, V items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.evidence import State
from benchmarks.next_item import MISS, PREFIX_LENGTHS, Predictions
from benchmarks.session_memory import Scores, largest
from benchmarks.sessions import Ints

Floats = npt.NDArray[np.float32]

CANDIDATES = 100
_SMALLEST_SHARE = 1e-4
"""Smaller shares are told apart no further."""
_HIDDEN, _PASSES, _BATCH, _RATE, _DECAY = 64, 4, 128, 3e-3, 1e-3
_PER_LOG = np.float32(5)
"""Logarithms are divided by it: inputs are of order one."""
_NEAR = 3
_NEVER = np.float32(-1e30)
"""Newest items of a prefix whose repetition is told apart from that of older ones."""


@dataclass(frozen=True)
class Candidates:
    """The likeliest items of each prefix and what is known of them."""

    items: Ints
    """(N, K); -1 = there are no more."""
    features: Floats
    """(N, K, F)."""

    @staticmethod
    def joined(parts: list[Candidates]) -> Candidates:
        """All of `parts`, in their order."""
        return Candidates(
            np.concatenate([part.items for part in parts]),
            np.concatenate([part.features for part in parts]),
        )


def candidates_of(scores: Scores) -> Ints:
    """(N, K) items with the largest scores of each row; -1 = there are no more."""
    kept = largest(scores.copy(), CANDIDATES)
    rows = np.repeat(np.arange(kept.shape[0]), np.diff(kept.indptr))
    found = np.full((kept.shape[0], CANDIDATES), -1, dtype=np.int64)
    found[rows, np.arange(kept.nnz) - kept.indptr[rows]] = kept.indices
    return found


def features_of(
    state: State,
    by_source: list[Scores],
    part: Predictions,
    items: Ints,
    network: Floats | None = None,
) -> Floats:
    """(N, K, F) of the candidates `items` (N, K); `network`: (N, K) a net's logits of them."""
    there = items >= 0
    columns = [_log_share(_looked_up(scores, items)) for scores in by_source]
    for clicks in (state.popularity, state.latest):
        columns.append(np.log1p(clicks / clicks.sum() * 1e6).astype(np.float32)[items])
    columns += [support[items] for support in state.support]
    for lag in range(2):
        before = part.prefix[:, lag]
        columns += [
            _for_all(np.where(before >= 0, support[before], 0), items) for support in state.support
        ]
    columns = [column / _PER_LOG for column in columns]
    again = [(part.prefix[:, lag, None] == items) & there for lag in range(part.prefix.shape[1])]
    columns += [sum(again[:_NEAR]), sum(again[_NEAR:])]
    columns += [_for_all(part.length_class == k, items) for k in range(PREFIX_LENGTHS)]
    if network is not None:
        masked = np.where(there, network, _NEVER)
        said = masked - np.logaddexp.reduce(masked, axis=1, keepdims=True)
        columns.append(np.where(there, np.maximum(said, -20), -20) / _PER_LOG)
    return np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=2)


def learned_reranker(lesson: Candidates, target: Ints, seed: int) -> nn.Module:
    """A net (N, K, F) -> (N, K, 1) whose softmax over the candidates is likeliest."""
    own = lesson.items == target[:, None]
    rows = np.flatnonzero(own.any(axis=1))
    features = torch.from_numpy(lesson.features[rows])
    missing = torch.from_numpy(lesson.items[rows] < 0)
    wanted = torch.from_numpy(own[rows].argmax(axis=1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _net(features.shape[2])
        optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
        parts = [part for _ in range(_PASSES) for part in torch.randperm(len(rows)).split(_BATCH)]
        for step, part in enumerate(parts):
            for group in optimizer.param_groups:
                group["lr"] = _RATE * (1 - step / len(parts))
            logits = net(features[part])[:, :, 0].masked_fill(missing[part], -torch.inf)
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(logits, wanted[part]).backward()
            optimizer.step()
    return net.eval()


def reranker_of(weights: dict[str, Tensor]) -> nn.Module:
    """The net with these weights."""
    net = _net(weights["0.weight"].shape[1])
    net.load_state_dict(weights)
    return net.eval()


def _net(features: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, _HIDDEN),
        nn.GELU(),
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.GELU(),
        nn.Linear(_HIDDEN, 1),
    )


def reranked_places(net: nn.Module, candidates: Candidates, target: Ints) -> Ints:
    """(N,) place of each target among the candidates, from 1."""
    with torch.inference_mode():
        scores = net(torch.from_numpy(candidates.features))[:, :, 0].numpy()
    return places_among(scores, candidates.items, target)


def places_among(scores: Floats, items: Ints, target: Ints) -> Ints:
    """(N,) place of each target by `scores` (N, K) of `items`; ties go to the lower item."""
    own = items == target[:, None]
    mine = scores[np.arange(len(items)), own.argmax(axis=1)][:, None]
    ahead = (scores > mine) | ((scores == mine) & (items < target[:, None]))
    place = 1 + (ahead & (items >= 0)).sum(axis=1)
    return np.where(own.any(axis=1), place, MISS)


def _log_share(shares: Floats) -> Floats:
    return np.log(shares + np.float32(_SMALLEST_SHARE)) - np.log(np.float32(_SMALLEST_SHARE))


def _for_all(values: npt.NDArray[np.generic], items: Ints) -> npt.NDArray[np.generic]:
    return np.broadcast_to(values[:, None], items.shape)


def _looked_up(scores: Scores, items: Ints) -> Floats:
    """(N, K) cells of `scores` (N, V) at each row's `items`; 0 where there is none."""
    scores.sort_indices()
    size = scores.shape[1]
    rows = np.repeat(np.arange(scores.shape[0], dtype=np.int64), np.diff(scores.indptr))
    keys = rows * size + scores.indices
    wanted = np.arange(len(items))[:, None] * size + items
    at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    if not len(keys):
        return np.zeros(items.shape, dtype=np.float32)
    return np.where((keys[at] == wanted) & (items >= 0), scores.data[at], 0).astype(np.float32)
