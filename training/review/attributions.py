"""What each input field adds to a candidate's logits: Shapley values, by Captum.

A field that is left out reads as in a row of which nothing is known: ids unknown, lists empty, no
history and no text, numbers at the sample's mean, the commonest moment. Captum's
`ShapleyValueSampling` (Castro et al. 2009) puts the fields in, one after the other, in random
orders; so what the fields add sums, for each row, to its logit less that of the empty row. Beside
ids that were learned together the shares between fields are estimates, of PERMUTATIONS orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from training.features.rows import PADDING, Rows, Side
from training.features.words import NO_TEXT
from training.scorers.schema import Schema, SideSchema
from training.scorers.trained import TrainedScorer
from training.scoring.metrics import Bools, Floats, Ints

ROWS = 256
"""Rows of the sample, at most."""
PERMUTATIONS = 2
"""Orders in which the fields are put in: each costs a forward pass of the sample per field."""


@dataclass(frozen=True)
class Attributions:
    """What each field adds to each row's logit."""

    fields: tuple[str, ...]
    added: Floats
    """(n, F)."""
    start: Floats
    """(n,) the logit of the row without any field."""
    rows: Ints
    """(n,) positions of the sample's rows."""

    def by_field(self) -> list[tuple[str, float, float]]:
        """Field, mean of what it adds without its sign, and with it; what adds most first."""
        size, signed = np.abs(self.added).mean(axis=0), self.added.mean(axis=0)
        order = np.argsort(-size, kind="stable")
        return [(self.fields[i], float(size[i]), float(signed[i])) for i in order]


def attribute(scorer: TrainedScorer, rows: Rows, seed: int) -> Attributions:
    """The attributions of a sample of `rows`, the same for the same seed.

    Args:
        scorer: the model.
        rows: what it was tested on, n > 0; with texts where it reads them.
        seed: of the sample and of the orders.
    """
    import torch
    from captum.attr import ShapleyValueSampling

    drawn = np.sort(np.random.default_rng(seed).permutation(len(rows))[:ROWS])
    sample = rows.take(drawn)
    empty, names = _empty(sample), tuple(field_names(scorer.schema, sample))

    def logits(mask: Any) -> Any:
        chosen = _with_fields(sample, empty, mask.numpy() > 0)
        return torch.from_numpy(scorer.logits(chosen))

    everything = torch.ones(len(sample), len(names), dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        added = ShapleyValueSampling(logits).attribute(everything, n_samples=PERMUTATIONS)
    return Attributions(names, added.numpy(), scorer.logits(empty), drawn)


def field_names(schema: Schema, rows: Rows) -> Iterator[str]:
    """The fields in the order in which they are told apart: that of the declaration."""
    yield from _names_of(schema.user, rows.user, "user")
    yield from _names_of(schema.item, rows.item, "item")
    yield from (field.name.removeprefix("context.") for field in schema.context)


def _names_of(schema: SideSchema, side: Side, which: str) -> Iterator[str]:
    yield f"{which} id"
    for name in (*(f.name for f in (*schema.categorical, *schema.multi)), *schema.numeric):
        yield f"{which} {name.removeprefix(f'{which}.').replace('_', ' ')}"
    if side.history.shape[1]:
        yield f"{which} history"
    if side.text is not None:
        yield f"{which} text"


def _empty(rows: Rows) -> Rows:
    """As many rows of which nothing is known."""
    context = np.empty_like(rows.context)
    for position, values in enumerate(rows.context.T):
        context[:, position] = np.bincount(values).argmax()
    return Rows(_nothing(rows.user), _nothing(rows.item), context)


def _nothing(side: Side) -> Side:
    return Side(
        np.zeros_like(side.index),
        np.zeros_like(side.categorical),
        tuple(np.full_like(values, PADDING) for values in side.multi),
        np.repeat(side.numeric.mean(axis=0, keepdims=True), len(side), axis=0),
        np.zeros_like(side.history),
        None if side.neighbours is None else np.zeros_like(side.neighbours),
        None if side.affinity is None else np.zeros_like(side.affinity),
        None if side.text is None else np.full_like(side.text, NO_TEXT),
        side.words,
    )


def _with_fields(rows: Rows, empty: Rows, there: Bools) -> Rows:
    """`rows` where `there` (n, F) is set, `empty` elsewhere."""
    columns = iter(there.T[:, :, None])
    user = _side_with(rows.user, empty.user, columns)
    item = _side_with(rows.item, empty.item, columns)
    context = np.where(_next(columns, rows.context.shape[1]), rows.context, empty.context)
    return Rows(user, item, context)


def _side_with(side: Side, empty: Side, columns: Iterator[Any]) -> Side:
    """The order of the columns is that of `_names_of`."""
    chosen = replace(
        empty,
        index=np.where(next(columns)[:, 0], side.index, empty.index),
        categorical=np.where(
            _next(columns, side.categorical.shape[1]), side.categorical, empty.categorical
        ),
        multi=tuple(
            np.where(next(columns), mine, other)
            for mine, other in zip(side.multi, empty.multi, strict=True)
        ),
        numeric=np.where(_next(columns, side.numeric.shape[1]), side.numeric, empty.numeric),
    )
    if side.history.shape[1]:
        there = next(columns)
        chosen = replace(
            chosen,
            history=np.where(there, side.history, 0),
            neighbours=None if side.neighbours is None else np.where(there, side.neighbours, 0),
            affinity=None if side.affinity is None else side.affinity * there[:, :, None],
        )
    if side.text is not None:
        chosen = replace(chosen, text=np.where(next(columns), side.text, NO_TEXT))
    return chosen


def _next(columns: Iterator[Any], count: int) -> Bools:
    """The next `count` columns beside each other, (n, count)."""
    taken = [next(columns) for _ in range(count)]
    return np.concatenate(taken, axis=1) if taken else np.zeros((1, 0), dtype=np.bool_)
