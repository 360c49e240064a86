"""Which rows of earlier days are trained again: a pure function of (seed, days, rows).

uniform     every row alike
recent      the draws follow one another, each with a weight that halves every half-life
exemplars   each item gets rows in proportion to its frequency, as in ADER (Mi et al. 2020), though
            at most so many. Which of its rows is decided without a model: evenly spaced ones in the
            order of (label, time). ADER herds: it keeps rows whose mean is the item's mean. Evenly
            spaced rows do that for the label to within one row, and cover the item's time; the
            parent's loss would prefer what the parent never understood, noise first.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from conf.training import TrainingSettings
from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from training.features.as_of import day_numbers
from training.features.rows import Float64, Int64

_REPLAY = 2


def in_time_order(rows: pa.Table) -> pa.Table:
    """`rows` of examples by time, then by id."""
    return rows.sort_by([("event_timestamp", "ascending"), ("example_id", "ascending")])


def replay_sample(
    lake: Lake,
    first_day: str,
    settings: TrainingSettings,
    most: int,
    left_out: frozenset[str] = frozenset(),
) -> pa.Table:
    """At most `most` rows of the `replay_days` before `first_day`, in the order of time.

    Days that are `left_out` give none.
    """
    start = shift(first_day, -settings.replay_days)
    wanted = most > 0 and settings.replay != "none"
    days = [d for d in lake.days(EXAMPLES) if start <= d < first_day] if wanted else []
    days = [day for day in days if day not in left_out]
    rows = in_time_order(lake.read(EXAMPLES, days))
    return rows.take(drawn(rows, first_day, settings, most))


def drawn(rows: pa.Table, first_day: str, settings: TrainingSettings, most: int) -> Int64:
    """Ascending positions of at most `most` of `rows`, drawn by the seed and `first_day`.

    Args:
        rows: earlier examples in the order of time: ds, item_index, label.
        first_day: the first new day.
        settings: kind of replay and its parameters.
        most: 0 or more.
    """
    first = ordinal(first_day)
    generator = np.random.default_rng([settings.seed, first, _REPLAY])
    if settings.replay == "exemplars":
        item, label = rows.column("item_index").to_numpy(), rows.column("label").to_numpy()
        return exemplars(item, label, most, settings.replay_per_item, generator)
    if rows.num_rows <= most:
        return np.arange(rows.num_rows, dtype=np.int64)
    share = None
    if settings.replay == "recent":
        age = first - day_numbers(rows.column("ds"))
        weight = np.exp2((age.min() - age) / settings.replay_half_life_days)
        share = weight / weight.sum()
        # beyond some thousand half-lives a weight is nought, and nought cannot be drawn
        most = min(most, int((share > 0).sum()))
    return np.sort(generator.choice(rows.num_rows, most, replace=False, p=share)).astype(np.int64)


def exemplars(
    item: Int64, label: Float64, most: int, per_item: int, generator: np.random.Generator
) -> Int64:
    """Ascending positions of at most `most` rows, at most `per_item` of each item.

    Args:
        item: (n,) the rows' items, rows in the order of time.
        label: (n,).
        most: rows in all.
        per_item: rows of one item.
        generator: where each item's evenly spaced rows begin.
    """
    order = np.lexsort((np.arange(len(item)), label, item))
    _, first, count = np.unique(item[order], return_index=True, return_counts=True)
    quota = np.minimum(quotas(count, most), per_item)
    offset = np.repeat(generator.random(len(count)), quota)
    place = np.arange(int(quota.sum())) - np.repeat(np.cumsum(quota) - quota, quota)
    step = np.repeat(count / np.maximum(quota, 1), quota)
    within = np.minimum((offset + place) * step, np.repeat(count, quota) - 1)
    return np.sort(order[np.repeat(first, quota) + within.astype(np.int64)]).astype(np.int64)


def quotas(count: Int64, most: int) -> Int64:
    """(items,) how many of `most` rows each item gets: its share, by largest remainders.

    No item gets more than its `count`; of equal remainders the first ones win.
    """
    total = int(count.sum())
    if total <= most:
        return count
    exact = count * most
    floor, rest = exact // total, exact % total
    more = np.argsort(-rest, kind="stable")[: most - int(floor.sum())]
    floor[more] += 1
    return np.asarray(floor, dtype=np.int64)
