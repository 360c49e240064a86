"""The scorer `sequence` on sessions: trained on a period, taught further by the next ones.

The net, its growth and its optimizer are the product's; an item is its id and a user the items of
the session so far. Letters: V items, N predictions, M drawn items, D width of the vectors.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.next_item import Predictions
from benchmarks.session_memory import LENGTH
from benchmarks.sessions import Ints
from feature_store.tables import HALF_LIVES_DAYS
from training.fitting.optimizer import Moments, make_optimizer, moments_of
from training.scorers.batch import SideTensors
from training.scorers.schema import Field, Schema, SideSchema
from training.scorers.sequence import Sequence

DIM, HIDDEN, DROPOUT = 64, (128,), 0.1
BATCH = 512
DRAWN = 2048
"""Items drawn for a batch, shared by its predictions."""
POPULAR_SHARE = 0.75
FIRST_PASSES, FIRST_RATE = 5, 3e-3
"""Over the first period, and over all of them in a full retrain."""
LATER_PASSES, LATER_RATE = 2, 1.5e-3
FINAL_RATE = 0.05
WEIGHT_DECAY = 1e-5
TEMPERATURE = 1.0
_STANDINGS = tuple(f"standing_h{half_life}" for half_life in HALF_LIVES_DAYS)
_AT_ONCE = 2_000


@dataclass(frozen=True)
class Network:
    """A net with the moments of its optimizer."""

    net: Sequence
    moments: Moments | None = None

    @property
    def items(self) -> int:
        """Items that it knows; they are the first in the numbering."""
        return self.net.schema.item.index.size - 1

    def grown(self, items: int) -> Network:
        """A copy that knows so many items."""
        net = copy.deepcopy(self.net)
        net.grow(_schema(items))
        return replace(self, net=net)

    def vectors(self) -> Tensor:
        """(V, D) of every item."""
        self.net.eval()
        with torch.inference_mode():
            found: Tensor = self.net.item_vectors(_items(torch.arange(self.items)))
        return found

    def users(self, prefix: Ints) -> Tensor:
        """(N, D) of sessions with these newest items."""
        self.net.eval()
        with torch.inference_mode():
            found: Tensor = self.net.user_vectors(_sessions(torch.from_numpy(prefix)))
        return found


def fresh(items: int, seed: int) -> Network:
    """A net that was taught nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(Sequence(_schema(items), DIM, HIDDEN, DROPOUT))


@dataclass(frozen=True)
class Lesson:
    """What a net is taught, and the teacher whose opinion it is to keep."""

    new: Predictions
    replayed: Predictions = field(default_factory=Predictions.none)
    teacher: Network | None = None
    weight: float = 0.0
    """Of the teacher's opinion on the replayed predictions."""

    def __len__(self) -> int:
        """N."""
        return len(self.new) + len(self.replayed)


def taught(network: Network, lesson: Lesson, passes: int, rate: float, seed: int) -> Network:
    """A copy of `network`, taught; softmax over the drawn items estimates that over all."""
    net = copy.deepcopy(network.net).train()
    optimizer = make_optimizer(net, rate, WEIGHT_DECAY, network.moments)
    generator = np.random.default_rng([seed, len(lesson)])
    prefix = np.concatenate([lesson.new.prefix, lesson.replayed.prefix])
    target = np.concatenate([lesson.new.target, lesson.replayed.target])
    probability = _proposal(target, network.items)
    steps = passes * -(-len(target) // BATCH)
    step = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(passes):
            order = generator.permutation(len(target))
            for chosen in np.array_split(order, -(-len(order) // BATCH)):
                for group in optimizer.param_groups:
                    group["lr"] = rate * max(FINAL_RATE, 1 - step / steps)
                drawn = np.searchsorted(np.cumsum(probability), generator.random(DRAWN))
                drawn = np.minimum(drawn, network.items - 1)
                own = chosen >= len(lesson.new)
                loss = _loss(net, prefix[chosen], target[chosen], drawn, probability)
                if lesson.teacher is not None and lesson.weight and own.any():
                    opinion = _opinion_loss(net, lesson.teacher, prefix[chosen[own]], drawn)
                    loss = loss + lesson.weight * opinion * own.mean()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                step += 1
    return Network(net.eval(), moments_of(net, optimizer))


def _loss(
    net: Sequence, prefix: Ints, target: Ints, drawn: Ints, probability: npt.NDArray[np.float64]
) -> Tensor:
    distinct, place = np.unique(np.concatenate([target, drawn]), return_inverse=True)
    items = net.item_vectors(_items(torch.from_numpy(distinct)))
    users = net.user_vectors(_sessions(torch.from_numpy(prefix)))
    own = torch.from_numpy(place[: len(target)])
    others = torch.from_numpy(place[len(target) :])
    correction = -np.log(len(drawn) * probability[drawn])
    logits = users @ items[others].T + torch.from_numpy(correction.astype(np.float32))
    logits = logits.masked_fill(own[:, None] == others[None, :], -torch.inf)
    positive = (users * items[own]).sum(dim=1, keepdim=True)
    return -F.log_softmax(torch.cat([positive, logits], dim=1), dim=1)[:, 0].mean()


def _opinion_loss(net: Sequence, teacher: Network, prefix: Ints, drawn: Ints) -> Tensor:
    """Cross-entropy to the teacher's shares among the drawn items that it knows."""
    known = np.unique(drawn[drawn < teacher.items])
    side = _items(torch.from_numpy(known))
    sessions = torch.from_numpy(np.where(prefix < teacher.items, prefix, -1))
    with torch.no_grad():
        said = teacher.net.user_vectors(_sessions(sessions)) @ teacher.net.item_vectors(side).T
    says = net.user_vectors(_sessions(torch.from_numpy(prefix))) @ net.item_vectors(side).T
    shares = F.softmax(said / TEMPERATURE, dim=1)
    return -(shares * F.log_softmax(says / TEMPERATURE, dim=1)).sum(dim=1).mean()


def _proposal(target: Ints, items: int) -> npt.NDArray[np.float64]:
    """(V,) how probable each item is to be drawn."""
    popular = np.bincount(target, minlength=items).astype(np.float64)
    found: npt.NDArray[np.float64] = POPULAR_SHARE * popular / popular.sum()
    return found + (1 - POPULAR_SHARE) / items


def _schema(items: int) -> Schema:
    user = SideSchema(Field("user_id", 1), (), (), ())
    item = SideSchema(Field("item_id", items + 1), (), (), _STANDINGS)
    # `impressions`: the net is given no neighbours
    return Schema("sessions", "", "impressions", user, item, (), LENGTH)


def _items(items: Tensor) -> SideTensors:
    return _side(items + 1, torch.zeros(len(items), 0, dtype=torch.int64), len(_STANDINGS))


def _sessions(prefix: Tensor) -> SideTensors:
    return _side(torch.zeros(len(prefix), dtype=torch.int64), prefix + 1, 0)


def _side(ids: Tensor, history: Tensor, numeric: int) -> SideTensors:
    nothing = torch.zeros(len(ids), 0, dtype=torch.int64)
    numbers = torch.zeros(len(ids), numeric)
    return SideTensors(ids, nothing, (), numbers, history, nothing, torch.zeros(len(ids), 0, 0))
