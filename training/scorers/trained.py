"""A trained scorer: NumPy in, NumPy out. What every step but the training itself uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from conf.errors import TrainingError
from conf.training import TEXT_SCORERS
from training.features.rows import Float32, Float64, Int32, Int64, Rows, Side

if TYPE_CHECKING:
    from training.scorers import ScorerNet
    from training.scorers.schema import Schema

_ROWS_AT_ONCE = 8192


class TrainedScorer:
    """A scorer with its weights, in evaluation mode: the same rows give the same numbers."""

    def __init__(self, name: str, net: ScorerNet) -> None:
        self.name = name
        self.net = net.eval()

    @property
    def schema(self) -> Schema:
        """The inputs that this scorer knows; ids at or above its sizes read as unknown."""
        return self.net.schema

    @property
    def can_recall(self) -> bool:
        """Whether its logit is a dot product of `user_vectors` and `item_vectors`."""
        return self.net.can_recall

    @property
    def reads_text(self) -> bool:
        """Whether it must be asked with texts (`FeatureReader(..., with_text=True)`)."""
        return self.name in TEXT_SCORERS

    def logits(self, rows: Rows) -> Float64:
        """(n,) log-odds of a positive (a score without calibration where labels are `sampled`)."""
        import torch

        from training.scorers.batch import batch_of_rows

        parts = [np.empty(0, dtype=np.float64)]
        with torch.inference_mode():
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                batch = batch_of_rows(rows.take(slice(start, start + _ROWS_AT_ONCE)), self.schema)
                parts.append(self.net(batch)[:, 0].double().numpy())
        return np.concatenate(parts)

    def list_logits(self, users: Side, items: Side, listed: Int64, context: Int32) -> Float64:
        """(U, P) logits of each user's list of items; a user's side is computed once for all P.

        Args:
            users: U users.
            items: of which the lists are made.
            listed: (U, P) positions in `items`.
            context: (U, X).
        """
        import torch

        from training.scorers.batch import batch_of_lists

        parts = [np.empty((0, listed.shape[1]))]
        step = max(1, _ROWS_AT_ONCE // max(listed.shape[1], 1))
        with torch.inference_mode():
            for start in range(0, len(users) if listed.shape[1] else 0, step):
                part = slice(start, start + step)
                batch = batch_of_lists(
                    users.take(part), items, listed[part], context[part], self.schema
                )
                parts.append(self.net(batch).double().numpy())
        return np.concatenate(parts)

    def user_vectors(self, users: Side) -> Float32:
        """(n, D) vectors of `users`; see `item_vectors`.

        Raises:
            TrainingError: the scorer cannot recall.
        """
        return self._vectors(users, "user")

    def item_vectors(self, items: Side) -> Float32:
        """(n, D) vectors of `items`: dot products with user vectors are exactly the logits.

        Raises:
            TrainingError: the scorer cannot recall.
        """
        return self._vectors(items, "item")

    def _vectors(self, side: Side, which: str) -> Float32:
        import torch

        from training.scorers.batch import side_tensors
        from training.scorers.two_tower import TwoTower

        if not isinstance(self.net, TwoTower):
            raise TrainingError(
                f"Scorer {self.name!r} has no vectors, expected one that can recall (two_tower). "
                "Put two_tower first in training.scorers."
            )
        tower = self.net.user_vectors if which == "user" else self.net.item_vectors
        schema = self.schema.user if which == "user" else self.schema.item
        parts = []
        with torch.inference_mode():
            for start in range(0, max(len(side), 1), _ROWS_AT_ONCE):
                part = side.take(slice(start, start + _ROWS_AT_ONCE))
                tensors = side_tensors(part, schema, self.schema.item.index.size)
                parts.append(tower(tensors).numpy())
        return np.concatenate(parts)
