"""Two champions' scores of the same rows: what a score map is made of."""

from __future__ import annotations

import numpy as np

from feature_store.days import ordinal
from feature_store.step import StepContext
from feature_store.tables import EXAMPLES
from training.features.reader import FeatureReader
from training.measures.day_sketch import drawn_negatives
from training.promotion.candidates import Aligned
from training.registry.serving import load_version
from training.scoring.day_scores import finite_logits
from training.scoring.metrics import Floats
from training.text.kept import keep_texts_of


def same_rows_logits(
    context: StepContext, aligned: Aligned, old_version: int, new_version: int, new_scorer: str
) -> tuple[Floats, Floats] | None:
    """Both versions' logits (n,) of the rows that the day's sketch counts; None without the old.

    Where labels are `sampled`, the sketch counts drawn negatives too, which are scored here: a map
    made from positives alone says nothing of the nine tenths of the scores that are lower.
    """
    if aligned.champion_logits is None:
        return None
    if context.dataset.labels.kind != "sampled":
        return aligned.champion_logits, aligned.logits[new_scorer]
    lake, ds = context.lake, context.ds
    examples = lake.read(EXAMPLES, [ds]).sort_by("example_id")
    rankers = [
        load_version(lake, context.settings, version).ranker
        for version in (old_version, new_version)
    ]
    keep_texts_of(context.settings)
    with_text = any(ranker.reads_text for ranker in rankers)
    reader = FeatureReader(lake, ds, ds, with_text=with_text)
    rows = reader.rows(examples)
    seed = [context.settings.training.seed, ordinal(ds)]
    negatives, _ = drawn_negatives(reader, examples, rows, seed)
    old, new = (
        np.concatenate([finite_logits(ranker, part) for part in (rows, negatives)])
        for ranker in rankers
    )
    return old, new
