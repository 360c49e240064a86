"""The lists that go out: recall, rank, keep the positive, prune, top up, cut.

For every user with an event in the last `active_days`: the retriever's top K over the items that
are valid when the day ends, without those that the user already took (where the dataset says so);
the ranker's logits of these; what lies above the base rate; at most `category_cap` of a category;
the best N, topped up from decayed popularity. The list `*`, for whoever has none, is that of a user
of whom nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dataset import DatasetConfig
from conf.settings import RecommendSettings
from feature_store.champion import standing_after
from feature_store.days import days_between, shift
from feature_store.lake import Lake
from feature_store.step import StepContext, StepResult
from feature_store.tables import (
    EVERYBODY,
    EXAMPLES,
    HALF_LIVES_DAYS,
    RECOMMENDATIONS,
)
from training.features.population import names_of, served_users
from training.features.reader import FeatureReader
from training.features.rows import Int32, Side
from training.light.told import popular as popular_because
from training.measures.positives import positions_in, taken_by
from training.registry.arms import arms_of
from training.scoring.catalogue_ranks import same_moment
from training.scoring.composite import Composite
from training.scoring.metrics import Bools, Ints, logit_of
from training.scoring.recall_and_rank import Market, RecallAndRank, chunks
from training.scoring.slate import Entries, ListRules, joined, lists_of
from training.text.kept import keep_texts_of

BASE_RATE_DAYS = 7
"""Days of final labels that give the base rate."""


def run(context: StepContext) -> StepResult:
    """Write the recommendations of `context.ds`."""
    lake, ds, settings = context.lake, context.ds, context.settings.recommend
    users = served_users(lake, ds, settings.active_days)
    arms, warnings = arms_of(context, standing_after(lake, ds))
    keep_texts_of(context.settings)
    reads_text = any(c.ranker.reads_text for c in arms.composites.values())
    reader = FeatureReader(lake, ds, ds, with_text=reads_text)
    catalogue = np.sort(reader.catalogue(*reader.at_end_of(ds)))
    user_ids, item_ids = names_of(lake, ds, users, catalogue)
    popular = popular_first(reader, catalogue, ds, settings.popularity_half_life_days)
    rules = list_rules(reader, catalogue, ds, settings, context.dataset)
    version = arms.versions_of(user_ids)
    parts, names = [], item_ids.to_pylist()
    for arm in np.unique(version):
        mine = np.flatnonzero(version == arm)
        taken = _taken(lake, ds, user_ids.take(pa.array(mine)), item_ids)
        market = Market(users[mine], catalogue, taken)
        composite = arms.composites.get(int(arm))
        made = _lists(context, composite, reader, market, popular, rules, names)
        parts.append(replace(made, user=mine[made.user]))
    lists = in_order_of_users(joined([_no_entries(), *parts]))
    rows = list_rows(lists, user_ids, item_ids, version)
    lake.replace(RECOMMENDATIONS, {"ds": ds}, rows, {"step": "recommend", "ds": ds})
    theirs = version[pc.not_equal(user_ids, EVERYBODY).to_numpy(zero_copy_only=False)]
    by = {one: composite for one, composite in arms.composites.items() if one in theirs}
    result = _result(by or arms.composites, len(users) - 1, lists, len(catalogue))
    return replace(result, warnings=tuple((ds, text) for text in warnings))


@dataclass(frozen=True)
class Popularity:
    """A catalogue of I items, as popular as they are when a day ends."""

    order: Ints
    """(I,) positions by decayed popularity; ties: the lower id."""
    taken: Bools
    """(I,) whether anybody took the item."""


def popular_first(
    reader: FeatureReader, catalogue: Int32, ds: str, half_life_days: int
) -> Popularity:
    """The popularity of `catalogue` when `ds` ends."""
    sums = reader.popularity(catalogue, reader.at_end_of(ds)[1])
    popularity = np.round(sums[:, HALF_LIVES_DAYS.index(half_life_days)], 9)
    return Popularity(np.argsort(-popularity, kind="stable"), np.any(sums > 0, axis=1))


def list_rules(
    reader: FeatureReader,
    catalogue: Int32,
    ds: str,
    settings: RecommendSettings,
    dataset: DatasetConfig,
) -> ListRules:
    """What the lists of `ds` must respect. Of a multi-valued category its first value counts."""
    wanted = dataset.recommend.category_attribute
    if wanted is None:
        return ListRules(settings.top_n, None, dataset.recommend.category_cap)
    side = reader.items(catalogue, *same_moment(len(catalogue), *reader.at_end_of(ds)))
    single = [a.name for a in dataset.item_attributes if a.kind != "multi"]
    several = [a.name for a in dataset.item_attributes if a.kind == "multi"]
    if wanted in single:
        category = side.categorical[:, single.index(wanted)]
    else:
        category = np.maximum(side.multi[several.index(wanted)][:, 0], 0)
    return ListRules(settings.top_n, category.astype(np.int64), dataset.recommend.category_cap)


def base_rate_logit(lake: Lake, ds: str) -> float:
    """Log-odds of the mean final label of the last days; -inf where there is nothing to compare.

    Where negatives are drawn they set the rate of the scores: there every logit is above it.
    """
    if lake.dataset.labels.kind == "sampled":
        return -np.inf
    days = days_between(shift(ds, 1 - BASE_RATE_DAYS), ds)
    labels = lake.read(EXAMPLES, days, ["label"]).column("label").to_numpy()
    rate = float(labels.mean()) if len(labels) else 0.0
    return logit_of(rate) if 0 < rate < 1 else -np.inf


def list_rows(lists: Entries, users: pa.Array, items: pa.Array, version: Ints) -> pa.Table:
    """Rows of table `recommendations`, without `ds`; `version` (U,) made each user's list."""
    starts = np.searchsorted(lists.user, lists.user)
    by_popularity = np.isnan(lists.score)
    return pa.table(
        {
            "user_id": users.take(pa.array(lists.user)),
            "rank": pa.array(np.arange(len(lists)) - starts + 1, pa.int32()),
            "item_id": items.take(pa.array(lists.item)),
            "score": pa.array(lists.score, pa.float64()),
            "source": pa.array(np.where(by_popularity, "popularity", "model"), pa.string()),
            "model_version": pa.array(version[lists.user], pa.int32()),
            "reason": pa.array(lists.reason, pa.string()),
        }
    )


_NO_KEYS = np.empty(0, dtype=np.int64)


def _no_entries() -> Entries:
    return Entries(_NO_KEYS, _NO_KEYS, np.empty(0))


def _lists(
    context: StepContext,
    composite: Composite | None,
    reader: FeatureReader,
    market: Market,
    popular: Popularity,
    rules: ListRules,
    names: list[str],
) -> Entries:
    """The lists of all users, users counted as in `market`; `names` (I,) of its catalogue."""
    ds, k, size = context.ds, context.settings.recommend.recall_k, len(market.catalogue)
    threshold = base_rate_logit(context.lake, ds)
    model = None
    if composite is not None and size:
        model = RecallAndRank(composite, reader, market, ds, k, context.dataset)
    parts = [_no_entries()]
    for first, last in chunks(len(market.users), size, k):
        taken, users = market.taken_by(first, last), model.users(first, last) if model else None
        ranked = model.entries(users, first, last) if model and users else _no_entries()
        ranked = ranked.take(ranked.score > threshold)
        part = lists_of(ranked, taken, popular.order, last - first, size, rules)
        reason = _reasons(model, users, part, names, popular.taken[part.item])
        parts.append(Entries(part.user + first, part.item, part.score, reason))
    return joined(parts)


def _reasons(
    model: RecallAndRank | None,
    users: Side | None,
    lists: Entries,
    names: list[str],
    taken: Bools,
) -> tuple[str, ...]:
    """Why each entry is there: what popularity proposed is popular, if anybody took it."""
    if model is None or users is None:
        return tuple(popular_because(rising=False, taken=bool(one)) for one in taken)
    rising = model.rising(lists.item)
    told = [
        popular_because(rising=bool(up), taken=bool(one))
        for up, one in zip(rising, taken, strict=True)
    ]
    ranked = np.flatnonzero(~np.isnan(lists.score))
    for place, reason in zip(ranked, model.reasons(users, lists.take(ranked), names), strict=True):
        told[place] = reason
    return tuple(told)


def _taken(lake: Lake, ds: str, user_ids: pa.Array, item_ids: pa.Array) -> Ints:
    """Keys of `Market.taken`: what these users took, as far as it may be recommended."""
    if not lake.dataset.recommend.exclude_taken or not len(item_ids):
        return _NO_KEYS
    pairs = taken_by(lake, ds, user_ids)
    item = positions_in(pairs.column("item_id"), item_ids)
    user = positions_in(pairs.column("user_id"), user_ids)
    valid = (user >= 0) & (item >= 0)
    return np.sort(user[valid] * len(item_ids) + item[valid])


def in_order_of_users(lists: Entries) -> Entries:
    """The lists, users ascending; within a user in their order."""
    return lists.take(np.argsort(lists.user, kind="stable"))


def _result(made: Mapping[int, Composite], users: int, lists: Entries, items: int) -> StepResult:
    named = [f"version {c.version} ({c.scorer})" for c in made.values()]
    by = " and ".join(named) or "popularity alone"
    from_model = float((~np.isnan(lists.score)).mean()) if len(lists) else 0.0
    listed = len(np.unique(lists.item))
    summary = (
        f"{users} lists by {by}: {from_model:.0%} of places from the model, "
        f"{listed} of {items} items shown"
    )
    facts = {"users": users, "from_model": from_model, "items_listed": listed, "items": items}
    return StepResult(summary, facts)
