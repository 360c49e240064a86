"""Gives `neighbours` its memory, read from the lake as of a day, and calibrates its few weights.

The weights are learned with the memory as it was when the lesson's day began, so that nobody's vote
is what is asked for; after that the memory is the one of the last training day. It is never taken
over from the parent: what is gone from the lake (an expired item, a forgotten user) is in no later
version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize

from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from training.features.histories import newest_sequences
from training.features.rows import Float64, Int32
from training.fitting.examples import Examples, sources_of
from training.fitting.expired import Expired
from training.fitting.fit import Fitted
from training.fitting.loader import BatchStream, Source
from training.fitting.losses import check_finite
from training.fitting.negatives import Proposal
from training.fitting.progress import Best
from training.light.memory import LENGTH, SEQUENCES
from training.scorers import SCORERS, ScorerNet
from training.scorers.neighbours import Neighbours

MAX_LESSON = 20_000
"""Most rows of the lesson; of more, the latest are taken."""

_TETHER = 1.0
"""What it costs, in nats over the whole lesson, that a column's standard deviation counts one more
than it did before."""


@dataclass(frozen=True)
class Memories:
    """The rows that weights are calibrated on, and the memory of before and after them."""

    lesson: Examples
    before: Int32
    after: Int32

    def arrays(self) -> Iterator[np.ndarray]:
        """All of it that decides the scorer, besides the examples."""
        yield from (self.before, self.after)


def memories_of(lake: Lake, examples: Examples, last_day: str, expired: Expired) -> Memories:
    """The last day with new rows as the lesson; memories without the items of `expired`."""
    new = examples.day[~examples.replayed]
    lesson = np.flatnonzero(~examples.replayed & (examples.day == new.max()))[-MAX_LESSON:]
    eve = shift(str(np.datetime64(int(new.max()), "D")), -1)
    gone = expired.get("item_id", np.empty(0, np.int64))
    before, after = (
        _without(newest_sequences(lake, day, SEQUENCES, LENGTH), gone) for day in (eve, last_day)
    )
    return Memories(_rows(examples, lesson), before, after)


def remembers(scorer: str) -> bool:
    """Whether the scorer of this name has a memory."""
    return scorer in SCORERS and issubclass(SCORERS[scorer], Neighbours)


def trained_part(net: ScorerNet) -> ScorerNet:
    """The part of `net` whose parameters gradients train, where there is one."""
    return net.beside if isinstance(net, Neighbours) and net.beside is not None else net


def remember(
    net: Neighbours, memories: Memories, settings: TrainingSettings, trained: Fitted | None
) -> Fitted:
    """Calibrate `net` with the memory of before the lesson, then give it the one of after it.

    Args:
        net: with the weights to begin with, from which it is not drawn far by a short lesson.
        memories: the lesson and both memories.
        settings: how negatives are drawn, and which share of the rows is held out.
        trained: how the training of the net beside went; it has not seen the rows held out, so that
            these are the lesson. Without it they judge the weights learned on the others.
    """
    net.eval().remember(memories.before)
    lesson = memories.lesson
    first, last = sources_of(lesson, net.schema, settings, False)
    if trained is not None and len(last):
        first = last
    taught = _lesson(net, first, lesson.sampled, settings)
    taught.teach(net)
    judged = _lesson(net, last, lesson.sampled, settings) if len(last) else taught
    loss = check_finite(judged.mean_loss(net), 1)
    net.remember(memories.after)
    if trained is not None:
        return trained
    return Fitted(Best(1, loss), [check_finite(taught.mean_loss(net), 1)], [loss])


@dataclass(frozen=True)
class _Lesson:
    """N rows with P items each, and F columns of the line."""

    columns: Float64
    """(N, P, F)."""
    label: Float64
    """(N,)."""
    weight: Float64
    """(N,)."""
    correction: Float64
    """(N, P)."""
    listwise: bool

    def teach(self, net: Neighbours) -> None:
        """Give `net` the weights with the least loss, tethered to those that it has."""
        start = np.append(net.weight.detach().double().numpy(), float(net.bias.detach()))
        scale = np.append(self.columns.reshape(-1, self.columns.shape[2]).std(axis=0), 1.0)

        def objective(line: Float64) -> tuple[float, Float64]:
            loss, gradient = self.loss(line)
            far = scale * (line - start)
            return loss + _TETHER / 2 * float(far @ far), gradient + _TETHER * scale * far

        line = minimize(objective, start, jac=True, method="L-BFGS-B").x
        with torch.no_grad():
            net.weight.copy_(torch.from_numpy(line[:-1]))
            net.bias.copy_(torch.tensor(line[-1]))

    def loss(self, line: Float64) -> tuple[float, Float64]:
        """The summed loss of weights and bias (F + 1,), and its gradient."""
        logits = self.columns @ line[:-1] + line[-1]
        if self.listwise:
            logits = logits + self.correction
            largest = logits.max(axis=1, keepdims=True)
            odds = np.exp(logits - largest)
            share = odds / odds.sum(axis=1, keepdims=True)
            losses = np.log(odds.sum(axis=1)) + largest[:, 0] - logits[:, 0]
            by_logit = share
            by_logit[:, 0] -= 1.0
        else:
            losses = np.logaddexp(0.0, logits[:, 0]) - self.label * logits[:, 0]
            by_logit = 1.0 / (1.0 + np.exp(-logits)) - self.label[:, None]
        by_logit = by_logit * self.weight[:, None]
        slope = np.tensordot(by_logit, self.columns, axes=((0, 1), (0, 1)))
        return float(losses @ self.weight), np.append(slope, by_logit.sum())

    def mean_loss(self, net: Neighbours) -> float:
        """Mean loss of the weights that `net` has."""
        line = np.append(net.weight.detach().double().numpy(), float(net.bias.detach()))
        return self.loss(line)[0] / max(float(self.weight.sum()), 1e-6)


def _lesson(net: Neighbours, source: Source, listwise: bool, settings: TrainingSettings) -> _Lesson:
    stream = BatchStream(source, settings.batch_size, 1, settings.seed, (0, 0), shuffled=False)
    with torch.inference_mode():
        parts = [
            (
                net.columns(b, net.evidence(b)).double(),
                b.label.double(),
                b.weight.double(),
                b.correction.double(),
            )
            for b in stream
        ]
    columns, label, weight, correction = (
        torch.cat(values).numpy() for values in zip(*parts, strict=True)
    )
    return _Lesson(columns, label, weight, correction, listwise)


def _rows(examples: Examples, rows: np.ndarray) -> Examples:
    items = examples.items
    return replace(
        examples,
        user=examples.user[rows],
        context=examples.context[rows],
        item=examples.item[rows],
        items=items if isinstance(items, Proposal) else replace(items, item=items.item[rows]),
        day=examples.day[rows],
        label=examples.label[rows],
        weight=examples.weight[rows],
        replayed=examples.replayed[rows],
    )


def _without(sequences: Int32, gone: np.ndarray) -> Int32:
    return np.where(np.isin(sequences, gone), 0, sequences).astype(np.int32)
