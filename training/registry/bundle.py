"""What a registered version serves from: the composite and a snapshot of its day.

    <directory>/composite.json, retriever/, ranker/       see training.scoring.composite
    <directory>/snapshot.safetensors, snapshot.json       users and items as of the end of the day

MLflow loads it through `_load_pyfunc` (code and safetensors, no pickle).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors.numpy import load_file, save_file

from conf.dataset import DatasetConfig
from feature_store.lake import Lake
from training.features.population import names_of, served_users
from training.features.rows import Side
from training.features.words import NO_TEXT, Words, joined
from training.scoring.catalogue_ranks import neutral_context
from training.scoring.composite import Composite, load_composite

DEFAULT_TOP_N = 10


@dataclass(frozen=True)
class Snapshot:
    """Users and items as known at the end of a day."""

    day: int
    """The day to read as: the one after the snapshot's, in days since 1970."""
    user_ids: list[str]
    users: Side
    """The first one is a user of whom nothing is known."""
    item_ids: list[str]
    items: Side
    """The items available then."""


def take_snapshot(lake: Lake, ds: str, active_days: int, *, with_text: bool = False) -> Snapshot:
    """The users active in the `active_days` up to `ds`, and the items available at its end."""
    from training.features.reader import FeatureReader

    reader = FeatureReader(lake, ds, ds, with_text=with_text)
    at, day = reader.at_end_of(ds)
    users = served_users(lake, ds, active_days)
    items = reader.catalogue(at, day)
    user_ids, item_ids = names_of(lake, ds, users, items)
    return Snapshot(
        day,
        user_ids.to_pylist(),
        reader.users(users, np.full(len(users), at), np.full(len(users), day)),
        item_ids.to_pylist(),
        reader.items(items, np.full(len(items), at), np.full(len(items), day)),
    )


def save_snapshot(directory: Path, snapshot: Snapshot, dataset: DatasetConfig) -> None:
    """Write `snapshot` to an existing composite's folder."""
    arrays = {**_arrays("users", snapshot.users), **_arrays("items", snapshot.items)}
    save_file(arrays, str(directory / "snapshot.safetensors"))
    about = {
        "day": snapshot.day,
        "dataset": dataset.model_dump(mode="json"),
        "user_ids": snapshot.user_ids,
        "item_ids": snapshot.item_ids,
        "texts": _texts(snapshot),
    }
    (directory / "snapshot.json").write_text(json.dumps(about))


class Bundle:
    """A version that answers: user ids in, ranked items out."""

    def __init__(self, directory: Path, version: str) -> None:
        """Load the composite and the snapshot in `directory`."""
        about = json.loads((directory / "snapshot.json").read_text())
        arrays = load_file(str(directory / "snapshot.safetensors"))
        self.version = version
        self._composite: Composite = load_composite(directory, 0)
        self._dataset = DatasetConfig.model_validate(about["dataset"])
        self._day = int(about["day"])
        words = Words(about.get("texts", []))
        self._users = _side("users", arrays, words)
        self._items = _side("items", arrays, words)
        self._row = {user_id: row for row, user_id in enumerate(about["user_ids"])}
        self._item_ids: list[str] = about["item_ids"]
        self._item_vectors = self._composite.retriever.item_vectors(self._items)

    def predict(
        self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Ranked items for each row.

        Args:
            model_input: `user_id` (pseudonym; one that is not known is served as a new user) and
                optionally `top_n`.
            params: not used.

        Returns:
            One row per user and rank: user_id, rank (from 1), item_id, score, version.
        """
        del params
        top_n = model_input["top_n"] if "top_n" in model_input else [None] * len(model_input)
        parts = [
            self._ranked(str(user_id), DEFAULT_TOP_N if pd.isna(n) else int(n))
            for user_id, n in zip(model_input["user_id"], top_n, strict=True)
        ]
        columns = ["user_id", "rank", "item_id", "score", "version"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def _ranked(self, user_id: str, top_n: int) -> pd.DataFrame:
        user = self._user(user_id)
        recalled = self._composite.retriever.user_vectors(user) @ self._item_vectors.T
        best = np.argsort(-recalled[0], kind="stable")[: max(10 * top_n, 100)]
        context = neutral_context(1, self._day, self._dataset)
        scores = self._composite.ranker.list_logits(user, self._items, best[None], context)[0]
        order = np.argsort(-scores, kind="stable")[:top_n]
        return pd.DataFrame(
            {
                "user_id": user_id,
                "rank": np.arange(1, len(order) + 1),
                "item_id": [self._item_ids[i] for i in best[order]],
                "score": scores[order],
                "version": self.version,
            }
        )

    def _user(self, user_id: str) -> Side:
        row = self._row.get(user_id, 0)
        return self._users.take(slice(row, row + 1))


def _load_pyfunc(path: str) -> Bundle:
    """The bundle in `path`: what MLflow calls."""
    directory = Path(path)
    about = json.loads((directory / "composite.json").read_text())
    return Bundle(directory, str(about["promote_key"])[:12])


def _arrays(prefix: str, side: Side) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        "index": side.index,
        "categorical": side.categorical,
        "numeric": side.numeric,
        "history": side.history,
        **{f"multi{field}": values for field, values in enumerate(side.multi)},
    }
    if side.neighbours is not None and side.affinity is not None:
        arrays |= {"neighbours": side.neighbours, "affinity": side.affinity}
    if side.text is not None:
        arrays["text"] = side.text
    return {f"{prefix}.{name}": np.ascontiguousarray(array) for name, array in arrays.items()}


def _texts(snapshot: Snapshot) -> list[str]:
    """The texts that its users and items stand for, in the order of the alphabet."""
    sides = (snapshot.users, snapshot.items)
    words = joined([side.words for side in sides])
    if words is None:
        return []
    parts = [side.text.ravel() for side in sides if side.text is not None]
    used = np.unique(np.concatenate(parts))
    return sorted(words.text(int(number)) for number in used if number != NO_TEXT)


def _side(prefix: str, arrays: dict[str, npt.NDArray[Any]], words: Words) -> Side:
    fields = sum(name.startswith(f"{prefix}.multi") for name in arrays)
    return Side(
        arrays[f"{prefix}.index"],
        arrays[f"{prefix}.categorical"],
        tuple(arrays[f"{prefix}.multi{field}"] for field in range(fields)),
        arrays[f"{prefix}.numeric"],
        arrays[f"{prefix}.history"],
        arrays.get(f"{prefix}.neighbours"),
        arrays.get(f"{prefix}.affinity"),
        arrays.get(f"{prefix}.text"),
        words if f"{prefix}.text" in arrays else None,
    )
