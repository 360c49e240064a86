"""One version, ready to answer: recall by dot product, rank, say why."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from .asked import Asked, candidates_of, catalogue_rows, context_of, user_of
from .entities import Entities, Floats, Ints
from .graphs import Graph, Texts, rank, top
from .known import FormatError, Known, load_known
from .reasons import GROUPS, Beginning, attributions
from .request import Request, checked
from .told import NOTHING_KNOWN, RISING, TAKEN, TELLING, told

_LEAST_RECALLED = 100


class Recommender:
    """Answers requests with one version. Nothing in it changes, so threads may share it."""

    def __init__(self, folder: Path, engine: str | None = None) -> None:
        """Load the version in `folder`; use `load`."""
        self._known = known = load_known(folder)
        self.version: str = known.about["version"]
        self.day: str = known.about["day"]
        """The last day that it knows: its users and items are as of its end."""
        self.scorer: str = known.about["scorer"]
        self._tower = Graph(folder / "user_tower.onnx", known.about["retriever_sizes"], engine)
        self._ranker = Graph(folder / "ranker.onnx", known.about["ranker_sizes"], engine)
        self._texts = Texts(known.texts) if self._ranker.reads_text else None
        self._memory = _memory(known.sequences) if self._ranker.asks_memory else None
        self._beginning = Beginning(known.users.take([0]), _average(known), context_of(known, {}))

    def recommend(self, request: object) -> list[dict[str, Any]]:
        """The best items, best first: item_id, rank (from 1), score, reason, version.

        Candidates of which nothing is known come last, with score None.

        Args:
            request: an object with any of user_id, profile, history, candidates, context, top_n;
                see the README beside this package.

        Raises:
            RequestError: a field is wrong; the message names it.
        """
        asked, scores = self._best(self._checked(request))
        if not scores.size:
            return []
        return self._entries(asked, scores, self._attributions(asked))

    def explain(self, request: object) -> list[dict[str, Any]]:
        """As `recommend`, and for each entry `start` and `attributions`, by group of inputs.

        `start` is the score of an average item for a user of whom nothing is known; what the groups
        add to it sums to the entry's score.
        """
        asked, scores = self._best(self._checked(request))
        if not scores.size:
            return []
        added = self._attributions(asked)
        entries = self._entries(asked, scores, added)
        for entry, score, column in zip(entries, scores, added.T, strict=True):
            entry["start"] = float(score - column.sum())
            entry["attributions"] = dict(zip(GROUPS, map(float, column), strict=True))
        return entries

    # ---- inside ----------------------------------------------------------------------------------

    def _checked(self, request: object) -> Request:
        return checked(request, self._known.declared, self._known.about["top_n"])

    def _best(self, wanted: Request) -> tuple[Asked, Floats]:
        """The best items of a request, best first, and their scores."""
        asked = self._asked(wanted)
        if not len(asked.items):
            return asked, np.empty(0, dtype=np.float32)
        pair = np.arange(len(asked.items))[None]
        scores = self._rank(asked)(asked.user, asked.items, pair, asked.context)[0]
        best = top(np.where(asked.known, scores, -np.inf), wanted.top_n)
        return asked.take(best), scores[best]

    def _asked(self, wanted: Request) -> Asked:
        known = self._known
        user, context = user_of(known, wanted), context_of(known, wanted.context)
        if wanted.candidates is not None:
            return candidates_of(known, user, wanted.candidates, context, self._texts)
        taken = known.rows_of_history(user) if known.about["exclude_taken"] else []
        rows = self._recalled(user, max(10 * wanted.top_n, _LEAST_RECALLED), taken)
        return catalogue_rows(known, user, rows, context, self._texts)

    def _recalled(self, user: Entities, count: int, left_out: list[int]) -> Ints:
        vector = self._tower.run(self._tower.side("user", user))[0]
        scores = self._known.vectors @ vector
        scores[[0, *left_out]] = -np.inf
        found = top(scores, count)
        there: Ints = found[scores[found] > -np.inf]
        return there

    def _rank(self, asked: Asked) -> Any:
        return partial(rank, self._ranker, texts=asked.texts, memory=self._memory)

    def _attributions(self, asked: Asked) -> Floats:
        ranked = self._rank(asked)
        return attributions(ranked, asked.user, asked.items, asked.context, self._beginning)

    def _entries(self, asked: Asked, scores: Floats, added: Floats) -> list[dict[str, Any]]:
        return [
            {
                "item_id": name,
                "rank": number,
                "score": float(score) if known else None,
                "reason": reason if known else NOTHING_KNOWN,
                "version": self.version,
            }
            for number, (name, score, known, reason) in enumerate(
                zip(asked.names, scores, asked.known, self._reasons(asked, added), strict=True), 1
            )
        ]

    def _reasons(self, asked: Asked, added: Floats) -> list[str]:
        """The group that adds most to each item, in words."""
        telling = added[[GROUPS.index(name) for name in TELLING]]
        if not (asked.user.history > 0).any():
            # what the model keeps of an id is nothing that can be named to whom took nothing
            telling[TELLING.index("history")] = 0
        rising, taken_by = (self._known.about["item_numeric"].index(n) for n in (RISING, TAKEN))
        # to be less popular than the mean may add to a score; what nobody took is not popular
        telling[TELLING.index("popularity"), asked.items.numeric[:, taken_by] <= 0] = 0
        reasons = []
        for place, (which, most) in enumerate(zip(telling.argmax(0), telling.max(0), strict=True)):
            group = TELLING[which] if most > 0 else ""
            taken, again = self._taken(asked, place) if group == "history" else (None, False)
            up = bool(asked.items.numeric[place, rising] > 0)
            reasons.append(told(group, rising=up, taken=taken, again=again))
        return reasons

    def _taken(self, asked: Asked, place: int) -> tuple[str | None, bool]:
        """The item of the history that is likest to the one at `place`; whether it is that one."""
        known = self._known
        rows = known.rows_of_history(asked.user)
        if not rows:
            return None, False
        row = known.row_of_index.get(int(asked.items.index[place]), 0)
        theirs = known.vectors[rows, :-2]  # without the biases
        likeness = theirs @ known.vectors[row, :-2] / (np.linalg.norm(theirs, axis=1) + 1e-9)
        return str(known.item_ids[rows[int(np.argmax(likeness))]]), row in rows


def load(folder: str | Path, engine: str | None = None) -> Recommender:
    """A version.

    Args:
        folder: a version's folder `light`, or its `data`.
        engine: `numpy` or `onnxruntime`; None = ONNX Runtime if it is installed.

    Raises:
        FormatError: it is no version's folder, of another format, or damaged.
    """
    data = Path(folder) / "data"
    data = data if data.is_dir() else Path(folder)
    try:
        return Recommender(data, engine)
    except FormatError:
        raise
    except (BadZipFile, EOFError, LookupError, OSError, TypeError, ValueError) as error:
        raise FormatError(
            f"{data} cannot be read ({error!r}), expected a version's whole folder. Next: copy "
            "the version's folder `light` again."
        ) from error


def _average(known: Known) -> Entities:
    """An item of which nothing is known but that its popularity is the catalogue's mean."""
    nothing = known.items.take([0])
    if len(known.items) == 1:
        return nothing
    mean = known.items.numeric[1:].mean(axis=0, keepdims=True)
    return replace(nothing, numeric=mean.astype(np.float32))


def _memory(sequences: Ints) -> Any:
    from .memory import Memory

    return Memory(sequences.astype(np.int32))
