"""Why an item stands where it stands: what each group of inputs adds to its score.

Groups are put in one after the other, in their order and in the opposite one, beginning with a user
and an item of whom nothing is known; a group's share is the mean of what it added both times. So
the shares sum to the score's difference from that beginning, exactly. That is the Shapley value by
sampling of permutations (Castro et al. 2009) with one antithetic pair (Mitchell et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .entities import PADDING, Entities, Floats, Ints, joined

GROUPS = ("profile", "history", "activity", "item", "popularity", "context")
_IDENTITY, _POPULARITY = GROUPS.index("item"), GROUPS.index("popularity")
HISTORY_TEXTS = 10
"""Of a user's texts the first ones, which are the last items'; the profile's words follow."""

Masks = NDArray[np.bool_]
Rank = Callable[[Entities, Entities, Ints, Ints], Floats]
"""Users, items, pairs and contexts -> logits: `graphs.rank` of one version."""


@dataclass(frozen=True)
class Beginning:
    """Of whom nothing is known: n = 1 each."""

    user: Entities
    item: Entities
    context: Ints
    """(1, X)."""


def masks() -> Masks:
    """(2 G, G) which groups are in: none, then one more at a time; the same from the other end."""
    count = len(GROUPS)
    forward = np.tri(count + 1, count, -1, dtype=np.bool_)
    backward = forward[1:count, ::-1]
    return np.concatenate([forward, backward])


def shares(scores: Floats) -> Floats:
    """(G, P) what each group adds, of scores (2 G, P) by `masks`."""
    count = len(GROUPS)
    forward = np.diff(scores[: count + 1], axis=0)
    from_the_end = np.concatenate([scores[:1], scores[count + 1 :], scores[[count]]])
    backward = np.diff(from_the_end, axis=0)[::-1]
    return np.asarray((forward + backward) / 2, dtype=np.float32)


def attributions(
    rank: Rank, user: Entities, items: Entities, context: Ints, beginning: Beginning
) -> Floats:
    """(G, P) what each group adds to the logit of each of `items`, for one user in one context."""
    which = masks()
    users = _users(user, which, beginning.user)
    variants = _items(items, beginning.item)
    # which of the four variants of each item a row of `which` asks for
    variant = which[:, _IDENTITY] * 2 + which[:, _POPULARITY]
    pair = variant[:, None] * len(items) + np.arange(len(items))[None]
    contexts = np.where(which[:, [GROUPS.index("context")]], context, beginning.context)
    return shares(rank(users, variants, pair, contexts))


def _users(user: Entities, which: Masks, nobody: Entities) -> Entities:
    """One variant of `user` per row of `which`."""
    profile, history, activity = (
        which[:, [GROUPS.index(name)]] for name in ("profile", "history", "activity")
    )
    of_history = np.arange(user.text.shape[1]) < HISTORY_TEXTS
    return Entities(
        # what a model learned of a user's own id, it learned from what the user did
        np.where(history[:, 0], user.index, nobody.index),
        np.where(profile, user.categorical, nobody.categorical),
        tuple(_either(profile, *lists) for lists in zip(user.multi, nobody.multi, strict=True)),
        np.where(activity, user.numeric, nobody.numeric),
        np.where(history, user.history, nobody.history),
        np.where(history, user.neighbours, nobody.neighbours),
        np.where(history[:, :, None], user.affinity, nobody.affinity),
        np.where(np.where(of_history, history, profile), user.text, nobody.text),
    )


def _either(mask: Masks, mine: Ints, other: Ints) -> Ints:
    """Lists of `mine` where `mask`, else of `other`; both (1, W) of any width."""
    width = max(mine.shape[1], other.shape[1])
    if mine.shape == other.shape:
        return np.where(mask, mine, other)
    wide = [
        np.pad(ids, ((0, 0), (0, width - ids.shape[1])), constant_values=PADDING)
        for ids in (mine, other)
    ]
    return np.where(mask, wide[0], wide[1])


def _items(items: Entities, nothing: Entities) -> Entities:
    """Each item four times: (identity, popularity) unknown or as they are, in binary order."""
    of_nothing = nothing.take(np.zeros(len(items), dtype=np.int64))
    with_popularity = replace(of_nothing, numeric=items.numeric)
    without = replace(items, numeric=of_nothing.numeric)
    return joined([of_nothing, with_popularity, without, items])
