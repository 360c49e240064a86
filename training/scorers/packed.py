"""A wide table of users, or items, from which batches gather rows by position.

Examples are narrow: a position here, one there, a context, a label. What many of them share (a user
on a day, an item on a day) is held once, its ids in one array of 32 bits: a batch costs one gather
of ids, one of numbers and one of histories per side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.features.neighbours import AFFINITIES
from training.features.rows import Side
from training.features.words import Words
from training.scorers.batch import SideTensors, side_tensors
from training.scorers.schema import SideSchema


@dataclass(frozen=True)
class PackedSide:
    """A `Side` without neighbours; letters as in `training.features.rows`."""

    ids: Tensor
    """(n, 1 + C + all W_f) int32: index, categorical ids, lists."""
    widths: tuple[int, ...]
    """Columns of `ids`: 1, C, then the width of each list."""
    history: Tensor
    """(n, L) int32."""
    numeric: Tensor
    """(n, S) float32."""
    text: Tensor | None = None
    """(n, K) int64, as `SideTensors.text`."""
    words: Words | None = None

    @staticmethod
    def of(side: Side, schema: SideSchema, items: int) -> PackedSide:
        """`side` packed; ids at or above the schema's sizes (`items` for histories) become 0."""
        tensors = side_tensors(side, schema, items)
        parts = (tensors.ids[:, None], tensors.categorical, *tensors.multi)
        return PackedSide(
            torch.cat(parts, dim=1).int(),
            tuple(part.shape[1] for part in parts),
            tensors.history.int(),
            tensors.numeric,
            tensors.text,
            tensors.words,
        )

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.ids)

    def take(self, rows: Tensor) -> SideTensors:
        """The rows at positions `rows` (n,) int64."""
        index, categorical, *multi = torch.split(
            self.ids.index_select(0, rows).long(), list(self.widths), dim=1
        )
        return SideTensors(
            index[:, 0],
            categorical,
            tuple(multi),
            self.numeric.index_select(0, rows),
            self.history.index_select(0, rows).long(),
            torch.zeros(len(rows), 0, dtype=torch.int64),
            torch.zeros(len(rows), 0, len(AFFINITIES)),
            None if self.text is None else self.text.index_select(0, rows),
            self.words,
        )
