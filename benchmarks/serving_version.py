"""A version of any size with drawn weights, as the day's promotion saves it. Speed asks no more."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from conf.dataset import Attribute, DatasetConfig, load_dataset
from conf.settings import Settings
from feature_store.tables import FIRST_VALUE_ID
from training.features.histories import HISTORY_LENGTH
from training.features.reader import ITEM_NUMERIC, USER_NUMERIC
from training.features.rows import Side
from training.features.texts import HISTORY_TEXTS, PROFILE_TEXTS
from training.features.words import Words
from training.fitting.texts import text_architecture
from training.registry.light_folder import save_light
from training.registry.model import save_pyfunc
from training.registry.snapshot import Snapshot
from training.scorers import Architecture, build
from training.scorers.schema import Field, Schema, SideSchema
from training.scorers.trained import TrainedScorer
from training.scoring.composite import Composite

VALUES = 50
"""Values of each attribute."""
DS = "2026-01-31"
DAY = 20_485
"""The day after DS, in days since 1970."""
_LIST = 3


@dataclass(frozen=True)
class Size:
    """How large a version is."""

    users: int
    items: int


def made_version(folder: Path, scorer: str, size: Size, *, name: str = "drawn") -> Path:
    """Write an MLflow model of `scorer` to `folder`; its composite's folder is the result."""
    settings, dataset = Settings(), load_dataset("simulated")
    random = np.random.default_rng(1)
    snapshot = _snapshot(dataset, size, random, with_text=scorer == "bert")
    torch.manual_seed(1)
    schema = _schema(dataset, size)
    architecture = Architecture(
        settings.training.embedding_dim,
        settings.training.hidden,
        settings.training.dropout,
        text_architecture(scorer, settings.training.text),
    )
    plain = Architecture(architecture.embedding_dim, architecture.hidden, architecture.dropout)
    composite = Composite(
        0,
        scorer,
        TrainedScorer("two_tower", build("two_tower", schema, plain)),
        TrainedScorer(scorer, build(scorer, schema, architecture)),
    )
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "composite"
        directory.mkdir()
        (directory / "composite.json").write_text("{}")
        save_light(composite, snapshot, dataset, directory, version=name, top_n=10)
        save_pyfunc(directory, folder)
    return folder / "data" / "composite"


def _schema(dataset: DatasetConfig, size: Size) -> Schema:
    def side(name: str, entities: int, attributes: tuple[Attribute, ...], numeric: tuple[str, ...]):
        def fields(kind: bool) -> tuple[Field, ...]:
            chosen = [a for a in attributes if (a.kind == "multi") == kind]
            return tuple(Field(f"{name}.{a.name}", FIRST_VALUE_ID + VALUES) for a in chosen)

        index = Field(f"{name}_id", FIRST_VALUE_ID + entities)
        return SideSchema(index, fields(False), fields(True), numeric)

    context = [Field("hour", 24), Field("weekday", 7)]
    context += [Field(f"context.{name}", FIRST_VALUE_ID + VALUES) for name in dataset.context]
    return Schema(
        dataset.name,
        DS,
        dataset.labels.kind,
        side("user", size.users, dataset.user_attributes, USER_NUMERIC),
        side("item", size.items, dataset.item_attributes, ITEM_NUMERIC),
        tuple(context),
        HISTORY_LENGTH,
    )


def _snapshot(
    dataset: DatasetConfig, size: Size, random: np.random.Generator, *, with_text: bool
) -> Snapshot:
    words = Words()
    titles = words.add([f"item {n} of kind {n % VALUES}" for n in range(size.items)])
    users = _side(size.users, dataset.user_attributes, len(USER_NUMERIC), random, size.items)
    items = _side(size.items, dataset.item_attributes, len(ITEM_NUMERIC), random, 0)
    if with_text:
        read = np.zeros((len(users), HISTORY_TEXTS + PROFILE_TEXTS), dtype=np.int64)
        read[:, :HISTORY_TEXTS] = random.choice(titles, (len(users), HISTORY_TEXTS))
        users = replace(users, text=read, words=words)
        items = replace(items, text=np.concatenate([[0], titles])[:, None], words=words)
    fields = {f"user.{a.name}" for a in dataset.user_attributes}
    fields |= {f"item.{a.name}" for a in dataset.item_attributes}
    fields |= {f"context.{name}" for name in dataset.context}
    values = {f"value {k}": FIRST_VALUE_ID + k for k in range(VALUES)}
    return Snapshot(
        DS,
        DAY,
        ["*", *(f"user-{n}" for n in range(size.users))],
        users,
        ["*", *(f"item-{n}" for n in range(size.items))],
        items,
        dict.fromkeys(sorted(fields), values),
        {a.name: [] for a in dataset.user_attributes} if with_text else {},
    )


def _side(
    entities: int,
    attributes: tuple[Attribute, ...],
    numbers: int,
    random: np.random.Generator,
    items: int,
) -> Side:
    """`entities` drawn ones after the one of whom nothing is known."""
    rows, top = entities + 1, FIRST_VALUE_ID + VALUES
    single = sum(a.kind != "multi" for a in attributes)
    history = np.zeros((rows, HISTORY_LENGTH if items else 0), dtype=np.int32)
    if items:
        history[1:] = random.integers(FIRST_VALUE_ID, items, (entities, HISTORY_LENGTH))
    return Side(
        np.concatenate([[0], np.arange(entities) + FIRST_VALUE_ID]).astype(np.int32),
        random.integers(0, top, (rows, single), dtype=np.int32),
        tuple(
            np.sort(random.integers(FIRST_VALUE_ID, top, (rows, _LIST), dtype=np.int32), axis=1)
            for a in attributes
            if a.kind == "multi"
        ),
        random.normal(size=(rows, numbers)).astype(np.float32),
        history,
    )
