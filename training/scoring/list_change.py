"""How a candidate's lists differ from its head's, how much they show, and what a model weighs.

The lists are over the same items, by the ranker alone: what the retriever recalls, and what the
rules of the lists leave out, would hide what the new weights do. Users and items are a seeded
sample, so the cost does not grow with the shop.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from conf.dataset import DatasetConfig
from feature_store.days import ordinal
from training.features.reader import FeatureReader
from training.features.rows import Int32, Rows
from training.scorers.trained import TrainedScorer
from training.scoring.catalogue_ranks import neutral_context, same_moment
from training.scoring.slate import top_k

AT = 10
"""Length of the lists."""
USERS, ITEMS = 200, 500
"""Most users and items of the sample."""
_TIMED, _ASKED = 50, 100
"""Requests that are timed, and pairs in each."""


def list_changes(
    ranker: TrainedScorer,
    head: TrainedScorer,
    reader: FeatureReader,
    users: Int32,
    ds: str,
    dataset: DatasetConfig,
) -> tuple[float, float, float]:
    """(churn, coverage, coverage of the head) of lists of AT items when `ds` begins.

    Churn is 1 - the mean share of a list's items that stand in the head's list too; coverage the
    share of the sample's items that stand in any list.

    Args:
        ranker: the candidate.
        head: what it would replace.
        reader: of the day; with texts if one of both reads them.
        users: vocabulary ids of users who were there on the day.
        ds: the day, which seeds the sample.
        dataset: gives the context fields.
    """
    generator, day = np.random.default_rng(ordinal(ds)), ordinal(ds)
    at = reader.start_of(day)
    chosen = np.sort(generator.permutation(np.unique(users))[:USERS]).astype(np.int32)
    catalogue = np.sort(reader.catalogue(at, day))
    items = np.sort(generator.permutation(catalogue)[:ITEMS]).astype(np.int32)
    size = min(AT, len(items))
    if not size or not len(chosen):
        return 0.0, 0.0, 0.0
    side = reader.items(items, *same_moment(len(items), at, day))
    who = reader.users(chosen, *same_moment(len(chosen), at, day))
    every = np.tile(np.arange(len(items)), (len(chosen), 1))
    context = neutral_context(len(chosen), day, dataset)
    mine, theirs = (
        top_k(model.list_logits(who, side, every, context).astype(np.float32), size)
        for model in (ranker, head)
    )
    same = [len(np.intersect1d(a, b)) for a, b in zip(mine, theirs, strict=True)]
    shown, before = (len(np.unique(lists)) / len(items) for lists in (mine, theirs))
    return 1.0 - float(np.mean(same)) / size, shown, before


def megabytes(directory: Path) -> float:
    """What a checkpoint's files take, 10^6 bytes."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 1e6


def p99_ms(ranker: TrainedScorer, rows: Rows) -> float:
    """Milliseconds within which 99 of 100 requests for a hundred scores are answered, by torch."""
    asked = rows.take(np.resize(np.arange(len(rows)), _ASKED))
    times = []
    for _ in range(_TIMED):
        started = time.perf_counter()
        ranker.logits(asked)
        times.append(time.perf_counter() - started)
    return float(np.quantile(times, 0.99)) * 1e3
