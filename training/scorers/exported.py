"""A scorer with one named tensor per input: the form of which graphs are written.

Of a scorer that reads text the graph holds what is above its encoder, of one that asks a memory
what is above the votes: both are inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.scorers import ScorerNet
from training.scorers.batch import Batch, SideTensors
from training.scorers.neighbours import Neighbours
from training.scorers.text import ReadTexts, TextScorer

_SIDES = ("user", "item")
_FIELDS = ("ids", "categorical", "numeric", "history", "neighbours", "affinity")
TEXT_VECTORS = "texts_vectors"


class Exported(nn.Module):
    """A scorer whose input is one tensor per field, and whose output is (B, P), or (n,) of rows."""

    def __init__(self, net: ScorerNet, names: list[str]) -> None:
        """`names`: of the inputs, in order; without `pair`, each row has the item at its place."""
        super().__init__()
        self.net, self._names = net.eval(), names

    def forward(self, *values: Tensor) -> Tensor:
        """Logits."""
        given = dict(zip(self._names, values, strict=True))
        sides = {side: _side(side, given) for side in _SIDES}
        users = given["user_ids"].shape[0]
        pair = given["pair"] if "pair" in given else torch.arange(users)[:, None]
        nothing = torch.zeros(users)
        batch = Batch(
            sides["user"], sides["item"], pair, given["context"], nothing, nothing, nothing[:, None]
        )
        logits = self._logits(batch, given)
        return logits if "pair" in given else logits[:, 0]

    def _logits(self, batch: Batch, given: dict[str, Tensor]) -> Tensor:
        if isinstance(self.net, TextScorer):
            texts = ReadTexts(*(given[f"texts_{name}"] for name in ReadTexts._fields))
            return self.net.compare(batch, texts)
        if isinstance(self.net, Neighbours):
            return self.net.weigh(batch, given["evidence"])
        logits: Tensor = self.net(batch)
        return logits


class ExportedTower(nn.Module):
    """The user vectors of a scorer that can recall, with one tensor per field."""

    def __init__(self, net: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.net, self._names = net.eval(), names

    def forward(self, *values: Tensor) -> Tensor:
        """(U, D)."""
        vectors: Tensor = self.net.user_vectors(  # type: ignore[operator]
            _side("user", dict(zip(self._names, values, strict=True)))
        )
        return vectors


def fields_of(batch: Batch, net: ScorerNet) -> dict[str, Tensor]:
    """The tensors of a batch by the names of the graph's inputs, without `pair`."""
    fields: dict[str, Tensor] = {}
    for side in _SIDES:
        fields |= side_fields(side, getattr(batch, side))
    fields["context"] = batch.context
    with torch.inference_mode():
        if isinstance(net, TextScorer):
            read = net.read(batch)
            fields |= {f"texts_{name}": values for name, values in read._asdict().items()}
        if isinstance(net, Neighbours):
            fields["evidence"] = net.evidence(batch)
    return fields


def side_fields(side: str, tensors: SideTensors) -> dict[str, Tensor]:
    """The tensors of one side by the names of the graph's inputs."""
    fields = {f"{side}_{name}": getattr(tensors, name) for name in _FIELDS}
    return fields | {f"{side}_multi_{k}": ids for k, ids in enumerate(tensors.multi)}


def _side(side: str, given: dict[str, Tensor]) -> SideTensors:
    multi = sum(name.startswith(f"{side}_multi_") for name in given)
    ids, categorical, numeric, history, neighbours, affinity = (
        given[f"{side}_{name}"] for name in _FIELDS
    )
    lists = tuple(given[f"{side}_multi_{k}"] for k in range(multi))
    return SideTensors(ids, categorical, lists, numeric, history, neighbours, affinity)
