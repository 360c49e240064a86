"""The part of a batch that one of several processes trains on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.scorers.batch import Batch, SideTensors

_SIDES = ("user", "item", "pair")


def share_of(batch: Batch, rank: int, world: int) -> Batch:
    """Every `world`-th user of `batch`, beginning with number `rank`.

    Items that several users share stay whole, so that what is computed over a batch's items (the
    mean of an input, say) is the same for each process. A batch of fewer users than processes is
    taken whole by each, which leaves the mean of all of them what it is.
    """
    if world == 1 or len(batch.label) < world:
        return batch
    rows = slice(rank, None, world)
    pair, item = batch.pair[rows], batch.item
    if _is_own(batch):
        item, pair = _taken(item, rows), torch.arange(len(pair))[:, None]
    others: dict[str, Any] = {
        name: None if values is None else values[rows]
        for name, values in batch._asdict().items()
        if name not in _SIDES
    }
    return batch._replace(user=_taken(batch.user, rows), item=item, pair=pair, **others)


def _is_own(batch: Batch) -> bool:
    """Whether each user comes with one item of its own, in the users' order."""
    users = len(batch.label)
    return batch.pair.shape == (users, 1) and torch.equal(batch.pair[:, 0], torch.arange(users))


def _taken(side: SideTensors, rows: slice) -> SideTensors:
    def taken(values: Any) -> Any:
        if isinstance(values, Tensor):
            return values[rows]
        return tuple(taken(part) for part in values) if isinstance(values, tuple) else values

    return SideTensors(*(taken(values) for values in side))
