"""Pairs of a user and an item that nobody labelled: a teacher can be asked about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.features.rows import concatenate_sides
from training.fitting.examples import Catalogue, Examples
from training.fitting.negatives import Proposal


def with_drawn_pairs(examples: Examples, number: int, seed: int) -> Examples:
    """`examples` preceded by `number` drawn pairs for each of them, marked as replayed.

    A drawn pair is a row's user, time and context with an item that was in the catalogue when the
    row's day began, described as it was then; three of four are drawn by popularity
    (`training.fitting.negatives`). Its label says nothing. Rows whose own item was not known when
    their day began get none.

    Args:
        examples: labelled, each with one item.
        number: drawn pairs per row.
        seed: of the draws.
    """
    if not number or not isinstance(examples.items, Catalogue):
        return examples
    proposal = Proposal(examples.reader, np.unique(examples.day))
    rows = np.flatnonzero(proposal.contains(examples.item, examples.day))
    if not len(rows):
        return examples
    day = examples.day[rows]
    item = proposal.draw(day, number, np.random.default_rng(seed))[0].ravel()
    rows, day = np.repeat(rows, number), np.repeat(day, number)
    described, at = examples.reader.distinct_items(item, examples.reader.starts_of(day), day)
    known = examples.items

    def before(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[rows], values])

    return replace(
        examples,
        user=before(examples.user),
        context=before(examples.context),
        item=np.concatenate([item, examples.item]),
        items=Catalogue(
            concatenate_sides([known.items, described]),
            np.concatenate([at + len(known.items), known.item]),
        ),
        day=before(examples.day),
        label=before(examples.label),
        weight=before(examples.weight),
        replayed=np.arange(len(rows) + len(examples)) < len(rows),
    )
