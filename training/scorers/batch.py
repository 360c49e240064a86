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
from training.features.words import Words
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
    text: Tensor | None = None
    """(n, K) int64: `Side.text`."""
    words: Words | None = None
    """What `text` stands for."""


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
        None if side.text is None else torch.from_numpy(np.ascontiguousarray(side.text)),
        side.words,
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
    """`batch`, a random `share` of whose ids now read as unknown, so that row 0 is trained."""
    if share == 0:
        return batch
    maskable = [part for side in (batch.user, batch.item) for part in _ids_of(side)]
    maskable.append(batch.context[:, 2:].numpy())  # an hour and a weekday are always known
    ends = np.cumsum([ids.size for ids in maskable])
    hidden = _drawn(int(ends[-1]), share, generator)
    places = np.split(hidden, np.searchsorted(hidden, ends[:-1]))
    for ids, start, place in zip(maskable, [0, *ends], places, strict=False):
        cell = np.divmod(place - start, max(ids.shape[1], 1))
        ids[cell] = np.minimum(ids[cell], 0)  # padding is negative and stays
    return batch


def _ids_of(side: SideTensors) -> list[NDArray[np.int64]]:
    """The label-encoded fields of `side`, (n, columns) each, as views."""
    return [part.numpy() for part in (side.ids[:, None], side.categorical, *side.multi)]


def _drawn(n: int, share: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Which of `n` are drawn, each with probability `share`, by the gaps between them."""
    found = np.full(1, -1, dtype=np.int64)
    while found[-1] < n:
        gaps = generator.geometric(share, size=int(n * share + 4 * (n * share) ** 0.5) + 8)
        found = np.concatenate([found, found[-1] + np.cumsum(gaps)])
    return found[1 : np.searchsorted(found, n)]


def _ids(values: NDArray[np.int32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


def _floats(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
