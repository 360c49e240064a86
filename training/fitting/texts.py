"""What a training of a text scorer needs besides rows: a language model, and its texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from conf.errors import TrainingError
from conf.training import TEXT_SCORERS, TrainingSettings
from feature_store.tables import ENCODED_ITEMS
from training.features.reader import FeatureReader
from training.scorers import Architecture, ScorerNet
from training.scorers.text import TextScorer
from training.text.architecture import text_architecture

_PAIRS = 3


def architecture_of(scorer: str, settings: TrainingSettings) -> Architecture:
    """What the weights of `scorer` depend on, besides its schema.

    Raises:
        ConfigError: its language model is not there, or not the pinned one.
    """
    return Architecture(
        settings.embedding_dim,
        settings.hidden,
        settings.dropout,
        text_architecture(scorer, settings.text),
    )


def most_rows(scorer: str, settings: TrainingSettings, days: int, most: int) -> int:
    """Most new rows of a training of `scorer` on so many days; `most` of one that reads ids."""
    if scorer not in TEXT_SCORERS:
        return most
    return min(most, days * settings.text.pairs_per_day)


def drawn_rows(rows: pa.Table, most: int, seed: list[int]) -> pa.Table:
    """At most `most` of `rows`, drawn by `seed`, in their order."""
    if rows.num_rows <= most:
        return rows
    generator = np.random.default_rng([*seed, _PAIRS])
    return rows.take(np.sort(generator.choice(rows.num_rows, most, replace=False)))


def begin_with_texts(net: ScorerNet, reader: FeatureReader) -> None:
    """Before a first training: give a net that reads text the texts that are known by then.

    Raises:
        TrainingError: there is nothing to read of any item.
    """
    if not isinstance(net, TextScorer):
        return
    if reader.texts is None or not reader.texts.has_items:
        raise TrainingError(
            f"There is no text to train on: expected titles, descriptions or declared attributes "
            f"in column text of {ENCODED_ITEMS.key}, found none of any item. Next: log items with "
            "a title, declare item_attributes in the dataset's file, or take bert and gpt2 out of "
            "training.scorers."
        )
    net.encoder.begin(reader.texts.words.texts())
