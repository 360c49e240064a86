"""A stream of ready batches whose order is a pure function of (seed, days, step).

Nothing is kept between batches: whoever asks for a step gets the batches from there on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.features.reader import FeatureReader
from training.features.rows import Float64, Int32, Int64, Side
from training.fitting.negatives import Proposal, item_key, split_key
from training.fitting.share import share_of
from training.scorers.batch import (
    Batch,
    SideTensors,
    context_tensor,
    mask_ids,
    side_tensors,
)
from training.scorers.packed import PackedSide
from training.scorers.schema import Schema

BLOCK = 64
"""Rows of one day that stay together in a batch and share the negatives drawn for that day."""

_ORDER, _DRAWS = 0, 1


class Source(Protocol):
    """Examples from which batches are made."""

    def __len__(self) -> int:
        """How many examples there are."""

    def blocks(self, generator: np.random.Generator) -> list[Int64]:
        """The examples' positions, shuffled, in blocks that are to stay together."""

    def batch(self, chosen: Int64, generator: np.random.Generator) -> Batch:
        """The batch of the examples at `chosen`."""


@dataclass(frozen=True)
class LabelledSource:
    """Examples with a label from 0 to 1 (all kinds but `sampled`): one item each.

    They are narrow: what describes a user and an item is gathered for each batch.
    """

    users: PackedSide
    items: PackedSide
    user: Tensor
    """(n,) int64 positions in `users`."""
    item: Tensor
    """(n,) int64 positions in `items`."""
    context: Tensor
    """(n, X) int64."""
    label: Tensor
    """(n,) float32."""
    weight: Tensor
    """(n,) float32."""
    replayed: Tensor
    """(n,) bool."""

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.label)

    def blocks(self, generator: np.random.Generator) -> list[Int64]:
        """All examples in one block, shuffled."""
        return [generator.permutation(len(self.label))]

    def batch(self, chosen: Int64, generator: np.random.Generator) -> Batch:
        """The batch of the examples at `chosen`; nothing is drawn."""
        rows = torch.from_numpy(np.ascontiguousarray(chosen))
        return Batch(
            self.users.take(self.user.index_select(0, rows)),
            self.items.take(self.item.index_select(0, rows)),
            torch.arange(len(rows))[:, None],
            self.context.index_select(0, rows),
            self.label.index_select(0, rows),
            self.weight.index_select(0, rows),
            torch.zeros(len(rows), 1),
            self.replayed.index_select(0, rows),
        )

    def part(self, rows: slice) -> LabelledSource:
        """The examples that `rows` selects; the wide tables are shared."""
        narrow = (self.user, self.item, self.context, self.label, self.weight, self.replayed)
        return LabelledSource(self.users, self.items, *(values[rows] for values in narrow))


@dataclass(frozen=True)
class PositiveEvents:
    """Positive events of a log without impressions."""

    user: Side
    item: Int32
    context: Int32
    day: Int64
    weight: Float64
    replayed: NDArray[np.bool_]

    def take(self, rows: Int64 | np.ndarray | slice) -> PositiveEvents:
        """The events that `rows` selects."""
        return PositiveEvents(
            self.user.take(rows),
            self.item[rows],
            self.context[rows],
            self.day[rows],
            self.weight[rows],
            self.replayed[rows],
        )


@dataclass(frozen=True)
class SampledSource:
    """Positives, each listed with `negatives` items drawn from its day's catalogue.

    `drawn` items are drawn for each day of a batch; each positive is listed with `negatives` of
    them. Items are described as at the beginning of the day, as they are when lists are served.
    """

    positives: PositiveEvents
    reader: FeatureReader
    proposal: Proposal
    schema: Schema
    drawn: int
    negatives: int
    leave_out_taken: bool
    """Whether drawn items that are in the user's history are left out of the list."""

    def __len__(self) -> int:
        """How many positives there are."""
        return len(self.positives.item)

    def blocks(self, generator: np.random.Generator) -> list[Int64]:
        """Blocks of one day each, in random order."""
        shuffled = generator.permutation(len(self))
        by_day = shuffled[np.argsort(self.positives.day[shuffled], kind="stable")]
        starts = np.flatnonzero(np.diff(self.positives.day[by_day])) + 1
        blocks = [
            day[first : first + BLOCK]
            for day in np.split(by_day, starts)
            for first in range(0, len(day), BLOCK)
        ]
        return [blocks[position] for position in generator.permutation(len(blocks))]

    def batch(self, chosen: Int64, generator: np.random.Generator) -> Batch:
        """The batch of the positives at `chosen`, with freshly drawn negatives."""
        part = self.positives.take(chosen)
        days, position = np.unique(part.day, return_inverse=True)
        pool, log_expected = self.proposal.draw(days, self.drawn, generator)
        listed = np.broadcast_to(np.arange(self.drawn), (len(chosen), self.drawn))
        if self.negatives < self.drawn:
            listed = generator.integers(0, self.drawn, (len(chosen), self.negatives))
        keys = np.concatenate(
            [item_key(days[:, None], pool).ravel(), item_key(part.day, part.item)]
        )
        distinct, inverse = np.unique(keys, return_inverse=True)
        first = inverse[pool.size :, None]
        negative = inverse[: pool.size].reshape(pool.shape)[position[:, None], listed]
        left_out = negative == first
        if self.leave_out_taken:
            left_out |= np.take_along_axis(_taken(distinct, part), negative, axis=1)
        expected = log_expected[position[:, None], listed] + np.log(listed.shape[1] / self.drawn)
        correction = np.zeros((len(chosen), 1 + negative.shape[1]), dtype=np.float32)
        correction[:, 1:] = np.where(left_out, -np.inf, -expected)
        return Batch(
            side_tensors(part.user, self.schema.user, self.schema.item.index.size),
            self._items(distinct),
            torch.from_numpy(np.concatenate([first, negative], axis=1)),
            context_tensor(part.context, self.schema),
            torch.ones(len(chosen)),
            torch.from_numpy(part.weight.astype(np.float32)),
            torch.from_numpy(correction),
            torch.from_numpy(part.replayed),
        )

    def _items(self, keys: Int64) -> SideTensors:
        """The items of (day, item) `keys`, as at the beginning of their day."""
        days, item = split_key(keys)
        side = self.reader.items(item, self.reader.starts_of(days), days)
        return side_tensors(side, self.schema.item, self.schema.item.index.size)


def _taken(keys: Int64, positives: PositiveEvents) -> NDArray[np.bool_]:
    """(B, M) whether each of the (day, item) `keys` is in the row's user's history."""
    taken = np.zeros((len(positives.item), len(keys)), dtype=np.bool_)
    history = item_key(positives.day[:, None], positives.user.history)
    at = np.minimum(np.searchsorted(keys, history), len(keys) - 1)
    row, place = np.nonzero(keys[at] == history)
    taken[row, at[row, place]] = True
    return taken


@dataclass(frozen=True)
class BatchStream:
    """Batches of `passes` passes over a source, each in its own order; an iterable for Lightning.

    Batches of a pass differ by at most one row in size. Each of `world` processes takes every
    `world`-th row of a batch, beginning with its `rank`: see `training.fitting.share`.
    """

    source: Source
    batch_size: int
    passes: int
    seed: int
    days: tuple[int, int]
    """First and last day of the examples, days since 1970."""
    unknown_masking: float = 0.0
    shuffled: bool = True
    first_step: int = 0
    rank: int = 0
    world: int = 1

    @property
    def steps_per_pass(self) -> int:
        """Batches of one pass."""
        return max(1, round(len(self.source) / self.batch_size)) if len(self.source) else 0

    def __len__(self) -> int:
        """Batches from `first_step` on."""
        return self.steps_per_pass * self.passes - self.first_step

    def __iter__(self) -> Iterator[Batch]:
        """The batches from `first_step` on."""
        order, ordered = np.empty(0, dtype=np.int64), -1
        for step in range(self.first_step, self.steps_per_pass * self.passes):
            if step // self.steps_per_pass != ordered:
                ordered = step // self.steps_per_pass
                order = self._order(ordered)
            yield self._batch(step, order)

    def batch(self, step: int) -> Batch:
        """The batch of `step`, whatever was asked for before."""
        return self._batch(step, self._order(step // self.steps_per_pass))

    def rows_of(self, step: int) -> Int64:
        """Positions in the source of the rows of `step`, of all processes."""
        return self._rows_of(step, self._order(step // self.steps_per_pass))

    def _rows_of(self, step: int, order: Int64) -> Int64:
        position = step % self.steps_per_pass
        bounds = np.linspace(0, len(order), self.steps_per_pass + 1).astype(np.int64)
        return order[bounds[position] : bounds[position + 1]]

    def _batch(self, step: int, order: Int64) -> Batch:
        # Each process draws for the whole batch: what is drawn does not depend on their number.
        generator = np.random.default_rng([self.seed, *self.days, _DRAWS, step, 0])
        batch = self.source.batch(self._rows_of(step, order), generator)
        return share_of(mask_ids(batch, self.unknown_masking, generator), self.rank, self.world)

    def _order(self, number: int) -> Int64:
        if not self.shuffled:
            return np.arange(len(self.source), dtype=np.int64)
        generator = np.random.default_rng([self.seed, *self.days, _ORDER, number])
        return np.concatenate(self.source.blocks(generator))
