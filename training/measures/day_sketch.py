"""The day's scores as sketch rows, for all examples and for the slices that people ask about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from conf.dataset import DatasetConfig
from training.features.rows import Rows, concatenate_sides
from training.measures.sketch import sketch_rows, value_slices
from training.scoring.catalogue_ranks import positives_by_day
from training.scoring.day_scores import DayScores, finite_logits
from training.scoring.metrics import Bools, Ints

if TYPE_CHECKING:
    from training.features.reader import FeatureReader
    from training.scoring.composite import Composite

NEGATIVES_PER_POSITIVE = 10
"""Drawn for the sketch where the log has no impressions."""
_CONTEXT_FIELDS_OF_ALL = 2
"""Hour and weekday come first in a context and are no slices."""


def day_sketch(
    composite: Composite,
    reader: FeatureReader,
    examples: pa.Table,
    rows: Rows,
    said: DayScores,
    dataset: DatasetConfig,
    seed: list[int],
) -> pa.Table:
    """Rows of table `sketches`, without `ds`, of the ranker's scores.

    Where labels are `sampled`, drawn negatives are counted beside the positives, with label 0; they
    are a pure function of `seed` and the examples.
    """
    logits, labels = said.logits, examples.column("label").to_numpy()
    of = np.arange(len(labels))
    if dataset.labels.kind == "sampled":
        negatives, positives = drawn_negatives(reader, examples, rows, seed)
        logits = np.concatenate([logits, finite_logits(composite.ranker, negatives)])
        labels = np.concatenate([labels, np.zeros(len(positives))])
        of = np.concatenate([of, positives])
    slices = {name: mask[of] for name, mask in slices_of(rows, dataset).items()}
    return sketch_rows(composite.version, logits, labels, slices)


def slices_of(rows: Rows, dataset: DatasetConfig) -> dict[str, Bools]:
    """Masks by slice name: users with and without a history, and each context field's values."""
    without_history = (rows.user.history == 0).all(axis=1)
    slices = {"history=none": without_history, "history=some": ~without_history}
    for position, field in enumerate(dataset.context):
        values = rows.context[:, _CONTEXT_FIELDS_OF_ALL + position]
        slices |= value_slices(f"ctx_{field}", values)
    return slices


def drawn_negatives(
    reader: FeatureReader, examples: pa.Table, rows: Rows, seed: list[int]
) -> tuple[Rows, Ints]:
    """NEGATIVES_PER_POSITIVE rows per positive, and the position of the example each belongs to.

    Items are drawn evenly from the catalogue of the positive's day, less the positive itself; they
    take over its user and context.
    """
    random = np.random.default_rng(seed)
    positions, items = [np.empty(0, dtype=np.int64)], [rows.item.take(slice(0, 0))]
    for day in positives_by_day(reader, examples):
        position = np.repeat(day.row, NEGATIVES_PER_POSITIVE)
        place = np.repeat(day.place, NEGATIVES_PER_POSITIVE)
        others = len(day.catalogue) - (place >= 0)
        position, place, others = (values[others > 0] for values in (position, place, others))
        drawn = random.integers(0, others)
        drawn += (place >= 0) & (drawn >= place)
        at = np.full(len(position), reader.start_of(day.day))
        items.append(reader.items(day.catalogue[drawn], at, np.full(len(position), day.day)))
        positions.append(position)
    of = np.concatenate(positions)
    positive = rows.take(of)
    return Rows(positive.user, concatenate_sides(items), positive.context), of
