"""Metrics of rankings over the whole catalogue. Pure NumPy.

Letters: U users, W positions of a ranking, n entries. A metric that its rows do not define (no
relevant item at all) is NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.scoring.metrics import Bools, Floats, Ints


def recall_at_k(hits: Bools, relevant: Ints, k: int) -> float:
    """The share of all relevant items that stand in the first `k` positions (micro average).

    Args:
        hits: (U, W), whether the item in each position of a user's ranking is relevant.
        relevant: (U,), how many items are relevant to each user, ranked or not.
        k: positions looked at.
    """
    return _ratio(float(hits[:, :k].sum()), float(relevant.sum()))


def hit_rate_at_k(hits: Bools, relevant: Ints, k: int) -> float:
    """The share of users with a relevant item among the first `k`; arguments as in `recall_at_k`.

    Users without a relevant item are left out.
    """
    rows = hits[relevant > 0, :k]
    return _ratio(float(rows.any(axis=1).sum()), len(rows))


def ndcg_at_k(hits: Bools, relevant: Ints, k: int) -> float:
    """The mean over users of DCG@k over the best DCG@k they could have (gain 1, log2 discount).

    Users without a relevant item are left out. Arguments as in `recall_at_k`.
    """
    if not (relevant > 0).any():
        return float("nan")
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    first = hits[relevant > 0, :k]
    gained = first @ discounts[: first.shape[1]]
    best = np.cumsum(discounts)[np.minimum(relevant[relevant > 0], k) - 1]
    return float((gained / best).mean())


def mean_reciprocal_rank(hits: Bools, relevant: Ints) -> float:
    """The mean over users of 1 / position of the first relevant item; 0 where there is none.

    Users without a relevant item are left out. Arguments as in `recall_at_k`.
    """
    rows = hits[relevant > 0]
    if not len(rows):
        return float("nan")
    first = rows.argmax(axis=1) + 1 if rows.shape[1] else np.ones(len(rows))
    return float(np.where(rows.any(axis=1), 1.0 / first, 0.0).mean())


def coverage(items: npt.NDArray[np.generic], catalogue: int) -> float:
    """The share of the catalogue that stands in at least one list.

    Args:
        items: (n,) what stands in the lists, in any order.
        catalogue: how many items could stand there.
    """
    return _ratio(len(np.unique(items)), catalogue)


def novelty(popularity: npt.ArrayLike, total: float) -> float:
    """How little known the listed items are: the mean of -log2 of their share of all positives.

    In bits, as the self-information of Zhou et al. 2010 ("Solving the apparent diversity-accuracy
    dilemma"), with one added to each count: an item that nobody took has no information else.

    Args:
        popularity: (n,) positives that each listed item had so far.
        total: positives that all items had.
    """
    counts = np.asarray(popularity, dtype=np.float64)
    return float(np.log2((total + 1.0) / (counts + 1.0)).mean()) if len(counts) else float("nan")


def percentile_rank(below: npt.ArrayLike, equal: npt.ArrayLike, size: int) -> Floats:
    """Where an item stands in its catalogue: 1 = top, 0 = bottom; ties stand in their middle.

    Args:
        below: items of the catalogue that score lower.
        equal: other items of the catalogue that score the same.
        size: items in the catalogue, the item itself included; alone it stands at 1.
    """
    beaten = np.asarray(below, dtype=np.float64) + np.asarray(equal, dtype=np.float64) / 2
    return beaten / (size - 1) if size > 1 else np.ones_like(beaten)


def mean_percentile_rank(ranks: npt.ArrayLike) -> float:
    """The mean percentile rank of the positives that have one (NaN = not in the catalogue)."""
    values = np.asarray(ranks, dtype=np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
