"""Writes a version's `light` folder: all that it answers with, readable without Dayfold and torch.

    <composite>/light/README.md, example.py, requirements.txt
    <composite>/light/dayfold_light/       the client: a copy of training.light
    <composite>/light/data/about.json      what is declared, and how ids are counted
    <composite>/light/data/words.json      ids by value, by field
    <composite>/light/data/users.*, items.*, vectors.npz, ranker.onnx, user_tower.onnx

The pyfunc answers with the same folder, so there is one way from a request to a list.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import training.light
from conf.dataset import DatasetConfig
from training.features.neighbours import AFFINITIES
from training.features.reader import ITEM_NUMERIC
from training.features.rows import Int64, Side
from training.features.texts import HISTORY_TEXTS
from training.features.words import NO_TEXT, Words, joined
from training.light.known import FORMAT
from training.registry.onnx_graphs import save_ranker, save_tower
from training.registry.snapshot import Snapshot
from training.scorers.neighbours import Neighbours
from training.scorers.schema import Schema, SideSchema
from training.scorers.text import TextScorer
from training.scoring.catalogue_ranks import NEUTRAL_HOUR, neutral_context
from training.scoring.composite import Composite

_NEEDED = ("numpy",)
_BESIDE = ("README.md", "example.py")
"""What lies beside the client, and not in it."""


def save_light(
    composite: Composite,
    snapshot: Snapshot,
    dataset: DatasetConfig,
    directory: Path,
    *,
    version: str,
    top_n: int,
) -> None:
    """Write the folder `light` to the composite's existing `directory`.

    Args:
        composite: loaded.
        snapshot: of the day on which it was tested.
        dataset: that it was trained on.
        directory: of the composite.
        version: what answers call it.
        top_n: entries of a list where a request does not say.
    """
    folder = directory / "light"
    data = folder / "data"
    data.mkdir(parents=True)
    ranker, retriever = composite.ranker.net, composite.retriever.net
    row_of = _rows_of_texts(snapshot)
    for name, ids, side in (
        ("users", snapshot.user_ids, snapshot.users),
        ("items", snapshot.item_ids, snapshot.items),
    ):
        _write_json(data / f"{name}.json", ids)
        np.savez(data / f"{name}.npz", **_arrays(side, row_of))  # type: ignore[arg-type]
    sequences = ranker.sequences.numpy() if isinstance(ranker, Neighbours) else np.zeros((0, 0))
    np.savez(
        data / "vectors.npz",
        items=composite.retriever.item_vectors(snapshot.items),
        texts=_vectors(ranker, snapshot, row_of),
        sequences=sequences,
    )
    nobody, context = snapshot.users.take(slice(0, 2)), neutral_context(2, snapshot.day, dataset)
    save_ranker(ranker, nobody, snapshot.items, context[: len(nobody)], data / "ranker.onnx")
    save_tower(retriever, nobody, data / "user_tower.onnx")
    about = _declared(dataset) | {
        "format": FORMAT,
        "version": version,
        "scorer": composite.scorer,
        "day": snapshot.ds,
        "top_n": top_n,
        "hour": NEUTRAL_HOUR,
        "weekday": int(context[0, 1]),
        "history_texts": HISTORY_TEXTS,
        "profile_texts": _profile_rows(snapshot, row_of),
        "ranker_sizes": _sizes(ranker.schema),
        "retriever_sizes": _sizes(retriever.schema),
    }
    _write_json(data / "about.json", about)
    _write_json(data / "words.json", snapshot.words)
    _write_client(folder, needs_memory=isinstance(ranker, Neighbours))


def _write_client(folder: Path, *, needs_memory: bool) -> None:
    package = Path(training.light.__file__).parent
    left_out = shutil.ignore_patterns("__pycache__", *_BESIDE)
    shutil.copytree(package, folder / "dayfold_light", ignore=left_out)
    for name in _BESIDE:
        shutil.copy(package / name, folder / name)
    needed = (*_NEEDED, "scipy") if needs_memory else _NEEDED
    lines = [f"{name}=={importlib.metadata.version(name)}\n" for name in needed]
    (folder / "requirements.txt").write_text("".join(lines))


def _declared(dataset: DatasetConfig) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "labels": dataset.labels.kind,
        "user_attributes": [_attribute(a) for a in dataset.user_attributes],
        "item_attributes": [_attribute(a) for a in dataset.item_attributes],
        "context": list(dataset.context),
        "exclude_taken": dataset.recommend.exclude_taken,
        "item_numeric": list(ITEM_NUMERIC),
    }


def _attribute(attribute: Any) -> dict[str, Any]:
    """A declared attribute as JSON."""
    return {"name": attribute.name, "kind": attribute.kind, "bins": list(attribute.bins)}


def _sizes(schema: Schema) -> dict[str, Any]:
    def side(part: SideSchema) -> dict[str, Any]:
        return {
            "index": part.index.size,
            "categorical": [field.size for field in part.categorical],
            "multi": [field.size for field in part.multi],
        }

    return {
        "user": side(schema.user),
        "item": side(schema.item),
        "context": [field.size for field in schema.context],
    }


def _arrays(side: Side, row_of: Mapping[int, int]) -> dict[str, NDArray[Any]]:
    rows = len(side)
    neighbours, affinity = side.neighbours, side.affinity
    if neighbours is None or affinity is None:
        neighbours = np.zeros((rows, 0), dtype=np.int32)
        affinity = np.zeros((rows, 0, len(AFFINITIES)), dtype=np.float32)
    numbers = np.zeros((rows, 0), dtype=np.int64) if side.text is None else side.text
    flat = np.array([row_of[int(number)] for number in numbers.ravel()], dtype=np.int32)
    return {
        "index": side.index,
        "categorical": side.categorical,
        "numeric": side.numeric,
        "history": side.history,
        "neighbours": neighbours,
        "affinity": affinity,
        "text": flat.reshape(numbers.shape),
        # the order of the names is that of the attributes
        **{f"multi{field:03d}": values for field, values in enumerate(side.multi)},
    }


# ---- texts ---------------------------------------------------------------------------------------


def _rows_of_texts(snapshot: Snapshot) -> dict[int, int]:
    """The row of each text's vector by the text's number; 0 = no text."""
    said = Words(text for texts in snapshot.profile_texts.values() for text in texts)
    numbers: set[int] = set(said.add(said.texts()).tolist())
    for side in (snapshot.users, snapshot.items):
        if side.text is not None:
            numbers |= set(np.unique(side.text).tolist())
    ordered = sorted(numbers - {NO_TEXT})
    return {NO_TEXT: 0} | {number: row for row, number in enumerate(ordered, start=1)}


def _vectors(ranker: Any, snapshot: Snapshot, row_of: Mapping[int, int]) -> NDArray[np.float32]:
    """(texts, D) what the ranker's encoder says of each; nothing where it reads no text."""
    if not isinstance(ranker, TextScorer):
        return np.zeros((1, 0), dtype=np.float32)
    said = Words(text for texts in snapshot.profile_texts.values() for text in texts)
    words = joined([snapshot.users.words, snapshot.items.words, said])
    numbers: Int64 = np.array(list(row_of), dtype=np.int64)
    with torch.inference_mode():
        vectors: NDArray[np.float32] = ranker.encoder(torch.from_numpy(numbers), words).numpy()
    return vectors


def _profile_rows(snapshot: Snapshot, row_of: Mapping[int, int]) -> dict[str, dict[str, int]]:
    """The row of the vector of each id of a user's attributes, by attribute and id."""
    rows: dict[str, dict[str, int]] = {}
    for name, texts in snapshot.profile_texts.items():
        numbers = Words().add(texts).tolist()
        rows[name] = {str(i): row_of[n] for i, n in enumerate(numbers) if n != NO_TEXT}
    return rows


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, sort_keys=True) + "\n")
