"""From scored candidates to lists: exclude, keep the positive, prune, top up, cut. Pure NumPy.

Letters: U users of a chunk, I items of the catalogue, n entries. Users and items are positions in
the chunk and in the catalogue (ascending by item_index), so that a tie in score goes to the lower
item_index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.scoring.metrics import Bools, Floats, Ints

MISSING_CATEGORY = 1


@dataclass(frozen=True)
class Entries:
    """Candidates for lists, in order of preference within each user."""

    user: Ints
    """(n,) positions in the chunk's users."""
    item: Ints
    """(n,) positions in the catalogue."""
    score: Floats
    """(n,) logits; NaN where popularity proposed the item."""
    reason: tuple[str, ...] = ()
    """(n,) why each of them is there, in words; () = not told."""

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self.user)

    def take(self, rows: Bools | Ints) -> Entries:
        """The entries that `rows` selects, in its order."""
        told = np.array(self.reason, dtype=object)[rows] if self.reason else ()
        return Entries(self.user[rows], self.item[rows], self.score[rows], tuple(told))


def joined(parts: Sequence[Entries]) -> Entries:
    """The entries of `parts`, one after the other."""
    return Entries(
        np.concatenate([part.user for part in parts]),
        np.concatenate([part.item for part in parts]),
        np.concatenate([part.score for part in parts]),
        tuple(reason for part in parts for reason in part.reason),
    )


@dataclass(frozen=True)
class ListRules:
    """What a list must respect."""

    top_n: int
    """Items in a list."""
    category: Ints | None
    """(I,) category of each item (0 and 1 = none, never capped); None = no cap."""
    category_cap: int
    """At most this many items of one category in a list."""


def top_k(scores: npt.NDArray[np.float32], k: int) -> Ints:
    """(U, min(k, I)) columns of the best scores of each row, best first; ties: the lower column.

    Args:
        scores: (U, I) without NaN.
        k: how many.
    """
    k = min(k, scores.shape[1])
    if not k:
        return np.empty((len(scores), 0), dtype=np.int64)
    losses = -scores
    worst = np.partition(losses, k - 1, axis=1)[:, k - 1 : k]
    # Which of several equal scores a partition keeps is chance: take all, then order them.
    row, column = np.nonzero(losses <= worst)
    order = np.lexsort((column, losses[row, column], row))
    row, column = row[order], column[order]
    return column[occurrence(row) < k].reshape(len(scores), k)


def by_score(entries: Entries) -> Entries:
    """`entries` by user, then score descending, then item ascending."""
    return entries.take(np.lexsort((entries.item, -entries.score, entries.user)))


def lists_of(
    ranked: Entries, taken: Ints, popular: Ints, users: int, items: int, rules: ListRules
) -> Entries:
    """The lists: at most `top_n` entries for each of `users`, by user, best first.

    A list holds the ranked entries that pass the rules, then popular items that pass them. It is
    shorter than `top_n` only where all items together do not suffice.

    Args:
        ranked: entries of the model in any order.
        taken: keys `user * items + item` of pairs that no list may hold.
        popular: item positions in descending popularity.
        users: how many users there are.
        items: size of the catalogue.
        rules: what a list must respect.
    """
    own = _cut(_allowed(by_score(ranked), taken, items), items, rules)
    lists, depth = own, 2 * rules.top_n
    while True:
        short = np.bincount(lists.user, minlength=users) < rules.top_n
        if not short.any() or depth == 0:
            return lists
        offered = _offer(np.flatnonzero(short), popular[:depth])
        longer = _joined(own.take(short[own.user]), _allowed(offered, taken, items))
        lists = _joined(lists.take(~short[lists.user]), _cut(longer, items, rules))
        depth = 0 if depth >= len(popular) else depth * 4


def _allowed(entries: Entries, taken: Ints, items: int) -> Entries:
    return entries.take(~np.isin(entries.user * items + entries.item, taken))


def _offer(users: Ints, popular: Ints) -> Entries:
    pairs = len(users) * len(popular)
    return Entries(
        np.repeat(users, len(popular)), np.tile(popular, len(users)), np.full(pairs, np.nan)
    )


def _joined(first: Entries, then: Entries) -> Entries:
    both = Entries(
        np.concatenate([first.user, then.user]),
        np.concatenate([first.item, then.item]),
        np.concatenate([first.score, then.score]),
    )
    return both.take(np.argsort(both.user, kind="stable"))


def _cut(entries: Entries, items: int, rules: ListRules) -> Entries:
    """Entries without repeats, at most `category_cap` of a category, at most `top_n` of a user."""
    entries = entries.take(occurrence(entries.user * items + entries.item) == 0)
    if rules.category is not None:
        category = rules.category[entries.item]
        span = int(rules.category.max(initial=0)) + 1
        before = occurrence(entries.user * span + category)
        entries = entries.take((before < rules.category_cap) | (category <= MISSING_CATEGORY))
    return entries.take(occurrence(entries.user) < rules.top_n)


def occurrence(keys: Ints) -> Ints:
    """(n,) how often each key stood at an earlier position."""
    order = np.argsort(keys, kind="stable")
    new = np.ones(len(keys), dtype=np.bool_)
    new[1:] = keys[order][1:] != keys[order][:-1]
    starts = np.flatnonzero(new)
    counted = np.empty(len(keys), dtype=np.int64)
    lengths = np.diff(np.append(starts, len(keys)))
    counted[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return counted
