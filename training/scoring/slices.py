"""The rows of a day whose user or item is new, and those whose user or item was seen before."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from training.scorers.schema import Schema
from training.scoring.metrics import Bools


def new_and_seen(examples: pa.Table, known: Schema) -> dict[str, Bools]:
    """(n,) rows of each slice of `examples`, by its name.

    New is what `known`, the schema of the evening before, has no id for; ids are append-only, so
    that an id's size says when it was born. 0 is what waits for its id, or has none any more.

    Args:
        examples: columns user_index and item_index.
        known: the inputs known before the day began.
    """
    slices = {}
    for side, column, size in (
        ("users", "user_index", known.user.index.size),
        ("items", "item_index", known.item.index.size),
    ):
        ids = examples.column(column).to_numpy()
        new = (ids == 0) | (ids >= size)
        slices[f"new_{side}"] = np.asarray(new)
        slices[f"seen_{side}"] = np.asarray(~new)
    return slices
