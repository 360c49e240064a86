"""A version's two graphs, and what they are asked with: the ranker and the user's tower.

Letters as in the package; V user variants, M items of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .engines import engine_for
from .entities import UNKNOWN, Entities, Floats, Ints


class Graph:
    """One graph and the number of ids that it knows, by field position."""

    def __init__(self, path: Path, sizes: Mapping[str, Any], engine: str | None) -> None:
        """Load `path`.

        Args:
            path: the ONNX file.
            sizes: `user` and `item`, each {index, categorical: [...], multi: [...]}; `context`.
            engine: see `engines.engine_for`.
        """
        self._engine = engine_for(path, engine)
        self._sizes = sizes
        self.reads_text = "texts_vectors" in self._engine.inputs
        self.asks_memory = "evidence" in self._engine.inputs

    def run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the graph says of `inputs`; those that it does not ask for are left out."""
        return self._engine.run({name: inputs[name] for name in self._engine.inputs})

    def side(self, side: str, entities: Entities) -> dict[str, np.ndarray]:
        """The inputs of one side; ids that the graph does not know read as unknown."""
        sizes, items = self._sizes[side], self._sizes["item"]["index"]
        inputs: dict[str, np.ndarray] = {
            f"{side}_ids": _known(entities.index, sizes["index"]),
            f"{side}_categorical": _known(entities.categorical, np.array(sizes["categorical"])),
            f"{side}_numeric": entities.numeric,
            f"{side}_history": _known(entities.history, items),
            f"{side}_neighbours": _known(entities.neighbours, items),
            f"{side}_affinity": entities.affinity,
        }
        for k, (ids, size) in enumerate(zip(entities.multi, sizes["multi"], strict=True)):
            inputs[f"{side}_multi_{k}"] = _known(ids, size)
        return inputs

    def context(self, context: Ints) -> Ints:
        """(V, X) ids of contexts; what the graph does not know reads as unknown."""
        return _known(context, np.array(self._sizes["context"]))


class Texts:
    """The vectors of a version's texts; row 0 is no text."""

    def __init__(self, vectors: Floats) -> None:
        self._vectors = vectors
        self._extra: list[Floats] = []

    def mean_of(self, rows: Ints) -> tuple[Texts, int]:
        """These vectors and one more, the direction of the mean of `rows`; and its row."""
        more = Texts(self._vectors)
        mean = self._vectors[rows].mean(axis=0)
        length = float(np.sqrt(mean @ mean))
        more._extra = [*self._extra, (mean / length if length else mean).astype(np.float32)]
        return more, len(self._vectors) + len(more._extra) - 1

    def inputs(self, users: Ints, items: Ints) -> dict[str, np.ndarray]:
        """The graph's inputs for the texts of `users` (V, T) and of `items` (M, 1)."""
        rows, at = np.unique(np.concatenate([items.ravel(), users.ravel()]), return_inverse=True)
        held = len(self._vectors)
        vectors = self._vectors[rows[rows < held]]
        if self._extra and rows[-1] >= held:
            extra = [self._extra[row - held] for row in rows[rows >= held]]
            vectors = np.concatenate([vectors, extra])
        return {
            "texts_vectors": vectors,
            "texts_item": at[: items.size].reshape(items.shape)[:, 0],
            "texts_user": at[items.size :].reshape(users.shape),
            "texts_user_has": (users != 0).astype(np.int64),
        }


def rank(
    graph: Graph,
    users: Entities,
    items: Entities,
    pair: Ints,
    context: Ints,
    texts: Texts | None,
    memory: Any = None,
) -> Floats:
    """(V, P) logits.

    Args:
        graph: the ranker.
        users: V of them.
        items: M of them.
        pair: (V, P) positions in `items`.
        context: (V, X) ids.
        texts: where the ranker reads them.
        memory: what votes, where the ranker asks it.
    """
    inputs = graph.side("user", users) | graph.side("item", items)
    inputs |= {"pair": pair, "context": graph.context(context)}
    if graph.reads_text and texts is not None:
        inputs |= texts.inputs(users.text, items.text)
    if graph.asks_memory:
        history, ids = inputs["user_history"], inputs["item_ids"]
        inputs["evidence"] = memory.evidence(history.astype(np.int32), ids.astype(np.int32), pair)
    return graph.run(inputs)


def _known(ids: Ints, size: int | Ints) -> Ints:
    """`ids` with those at or above `size` read as unknown; padding stays."""
    return np.where(ids < size, ids, UNKNOWN)


def top(scores: Floats, n: int) -> Ints:
    """Positions of the `n` largest of `scores` (I,), largest first; of equal ones the first."""
    if n < len(scores):
        least = np.partition(scores, len(scores) - n)[len(scores) - n]
        candidates = np.flatnonzero(scores >= least)
    else:
        candidates = np.arange(len(scores))
    order = np.argsort(-scores[candidates], kind="stable")
    return candidates[order[:n]]
