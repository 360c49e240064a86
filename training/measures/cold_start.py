"""Cold start: lists for users of whom the champion knows nothing but a profile.

What a service would answer at a user's first request. Users who were new on the day count; subject
`profile` stands beside `lists` (which gave them the list for everybody) and popularity, on the same
pairs. New items need no list to be told apart: the scores on their rows are `auc_new_items` and so
on, by their attributes and texts, as their ids are unknown to the champion.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.vocabularies import words_on
from training.features.reader import FeatureReader
from training.features.rows import Int32, Side
from training.features.words import NO_TEXT
from training.light.reasons import HISTORY_TEXTS
from training.measures.lists import AT, MISSED, list_metrics, pairs_taken_on
from training.measures.positives import positions_in
from training.scoring.catalogue_ranks import neutral_context, same_moment
from training.scoring.composite import Composite
from training.scoring.metrics import Ints, Metric
from training.scoring.slate import top_k

SUBJECT, SLICE = "profile", "_new_users"


def measure_cold_start(
    composite: Composite, reader: FeatureReader, lake: Lake, ds: str, recall_k: int
) -> list[Metric]:
    """Recall, hit rate, nDCG, reciprocal rank at 10 of lists by profile, for users new on `ds`.

    Args:
        composite: the champion with which the day began.
        reader: of the day; with texts where the ranker reads them.
        lake: holds the day's events and vocabularies.
        ds: the day. Its events are what counts; nothing of them is read for the lists.
        recall_k: items that the retriever recalls.
    """
    taken = pairs_taken_on(lake, ds)
    if not len(taken):
        return []
    pairs = taken.where(taken.slices(words_on(lake, shift(ds, -1)))["new_users"])
    if not len(pairs):
        return []
    place = {number: at for at, number in enumerate(np.unique(pairs.user).tolist())}
    who = pairs.users.take(pa.array(list(place)))
    listed, names = _lists(composite, reader, lake, ds, recall_k, who)
    item = positions_in(pairs.items, names)[pairs.item]
    mine = listed[[place[number] for number in pairs.user.tolist()]]
    hit = mine == item[:, None]
    positions = np.where(hit.any(axis=1) & (item >= 0), hit.argmax(axis=1) + 1, MISSED)
    return list_metrics(SUBJECT, positions, pairs, SLICE)


def _lists(
    composite: Composite,
    reader: FeatureReader,
    lake: Lake,
    ds: str,
    recall_k: int,
    who: pa.Array,
) -> tuple[Ints, pa.Array]:
    """(U, <= AT) positions in the catalogue of each user's best items; the catalogue's names."""
    day = ordinal(ds)
    at = reader.start_of(day)
    catalogue = np.sort(reader.catalogue(at, day))
    words = words_on(lake, ds)
    items = reader.items(catalogue, *same_moment(len(catalogue), at, day))
    users = _by_profile(reader, ds, _ids(words, "user_id", who))
    retriever = composite.retriever
    scores = retriever.user_vectors(users) @ retriever.item_vectors(items).T
    recalled = top_k(scores, min(recall_k, len(catalogue)))
    context = neutral_context(len(users), day, lake.dataset)
    logits = composite.ranker.list_logits(users, items, recalled, context).astype(np.float32)
    best = top_k(logits, min(AT, recalled.shape[1]))
    return np.take_along_axis(recalled, best, axis=1), _names(words, catalogue)


def _by_profile(reader: FeatureReader, ds: str, index: Int32) -> Side:
    """Users as they registered on `ds`: attributes, and nothing of what they did."""
    at, day = reader.at_end_of(ds)
    side = reader.users(index, *same_moment(len(index), at, day))
    nobody = reader.users(np.zeros(1, dtype=np.int32), *same_moment(1, at, day))
    text = side.text
    if text is not None:
        text = np.where(np.arange(text.shape[1]) < HISTORY_TEXTS, NO_TEXT, text)
    return replace(
        side,
        index=np.zeros_like(side.index),
        numeric=np.repeat(nobody.numeric, len(side), axis=0),
        history=np.zeros_like(side.history),
        neighbours=None if side.neighbours is None else np.zeros_like(side.neighbours),
        affinity=None if side.affinity is None else np.zeros_like(side.affinity),
        text=text,
    )


def _ids(words: pa.Table, field: str, values: pa.Array) -> Int32:
    """(n,) vocabulary ids; 0 of what waits for its id."""
    rows = words.filter(pc.equal(words.column("field"), field))
    at = pc.index_in(values, value_set=rows.column("value").combine_chunks())
    ids = rows.column("id").combine_chunks().take(at)
    return np.asarray(pc.fill_null(ids, 0).to_numpy(zero_copy_only=False), dtype=np.int32)


def _names(words: pa.Table, catalogue: Int32) -> pa.Array:
    rows = words.filter(pc.equal(words.column("field"), "item_id"))
    at = pc.index_in(pa.array(catalogue, pa.int32()), value_set=rows.column("id").combine_chunks())
    return rows.column("value").combine_chunks().take(at)
