"""How well yesterday's published lists, and popularity, foresaw what users took today.

What counts is a pair (user, item) of a positive event that happened on the day; late arrivals of
earlier days are left out, because the list of the day was not the one that those users saw. All
subjects are measured on the same pairs, and an item that nobody could have listed is a miss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EVERYBODY, RECOMMENDATIONS
from feature_store.vocabularies import words_on
from training.measures.popularity import popular_decayed, popular_in_window, window_popularity
from training.measures.positives import distinct_pairs, positions_in, positive_events, taken_by
from training.scoring.metrics import Bools, Ints, Metric
from training.scoring.rankings import (
    coverage,
    hit_rate_at_k,
    mean_reciprocal_rank,
    ndcg_at_k,
    novelty,
    recall_at_k,
)

AT = 10
"""Positions of a list that are looked at."""
MISSED = 0
"""Position of an item that is not in a list; real positions begin at 1."""


@dataclass(frozen=True)
class Pairs:
    """Distinct pairs, as positions in the ids that occur in them."""

    users: pa.Array
    items: pa.Array
    user: Ints
    """(n,) positions in `users`."""
    item: Ints
    """(n,) positions in `items`."""

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.user)

    def where(self, chosen: Bools) -> Pairs:
        """The pairs that `chosen` (n,) selects."""
        return replace(self, user=self.user[chosen], item=self.item[chosen])

    def without(self, taken: pa.Table) -> Pairs:
        """The pairs that are not among those of `taken` (user_id, item_id)."""
        span = len(self.items) + 1
        user = positions_in(taken.column("user_id"), self.users)
        item = positions_in(taken.column("item_id"), self.items)
        inside = (user >= 0) & (item >= 0)
        return self.where(~np.isin(self.user * span + self.item, (user * span + item)[inside]))

    def slices(self, words: pa.Table) -> dict[str, Bools]:
        """(n,) pairs whose user or item is new, and seen: has an id among `words`."""
        slices: dict[str, Bools] = {}
        for side, field, ids, of in (
            ("users", "user_id", self.users, self.user),
            ("items", "item_id", self.items, self.item),
        ):
            known = words.filter(pc.equal(words.column("field"), field)).column("value")
            seen = pc.is_in(ids, known.combine_chunks()).to_numpy(zero_copy_only=False)[of]
            slices |= {f"new_{side}": ~seen, f"seen_{side}": seen}
        return slices


def measure_lists(lake: Lake, ds: str) -> list[Metric]:
    """Recall, hit rate, nDCG, reciprocal rank at 10 of lists and popularity, on the day's pairs.

    The pairs are those that a list may hold: the ones that are new to the user or, where items may
    be recommended again, all of them. There a second set, named `_new`, is over the new ones. The
    first set comes also by slice, `_new_users` and so on: new is what had no id the evening before.
    """
    today = pairs_taken_on(lake, ds)
    if not len(today):
        return []
    taken = taken_by(lake, shift(ds, -1), today.users)
    new = today.without(taken)
    subjects = {
        "popularity_7d": popular_in_window(lake, ds),
        "popularity_decayed": popular_decayed(lake, ds),
    }
    if lake.dataset.recommend.exclude_taken:
        sets = [("", new, taken)]
    else:
        sets = [("", today, taken.slice(0, 0)), ("_new", new, taken)]
    metrics: list[Metric] = []
    words = words_on(lake, shift(ds, -1))
    for suffix, pairs, left_out in sets:
        positions = {"lists": list_positions(lake, ds, pairs)}
        for subject, items in subjects.items():
            positions[subject] = popular_positions(items, pairs, left_out)
        slices = {} if suffix else pairs.slices(words)
        for version, chosen in arm_of_pairs(lake, ds, pairs).items():
            mine, arm = positions["lists"], f"lists_v{version}"
            if mine is not None:
                metrics += list_metrics(arm, mine[chosen], pairs.where(chosen), suffix)
        for subject, found in positions.items():
            if found is not None:
                metrics += list_metrics(subject, found, pairs, suffix)
                for name, chosen in slices.items():
                    part = pairs.where(chosen)
                    metrics += list_metrics(subject, found[chosen], part, f"_{name}")
    return metrics


def list_positions(lake: Lake, ds: str, pairs: Pairs) -> Ints | None:
    """(n,) position of each pair's item in its user's list (MISSED = not in it).

    The lists are those of the last day before `ds` that has any; None where there is no such day.
    """
    lists = lists_before(lake, ds)
    if lists is None:
        return None
    owners = pc.unique(lists.column("user_id"))
    owner = positions_in(pairs.users, owners)
    owner = np.where(owner < 0, positions_in(pa.array([EVERYBODY]), owners), owner)[pairs.user]
    item = positions_in(lists.column("item_id"), pairs.items)
    key = positions_in(lists.column("user_id"), owners) * len(pairs.items) + item
    rank = lists.column("rank").to_numpy()
    key, rank = key[item >= 0], rank[item >= 0]
    return _looked_up(owner * len(pairs.items) + pairs.item, key, rank)


def arm_of_pairs(lake: Lake, ds: str, pairs: Pairs) -> dict[int, Bools]:
    """(n,) pairs of users with a list of their own, by the version that made it; {} for one alone.

    The lists are those of the last day before `ds` that has any.
    """
    lists = lists_before(lake, ds)
    if lists is None:
        return {}
    own = lists.filter(pc.not_equal(lists.column("user_id"), EVERYBODY))
    versions = pc.unique(own.column("model_version")).to_pylist()
    if len(versions) <= 1:
        return {}
    return {
        version: pc.is_in(
            pairs.users,
            own.filter(pc.equal(own.column("model_version"), version)).column("user_id"),
        ).to_numpy(zero_copy_only=False)[pairs.user]
        for version in sorted(versions)
    }


def measure_spread(lake: Lake, ds: str, catalogue: int) -> list[Metric]:
    """How much of the catalogue the lists of the evening before `ds` show, and how novel it is.

    Args:
        lake: holds the lists, and the positives of the last seven days before `ds`.
        ds: the day on which the lists were seen.
        catalogue: how many items could have been listed.
    """
    lists = lists_before(lake, ds)
    if lists is None:
        return []
    items = lists.filter(pc.not_equal(lists.column("user_id"), EVERYBODY)).column("item_id")
    if not len(items):
        return []
    known, weights = window_popularity(lake, ds)
    counts = np.append(weights, 0.0)[positions_in(items, known)]
    shown = positions_in(items, pc.unique(items))
    return [
        Metric("lists", "coverage", coverage(shown, catalogue), len(items)),
        Metric("lists", "novelty", novelty(counts, float(weights.sum())), len(items)),
    ]


def lists_before(lake: Lake, ds: str) -> pa.Table | None:
    """The lists of the last day before `ds` that has any, without scores; None without."""
    days = [day for day in lake.days(RECOMMENDATIONS) if day < ds]
    columns = ["user_id", "item_id", "rank", "model_version"]
    return lake.read(RECOMMENDATIONS, days[-1:], columns) if days else None


def popular_positions(popular: pa.Array, pairs: Pairs, taken: pa.Table) -> Ints:
    """(n,) position of each pair's item among `popular` less what its user took (MISSED = none).

    Args:
        popular: item ids in descending popularity.
        pairs: the pairs looked for.
        taken: user_id, item_id of what is left out.
    """
    place = positions_in(pairs.items, popular)[pairs.item]
    span = len(popular) + 1
    taken_place = positions_in(taken.column("item_id"), popular)
    taken_user = positions_in(taken.column("user_id"), pairs.users)
    ranked = (taken_place >= 0) & (taken_user >= 0)
    keys = np.sort(taken_user[ranked] * span + taken_place[ranked])
    ahead = np.searchsorted(keys, pairs.user * span + place) - np.searchsorted(
        keys, pairs.user * span
    )
    return np.where(place < 0, MISSED, place - ahead + 1)


def _looked_up(wanted: Ints, keys: Ints, values: Ints) -> Ints:
    """The value at each wanted key, 0 where there is none."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64)
    order = np.argsort(keys)
    at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    return np.where(keys[order][at] == wanted, values[order][at], 0).astype(np.int64)


def pairs_taken_on(lake: Lake, ds: str) -> Pairs:
    """What users took on `ds` itself."""
    events = positive_events(lake, [ds], ["user_id", "item_id", "event_ds"])
    today = events.filter(pc.greater_equal(events.column("event_ds").cast(pa.string()), ds))
    pairs = distinct_pairs(today)
    users, items = pc.unique(pairs.column("user_id")), pc.unique(pairs.column("item_id"))
    user = positions_in(pairs.column("user_id"), users)
    return Pairs(users, items, user, positions_in(pairs.column("item_id"), items))


def list_metrics(subject: str, positions: Ints, pairs: Pairs, suffix: str) -> list[Metric]:
    """Recall, hit rate, nDCG and reciprocal rank at 10 of `positions` (n,) of `pairs`."""
    if not len(pairs):
        return []
    relevant = np.bincount(pairs.user, minlength=len(pairs.users))
    hits = np.zeros((len(pairs.users), AT), dtype=np.bool_)
    found = (positions != MISSED) & (positions <= AT)
    hits[pairs.user[found], positions[found] - 1] = True
    users = int((relevant > 0).sum())
    values = {
        "recall_at_10": (recall_at_k(hits, relevant, AT), len(pairs)),
        "hit_rate_at_10": (hit_rate_at_k(hits, relevant, AT), users),
        "ndcg_at_10": (ndcg_at_k(hits, relevant, AT), users),
        "mrr_at_10": (mean_reciprocal_rank(hits, relevant), users),
    }
    return [Metric(subject, name + suffix, value, n) for name, (value, n) in values.items()]
