"""Labelled rows of a made-up log for the benchmarks of training: slates, users and items by day.

A user sees slates of ten items on a day; items are drawn by a Zipf-like law. Whether a row is a
click is drawn from a planted logit (an item's worth plus a product of hidden tastes), so that a
loss means something. Ids are spread over the whole table: the most popular item is at no
particular place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from training.features.reader import ITEM_NUMERIC, USER_NUMERIC
from training.features.rows import Float64, Int32, Int64, Side
from training.fitting.loader import LabelledSource
from training.scorers.batch import context_tensor
from training.scorers.packed import PackedSide
from training.scorers.schema import Field, Schema, SideSchema

SLATE = 10
"""Rows of one user and one instant."""
DAYS = 7
HISTORY = 50
FIELDS = 18
"""Label-encoded fields: user_id, five attributes and a list; item_id, four attributes and a list;
hour, weekday and three of the context."""
_USER_SIZES, _ITEM_SIZES, _CONTEXT_SIZES = (
    (12, 4, 60, 300, 8),
    (40, 300, 1000, 12),
    (24, 7, 4, 9, 30),
)
_LIST_SIZE, _LIST_WIDTH = 500, 4
_TASTES = 4
_FLATTEN = 10.0
"""An item's chance is 1 / (rank + _FLATTEN)."""


@dataclass(frozen=True)
class Log:
    """Rows that point to the users and items as of their days."""

    schema: Schema
    users: Side
    items: Side
    user: Int64
    """(n,) positions in `users`."""
    item: Int64
    """(n,) positions in `items`."""
    context: Int32
    label: Float64

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.label)


def made_up(rows: int, users: int, items: int, seed: int = 5) -> Log:
    """A log of `rows` rows over tables of `users` and `items` rows; the same for the same seed."""
    generator = np.random.default_rng(seed)
    slates = -(-rows // SLATE)
    seen = generator.integers(2, users, slates)
    day = np.sort(generator.integers(0, DAYS, slates))
    user_day, user = np.unique(day * users + seen, return_inverse=True)
    shown = _popular(generator, items, (slates, SLATE))
    item_day, item = np.unique(day[:, None] * items + shown, return_inverse=True)
    user, item = np.repeat(user, SLATE)[:rows], item.reshape(-1)[:rows]
    history = _popular(generator, items, (len(user_day), HISTORY)).astype(np.int32)
    history[np.arange(HISTORY) >= generator.integers(0, HISTORY + 1, len(user_day))[:, None]] = 0
    context = [generator.integers(0, size, slates) for size in _CONTEXT_SIZES]
    return Log(
        _schema(users, items),
        _side(generator, user_day % users, _USER_SIZES, len(USER_NUMERIC), history),
        _side(generator, item_day % items, _ITEM_SIZES, len(ITEM_NUMERIC), None),
        user,
        item,
        np.repeat(np.stack(context, axis=1), SLATE, axis=0)[:rows].astype(np.int32),
        _clicks(generator, user_day[user] % users, item_day[item] % items, users, items),
    )


def source_of(log: Log) -> LabelledSource:
    """The rows as the product holds them for a training."""
    known = log.schema.item.index.size
    return LabelledSource(
        PackedSide.of(log.users, log.schema.user, known),
        PackedSide.of(log.items, log.schema.item, known),
        torch.from_numpy(log.user),
        torch.from_numpy(log.item),
        context_tensor(log.context, log.schema),
        torch.from_numpy(log.label.astype(np.float32)),
        torch.ones(len(log)),
        torch.zeros(len(log), dtype=torch.bool),
    )


def _popular(generator: np.random.Generator, items: int, shape: tuple[int, int]) -> Int64:
    """Item ids from 2, by popularity, at places spread over the table."""
    share = 1.0 / (np.arange(items - 2) + _FLATTEN)
    bound = np.cumsum(share) / share.sum()
    place = np.random.default_rng(items).permutation(items - 2)
    rank = np.minimum(np.searchsorted(bound, generator.random(shape)), items - 3)
    found: Int64 = place[rank] + 2
    return found


def _side(
    generator: np.random.Generator,
    index: Int64,
    sizes: tuple[int, ...],
    numeric: int,
    history: Int32 | None,
) -> Side:
    n = len(index)
    categorical = np.stack([generator.integers(0, size, n) for size in sizes], axis=1)
    multi = generator.integers(2, _LIST_SIZE, (n, _LIST_WIDTH)).astype(np.int32)
    multi[np.arange(_LIST_WIDTH) >= generator.integers(1, _LIST_WIDTH + 1, n)[:, None]] = -1
    return Side(
        index.astype(np.int32),
        categorical.astype(np.int32),
        (multi,),
        generator.standard_normal((n, numeric), dtype=np.float32),
        np.zeros((n, 0), dtype=np.int32) if history is None else history,
    )


def _clicks(
    generator: np.random.Generator, user: Int64, item: Int64, users: int, items: int
) -> Float64:
    """(n,) 0 or 1."""
    taste = generator.standard_normal((users, _TASTES), dtype=np.float32)
    kind = generator.standard_normal((items, _TASTES), dtype=np.float32)
    worth = generator.standard_normal(items, dtype=np.float32)
    logit = (taste[user] * kind[item]).sum(axis=1) / _TASTES**0.5 + worth[item] - 1.5
    return (generator.random(len(user)) < 1.0 / (1.0 + np.exp(-logit))).astype(np.float64)


def _schema(users: int, items: int) -> Schema:
    def fields(side: str, sizes: tuple[int, ...]) -> tuple[Field, ...]:
        return tuple(Field(f"{side}.c{n}", size) for n, size in enumerate(sizes))

    return Schema(
        "made_up",
        "2026-01-07",
        "impressions",
        SideSchema(
            Field("user_id", users),
            fields("user", _USER_SIZES),
            (Field("user.list", _LIST_SIZE),),
            USER_NUMERIC,
        ),
        SideSchema(
            Field("item_id", items),
            fields("item", _ITEM_SIZES),
            (Field("item.list", _LIST_SIZE),),
            ITEM_NUMERIC,
        ),
        tuple(
            Field(name, size)
            for name, size in zip(
                ("hour", "weekday", "context.a", "context.b", "context.c"),
                _CONTEXT_SIZES,
                strict=True,
            )
        ),
        HISTORY,
    )
