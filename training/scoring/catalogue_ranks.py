"""Where positives stand in the whole catalogue, as a model orders it for their users.

Every item known at the beginning of the event's day has its place, none is drawn: once per user and
day, in a neutral context, for the model, and once per day for popularity. A ranker orders what a
retriever recalled, the rest keeps the retriever's order, as it does in what is published. Letters:
U users, I items of the catalogue, K recalled, n positives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conf.dataset import DatasetConfig
from feature_store.tables import HALF_LIVES_DAYS, MISSING
from training.features.as_of import day_numbers
from training.features.rows import Float32, Instants, Int32, Int64, Side
from training.scoring.metrics import Floats
from training.scoring.rankings import percentile_rank
from training.scoring.slate import top_k

if TYPE_CHECKING:
    from training.features.reader import FeatureReader
    from training.scorers.trained import TrainedScorer

NEUTRAL_HOUR = 12
PAIRS_AT_ONCE = 1 << 16
"""Pairs of a user and an item that a ranker scores in one piece."""
CELLS_AT_ONCE = 1 << 22
"""Cells of users x items that are held at once."""


@dataclass(frozen=True)
class Cascade:
    """How a catalogue is ordered: a ranker over the first `recall_k` of a retriever."""

    ranker: TrainedScorer
    retriever: TrainedScorer | None
    """None = the ranker scores every item, which takes long in a large catalogue."""
    recall_k: int


@dataclass(frozen=True)
class DayPositives:
    """The positives of one event day, and the catalogue that they are ranked in."""

    day: int
    """Days since 1970 of the event day."""
    row: Int64
    """(n,) their positions among the examples."""
    user: Int32
    """(n,) vocabulary ids."""
    catalogue: Int32
    """(I,) vocabulary ids, ascending."""
    place: Int64
    """(n,) the item's position in the catalogue; -1 = it was not known then."""


def positives_by_day(reader: FeatureReader, examples: pa.Table) -> Iterator[DayPositives]:
    """The positives of `examples`, by the day on which they happened."""
    day = day_numbers(examples.column("event_ds"))
    positive = examples.column("label").to_numpy() > 0
    user = examples.column("user_index").to_numpy().astype(np.int32)
    item = examples.column("item_index").to_numpy().astype(np.int32)
    for number in np.unique(day[positive]):
        row = np.flatnonzero(positive & (day == number))
        catalogue = np.sort(reader.catalogue(reader.start_of(int(number)), int(number)))
        yield DayPositives(int(number), row, user[row], catalogue, places(item[row], catalogue))


def places(items: Int32, catalogue: Int32) -> Int64:
    """(n,) position of each item in the ascending `catalogue`; -1 = it is not there."""
    at = np.searchsorted(catalogue, items)
    found = np.append(catalogue, -1)[at] == items
    return np.where(found, at, -1).astype(np.int64)


def percentile_ranks(
    cascade: Cascade, reader: FeatureReader, examples: pa.Table, dataset: DatasetConfig
) -> Floats:
    """(rows of `examples`,) percentile rank, 1 = top; NaN for negatives and items not yet known."""
    ranks = np.full(examples.num_rows, np.nan)
    for positives in positives_by_day(reader, examples):
        known = positives.place >= 0
        if not known.any():
            continue
        users, which = np.unique(positives.user[known], return_inverse=True)
        row, place = positives.row[known], positives.place[known]
        for start, scores in catalogue_scores(
            cascade, reader, users, positives.catalogue, positives.day, dataset
        ):
            here = (which >= start) & (which < start + len(scores))
            ranks[row[here]] = ranks_within(scores[which[here] - start], place[here])
    return ranks


def popularity_percentile_ranks(
    reader: FeatureReader, examples: pa.Table, half_life_days: int
) -> Floats:
    """As `percentile_ranks`, when items are ordered by decayed popularity, the same for all."""
    ranks = np.full(examples.num_rows, np.nan)
    for positives in positives_by_day(reader, examples):
        known = positives.place >= 0
        sums = reader.popularity(positives.catalogue, positives.day)
        popularity = sums[:, HALF_LIVES_DAYS.index(half_life_days)]
        order = np.sort(popularity)
        own = popularity[positives.place[known]]
        below = np.searchsorted(order, own, side="left")
        equal = np.searchsorted(order, own, side="right") - below - 1
        ranks[positives.row[known]] = percentile_rank(below, equal, len(order))
    return ranks


def ranks_within(scores: npt.NDArray[np.floating], place: Int64) -> Floats:
    """(n,) percentile rank of the cell `place` of each row of `scores` (n, I), 1 = top."""
    ranks = np.empty(len(place))
    step = max(1, CELLS_AT_ONCE // max(scores.shape[1], 1))
    for start in range(0, len(place), step):
        part, at = scores[start : start + step], place[start : start + step]
        own = part[np.arange(len(at)), at][:, None]
        below, equal = (part < own).sum(axis=1), (part == own).sum(axis=1) - 1
        ranks[start : start + step] = percentile_rank(below, equal, scores.shape[1])
    return ranks


def catalogue_scores(
    cascade: Cascade,
    reader: FeatureReader,
    users: Int32,
    catalogue: Int32,
    day: int,
    dataset: DatasetConfig,
) -> Iterator[tuple[int, npt.NDArray[np.floating]]]:
    """Scores of all of `catalogue` for consecutive users: (first user's position, (u, I)).

    Higher is better within a row; scores of different rows cannot be compared.
    """
    at = reader.start_of(day)
    items = reader.items(catalogue, *same_moment(len(catalogue), at, day))
    everyone = reader.users(users, *same_moment(len(users), at, day))
    fast = cascade.ranker if cascade.ranker.can_recall else cascade.retriever
    if fast is None:
        yield from _by_logits(cascade.ranker, everyone, items, day, dataset)
        return
    vectors = fast.item_vectors(items)
    step = max(1, min(CELLS_AT_ONCE // len(catalogue), PAIRS_AT_ONCE // cascade.recall_k))
    for start in range(0, len(users), step):
        part = everyone.take(slice(start, start + step))
        scores = fast.user_vectors(part) @ vectors.T
        if fast is cascade.ranker:
            yield start, scores
            continue
        recalled = top_k(scores, cascade.recall_k)
        context = neutral_context(len(part), day, dataset)
        logits = cascade.ranker.list_logits(part, items, recalled, context)
        yield start, reranked(scores, recalled, logits)


def reranked(scores: Float32, recalled: Int64, logits: Floats) -> Floats:
    """(U, I) scores in which the recalled items stand first, by logit, and the rest as it stood.

    Args:
        scores: (U, I) of the retriever.
        recalled: (U, K) columns.
        logits: (U, K) of the ranker for them.
    """
    final: Floats = scores.astype(np.float64) - scores.max(axis=1, keepdims=True) - 1
    np.put_along_axis(final, recalled, logits - logits.min(axis=1, keepdims=True), axis=1)
    return final


def _by_logits(
    scorer: TrainedScorer, users: Side, items: Side, day: int, dataset: DatasetConfig
) -> Iterator[tuple[int, Floats]]:
    size = len(items)
    step = max(1, PAIRS_AT_ONCE // size)
    for start in range(0, len(users), step):
        part = users.take(slice(start, start + step))
        everything = np.tile(np.arange(size), (len(part), 1))
        context = neutral_context(len(part), day, dataset)
        yield start, scorer.list_logits(part, items, everything, context)


def neutral_context(rows: int, day: int, dataset: DatasetConfig) -> Int32:
    """(rows, X): noon, the weekday of `day`, and every other field missing."""
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    context = [NEUTRAL_HOUR, weekday, *([MISSING] * len(dataset.context))]
    return np.tile(np.array(context, dtype=np.int32), (rows, 1))


def same_moment(n: int, at: np.datetime64, day: int) -> tuple[Instants, Int64]:
    """(n,) times `at` and (n,) times `day`, to read n entities at one moment."""
    return np.full(n, at), np.full(n, day, dtype=np.int64)
