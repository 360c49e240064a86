"""Why an item stands in a published list: the same groups, shares and words as the light client's.

See `training.light.reasons` for the shares. Here the entries of many users are explained at once,
by the scorer that ranked them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.features.reader import ITEM_NUMERIC
from training.features.rows import Float32, Int32, Rows, Side
from training.light.reasons import GROUPS, HISTORY_TEXTS, masks, shares
from training.light.told import RISING, TAKEN, TELLING, told
from training.scorers.trained import TrainedScorer
from training.scoring.metrics import Bools, Ints

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Shelf:
    """The items that lists are made of."""

    ids: Int32
    """(I,) vocabulary ids, ascending."""
    names: list[str]
    """(I,) the log's ids."""
    side: Side
    vectors: Float32
    """(I, D) of the retriever, without biases: what makes two items alike."""
    nobody: Side
    """n = 1, a user of whom nothing is known."""
    nothing: Side
    """n = 1, an item of which nothing is known."""


def reasons_of(ranker: TrainedScorer, rows: Rows, item: Ints, shelf: Shelf) -> list[str]:
    """(n,) a reason in words for each pair.

    Args:
        ranker: what ranked them.
        rows: the pairs; users with their histories.
        item: (n,) the pairs' items, positions in `shelf`.
        shelf: the items.
    """
    found: list[str] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        found += _reasons(ranker, rows.take(part), item[part], shelf)
    return found


def group_shares(ranker: TrainedScorer, rows: Rows, shelf: Shelf) -> Float32:
    """(G, n) what each group of inputs adds to the logits of `rows`.

    The beginning is nobody, and an item of which nothing is known but the catalogue's mean
    popularity, at the moment of the rows.
    """
    mean = shelf.side.numeric.mean(axis=0, keepdims=True).astype(np.float32)
    first = np.zeros(len(rows), dtype=np.int64)
    nobody = shelf.nobody.take(first)
    average = replace(shelf.nothing, numeric=mean).take(first)
    scores = [
        ranker.logits(_with_groups(rows, Rows(nobody, average, rows.context), which))
        for which in masks()
    ]
    return shares(np.stack(scores).astype(np.float32))


def _reasons(ranker: TrainedScorer, rows: Rows, item: Ints, shelf: Shelf) -> list[str]:
    telling = group_shares(ranker, rows, shelf)[[GROUPS.index(name) for name in TELLING]]
    # what a model keeps of a user's own id is nothing that can be named to whom took nothing
    telling[TELLING.index("history"), ~(rows.user.history > 0).any(axis=1)] = 0
    # to be less popular than the mean may add to a score; what nobody took is not popular
    untaken = rows.item.numeric[:, ITEM_NUMERIC.index(TAKEN)] <= 0
    telling[TELLING.index("popularity"), untaken] = 0
    which, most = telling.argmax(axis=0), telling.max(axis=0)
    rising = rows.item.numeric[:, ITEM_NUMERIC.index(RISING)] > 0
    groups = [TELLING[one] if value > 0 else "" for one, value in zip(which, most, strict=True)]
    by_history = np.array([group == "history" for group in groups], dtype=np.bool_)
    likest = np.full(len(rows), -1)
    likest[by_history] = _likest(rows.user.history[by_history], item[by_history], shelf)
    before = (rows.user.history == rows.item.index[:, None]).any(axis=1)
    return [
        told(
            group, rising=bool(up), taken=shelf.names[like] if like >= 0 else None, again=bool(own)
        )
        for group, up, like, own in zip(groups, rising, likest, before, strict=True)
    ]


def _likest(history: Int32, item: Ints, shelf: Shelf) -> Ints:
    """(n,) the item of each history that is likest to `item`, a position; -1 = none is known."""
    place = np.searchsorted(shelf.ids, history).clip(max=max(len(shelf.ids) - 1, 0))
    known = (shelf.ids[place] == history) & (history > 0)
    length = np.linalg.norm(shelf.vectors, axis=1) + 1e-9
    directions = shelf.vectors / length[:, None]
    # cosines differ by the item's own length alone, which is the same for a whole row
    likeness = np.einsum("nld,nd->nl", directions[place], directions[item])
    best = np.where(known, likeness, -np.inf).argmax(axis=1)
    found = np.take_along_axis(place, best[:, None], axis=1)[:, 0]
    return np.where(known.any(axis=1), found, -1)


def _with_groups(rows: Rows, empty: Rows, which: Bools) -> Rows:
    """`rows` in the groups that `which` (G,) sets, `empty` in the others."""
    there = dict(zip(GROUPS, which.tolist(), strict=True))
    profile, history = (rows.user if there[g] else empty.user for g in ("profile", "history"))
    activity = rows.user if there["activity"] else empty.user
    text = None
    if profile.text is not None and history.text is not None:
        text = np.concatenate(
            [history.text[:, :HISTORY_TEXTS], profile.text[:, HISTORY_TEXTS:]], axis=1
        )
    # what a model learned of a user's own id, it learned from what the user did
    user = replace(
        history,
        categorical=profile.categorical,
        multi=profile.multi,
        numeric=activity.numeric,
        text=text,
    )
    numbers = rows.item if there["popularity"] else empty.item
    item = replace(rows.item if there["item"] else empty.item, numeric=numbers.numeric)
    return Rows(user, item, rows.context)
