"""The parent as teacher: on replayed rows the candidate is kept near what the parent says.

Added to a row's own loss, times the weight of the row and `weight`:

    clicks, ratings    KL(p || q) of Bernoulli variables, p the parent's probability, q the
                       candidate's: its gradient is that of the cross-entropy with soft labels
    lists              KL over the list's items of both softmaxes, each with the draws' correction

(Hinton et al. 2015 at temperature 1; on replayed rows as in ADER, Mi et al. 2020.) The teacher is
frozen and in evaluation mode, so that it draws nothing; ids born after it read as unknown to it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.fitting.losses import Loss
from training.scorers import ScorerNet
from training.scorers.batch import Batch, SideTensors
from training.scorers.schema import Schema


@dataclass(frozen=True)
class Distilled:
    """A loss with the divergence from a teacher added, as a sum over a batch."""

    loss: Loss
    teacher: ScorerNet
    weight: float
    listwise: bool

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """Sum over the batch; logits (B, P)."""
        own = self.loss(logits, batch)
        if batch.replayed is None or not bool(batch.replayed.any()):
            return own
        rows = torch.nonzero(batch.replayed)[:, 0]
        part = rows_of(batch, rows)
        with torch.no_grad():
            # the device is known only when there is a batch; there it is moved once
            said = self.teacher.to(logits.device)(known_to(part, self.teacher.schema))
        divergence = list_divergence if self.listwise else click_divergence
        apart = divergence(said, logits[rows], part.correction)
        return own + self.weight * (apart * part.weight).sum()


def frozen(net: ScorerNet) -> ScorerNet:
    """A copy of `net` that learns nothing and draws nothing."""
    return copy.deepcopy(net).eval().requires_grad_(False)


def click_divergence(teacher: Tensor, student: Tensor, correction: Tensor) -> Tensor:
    """(B,) KL of the probabilities of the first item; logits (B, P), `correction` is not used."""
    p, z = torch.sigmoid(teacher[:, 0]), teacher[:, 0]
    entropy = F.binary_cross_entropy_with_logits(z, p, reduction="none")
    return F.binary_cross_entropy_with_logits(student[:, 0], p, reduction="none") - entropy


def list_divergence(teacher: Tensor, student: Tensor, correction: Tensor) -> Tensor:
    """(B,) KL of the softmaxes over P; items whose correction is -inf are not in the list."""
    left_out = torch.isinf(correction)
    log_p = F.log_softmax(teacher + correction, dim=1).masked_fill(left_out, 0.0)
    log_q = F.log_softmax(student + correction, dim=1).masked_fill(left_out, 0.0)
    return (log_p.exp() * (log_p - log_q)).masked_fill(left_out, 0.0).sum(dim=1)


def rows_of(batch: Batch, rows: Tensor) -> Batch:
    """The users at `rows` (R,) with their items; other users' items are left out."""
    items, pair = torch.unique(batch.pair[rows], return_inverse=True)
    return Batch(
        _taken(batch.user, rows),
        _taken(batch.item, items),
        pair,
        batch.context[rows],
        batch.label[rows],
        batch.weight[rows],
        batch.correction[rows],
    )


def known_to(batch: Batch, schema: Schema) -> Batch:
    """`batch` with ids at or above the sizes of `schema` read as unknown (0)."""
    items = schema.item.index.size

    def clipped(ids: Tensor, size: int | Tensor) -> Tensor:
        return torch.where(ids < size, ids, 0)

    def side(tensors: SideTensors, own: int, sizes: list[int], widths: list[int]) -> SideTensors:
        size = torch.tensor(sizes, dtype=torch.int64, device=tensors.ids.device)
        return tensors._replace(
            ids=clipped(tensors.ids, own),
            categorical=clipped(tensors.categorical, size) if sizes else tensors.categorical,
            multi=tuple(clipped(v, w) for v, w in zip(tensors.multi, widths, strict=True)),
            history=clipped(tensors.history, items),
            neighbours=clipped(tensors.neighbours, items),
        )

    sides = [
        side(
            tensors,
            about.index.size,
            [field.size for field in about.categorical],
            [field.size for field in about.multi],
        )
        for tensors, about in ((batch.user, schema.user), (batch.item, schema.item))
    ]
    sizes = [field.size for field in schema.context]
    context = clipped(batch.context, torch.tensor(sizes, device=batch.context.device))
    return batch._replace(user=sides[0], item=sides[1], context=context)


def _taken(side: SideTensors, rows: Tensor) -> SideTensors:
    return side._replace(
        ids=side.ids[rows],
        categorical=side.categorical[rows],
        multi=tuple(values[rows] for values in side.multi),
        numeric=side.numeric[rows],
        history=side.history[rows],
        neighbours=side.neighbours[rows],
        affinity=side.affinity[rows],
        text=None if side.text is None else side.text[rows],
    )
