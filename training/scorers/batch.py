"""Ready batches: `Rows` as tensors, with ids that the scorer does not know read as 0.

Letters: B users in a batch, M items in a batch, P items per user (1, or 1 + negatives), C, W, S, L,
X as in `training.features.rows`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.features.neighbours import AFFINITIES
from training.features.rows import Rows, Side
from training.scorers.schema import Schema, SideSchema, clip


class SideTensors(NamedTuple):
    """A `Side` as tensors."""

    ids: Tensor
    """(n,) int64: `Side.index`."""
    categorical: Tensor
    """(n, C) int64."""
    multi: tuple[Tensor, ...]
    """One (n, W) int64 per multi attribute; -1 = padding."""
    numeric: Tensor
    """(n, S) float32."""
    history: Tensor
    """(n, L) int64 item ids, newest first; 0 = padding or unknown."""
    neighbours: Tensor
    """(n, R) int64 item ids; 0 = padding or unknown. R = 0 where there are none."""
    affinity: Tensor
    """(n, R, F) float32."""


class Batch(NamedTuple):
    """B users, each with P of the batch's M items."""

    user: SideTensors
    item: SideTensors
    pair: Tensor
    """(B, P) int64 positions in `item`; the labelled item first."""
    context: Tensor
    """(B, X) int64."""
    label: Tensor
    """(B,) float32, of the first item."""
    weight: Tensor
    """(B,) float32."""
    correction: Tensor
    """(B, P) float32, added to the logits before a softmax over P; -inf = left out."""
    replayed: Tensor | None = None
    """(B,) bool: of a day that was trained before; None = no row is."""


def side_tensors(side: Side, schema: SideSchema, items: int) -> SideTensors:
    """`side` as tensors; ids at or above the schema's sizes (`items` for histories) become 0."""
    categorical = side.categorical
    if schema.categorical:
        sizes = np.array([f.size for f in schema.categorical])
        categorical = clip(side.categorical, sizes)
    neighbours, affinity = side.neighbours, side.affinity
    if neighbours is None or affinity is None:
        neighbours = np.zeros((len(side), 0), dtype=np.int32)
        affinity = np.zeros((len(side), 0, len(AFFINITIES)), dtype=np.float32)
    return SideTensors(
        _ids(clip(side.index, schema.index.size)),
        _ids(categorical),
        tuple(_ids(clip(v, f.size)) for v, f in zip(side.multi, schema.multi, strict=True)),
        torch.from_numpy(np.ascontiguousarray(side.numeric, dtype=np.float32)),
        _ids(clip(side.history, items)),
        _ids(clip(neighbours, items)),
        torch.from_numpy(np.ascontiguousarray(affinity, dtype=np.float32)),
    )


def context_tensor(context: NDArray[np.int32], schema: Schema) -> Tensor:
    """(n, X) context ids; unknown ones are 0."""
    return _ids(clip(context, np.array([f.size for f in schema.context])))


def batch_of_rows(
    rows: Rows,
    schema: Schema,
    label: NDArray[np.float64] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> Batch:
    """Aligned pairs as a batch with P = 1."""
    items = schema.item.index.size
    return Batch(
        side_tensors(rows.user, schema.user, items),
        side_tensors(rows.item, schema.item, items),
        torch.arange(len(rows))[:, None],
        context_tensor(rows.context, schema),
        _floats(np.zeros(len(rows)) if label is None else label),
        _floats(np.ones(len(rows)) if weight is None else weight),
        torch.zeros(len(rows), 1),
    )


def batch_of_lists(
    users: Side, items: Side, listed: NDArray[np.int64], context: NDArray[np.int32], schema: Schema
) -> Batch:
    """Each of `users` with the items at its row of positions `listed` (B, P), in its context."""
    distinct, pair = np.unique(listed, return_inverse=True)
    known = schema.item.index.size
    return Batch(
        side_tensors(users, schema.user, known),
        side_tensors(items.take(distinct), schema.item, known),
        torch.from_numpy(pair.reshape(listed.shape)),
        context_tensor(context, schema),
        torch.zeros(len(users)),
        torch.ones(len(users)),
        torch.zeros(listed.shape),
    )


def mask_ids(batch: Batch, share: float, generator: np.random.Generator) -> Batch:
    """`batch` with a random `share` of its ids read as unknown, so that row 0 is trained."""
    if share == 0:
        return batch

    def masked(ids: Tensor) -> Tensor:
        hidden = torch.from_numpy(generator.random(tuple(ids.shape), dtype=np.float32) < share)
        return ids.masked_fill(hidden & (ids > 0), 0)

    def masked_side(side: SideTensors) -> SideTensors:
        return side._replace(
            ids=masked(side.ids),
            categorical=masked(side.categorical),
            multi=tuple(masked(values) for values in side.multi),
        )

    context = batch.context.clone()
    context[:, 2:] = masked(context[:, 2:])  # an hour and a weekday are always known
    user, item = masked_side(batch.user), masked_side(batch.item)
    return batch._replace(user=user, item=item, context=context)


def _ids(values: NDArray[np.int32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


def _floats(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
