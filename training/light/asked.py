"""From a checked request to what a ranker is asked: one user, items, a context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .entities import MISSING, UNKNOWN, Entities, Ints, described, joined
from .graphs import Texts
from .known import Known
from .request import Attribute, Candidate, Request


@dataclass(frozen=True)
class Asked:
    """One request as arrays; P items."""

    user: Entities
    """n = 1."""
    items: Entities
    names: list[str]
    known: NDArray[np.bool_]
    """(P,) whether anything is known of the item."""
    context: Ints
    """(1, X)."""
    texts: Texts | None
    """Where the ranker reads them."""

    def take(self, places: Ints) -> Asked:
        """The items at `places`, in that order."""
        names = [self.names[place] for place in places]
        return replace(self, items=self.items.take(places), names=names, known=self.known[places])


def user_of(known: Known, wanted: Request) -> Entities:
    """Who asks: as the version knows them, or as the request describes them."""
    row = known.user_row.get(wanted.user_id or "", 0)
    profile = wanted.profile
    user = described(
        known.users.take([row]),
        known.declared.user,
        profile,
        known.words,
        "user",
        missing=not row and bool(profile),
    )
    if wanted.history is not None:
        user = _with_history(known, user, wanted.history)
    if profile and user.text.shape[1]:
        user = replace(user, text=_with_profile_text(known, user))
    return user


def context_of(known: Known, given: Mapping[str, Any]) -> Ints:
    """(1, X): hour, weekday, the declared fields; noon of the next day where nothing is said."""
    row = [given.get("hour", known.about["hour"]), given.get("weekday", known.about["weekday"])]
    for name in known.declared.context:
        value = given.get(name)
        row.append(known.words.get(f"context.{name}", {}).get(value, UNKNOWN) if value else MISSING)
    return np.array([row], dtype=np.int64)


def catalogue_rows(
    known: Known, user: Entities, rows: Ints, context: Ints, texts: Texts | None
) -> Asked:
    """Items of the catalogue for one user."""
    names = [known.item_ids[row] for row in rows]
    everything = np.ones(len(rows), dtype=np.bool_)
    return Asked(user, known.items.take(rows), names, everything, context, texts)


def candidates_of(
    known: Known,
    user: Entities,
    wanted: Sequence[Candidate],
    context: Ints,
    texts: Texts | None,
) -> Asked:
    """The request's own candidates for one user; those that are new by their attributes."""
    rows = np.array([known.item_row.get(c.item_id, 0) for c in wanted], dtype=np.int64)
    items = known.items.take(rows)
    new: dict[int, Entities] = {}
    for place, candidate in enumerate(wanted):
        if rows[place] or candidate.attributes is None:
            continue
        item = items.take([place])
        given, declared = candidate.attributes, known.declared.item
        item = described(item, declared, given, known.words, "item", missing=True)
        alike = _alike(known, item) if texts is not None else None
        if texts is not None and alike is not None:
            texts, at = texts.mean_of(known.items.text[alike, 0])
            item = replace(item, text=np.array([[at]]))
        new[place] = item
    if new:
        moved = {place: len(rows) + number for number, place in enumerate(new)}
        order = [moved.get(place, place) for place in range(len(rows))]
        items = joined([items, *new.values()]).take(order)
    anything = rows > 0
    anything[list(new)] = True
    return Asked(user, items, [c.item_id for c in wanted], anything, context, texts)


def _with_history(known: Known, user: Entities, names: Sequence[str]) -> Entities:
    rows = [known.item_row[name] for name in names if name in known.item_row]
    history, text = np.zeros_like(user.history), user.text.copy()
    newest = rows[: history.shape[1]]
    history[0, : len(newest)] = known.items.index[newest]
    if text.shape[1]:
        places = known.about["history_texts"]
        text[0, :places] = 0
        text[0, : len(newest[:places])] = known.items.text[newest[:places], 0]
    # what goes together with another history than the user's own is not known here
    neighbours, affinity = np.zeros_like(user.neighbours), np.zeros_like(user.affinity)
    return replace(user, history=history, text=text, neighbours=neighbours, affinity=affinity)


def _with_profile_text(known: Known, user: Entities) -> Ints:
    """`user.text` with the rows of the profile's words, value by value."""
    text, start = user.text.copy(), known.about["history_texts"]
    rows: list[int] = []
    for attribute, ids in _values(known.declared.user, user):
        words = known.about["profile_texts"].get(attribute.name, {})
        rows += [words.get(str(number), 0) for number in ids]
    text[0, start:] = 0
    kept = rows[: text.shape[1] - start]
    text[0, start : start + len(kept)] = kept
    return text


def _values(attributes: Sequence[Attribute], entity: Entities) -> list[tuple[Attribute, Ints]]:
    """Each attribute with its ids."""
    single, several = iter(entity.categorical[0]), iter(entity.multi)
    return [
        (a, next(several)[0] if a.kind == "multi" else np.array([next(single)])) for a in attributes
    ]


def _alike(known: Known, item: Entities) -> Ints | None:
    """Catalogue rows that share most of `item`'s attribute values; None = none shares one."""
    real = (item.categorical[0] > MISSING).astype(np.int64)
    same = (known.items.categorical == item.categorical[0]) @ real
    for mine, theirs in zip(item.multi, known.items.multi, strict=True):
        same = same + np.isin(theirs, mine[0][mine[0] > MISSING]).sum(axis=1)
    same[0] = 0
    most = int(same.max(initial=0))
    return np.flatnonzero(same == most) if most else None
