"""Random numbers that depend on what they are for, not on what was drawn before."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

NEVER = 10**9
"""A day that does not come."""


def generator(seed: int, purpose: str, *keys: int) -> np.random.Generator:
    """A generator of its own for each purpose and key, such as a day or a chunk of users."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *keys])


def pick_sets(
    rng: np.random.Generator, log_weights: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Random sets of `sizes` members, drawn without replacement along the last axis."""
    keys = log_weights + rng.gumbel(size=log_weights.shape)
    ranks = np.argsort(np.argsort(-keys, axis=-1), axis=-1)
    return np.asarray(ranks < sizes[..., None])


def newcomers_by(per_day: float, day: int) -> int:
    """How many newcomers a steady stream brought by the end of `day`."""
    return max(day, 0) * _per_thousand_days(per_day) // 1000


def birthdays(per_day: float, newcomers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The day on which each newcomer (0, 1, ...) arrives; negative numbers were there on day 0."""
    rate = _per_thousand_days(per_day)
    if not rate:
        return np.where(newcomers < 0, 0, NEVER)
    return np.where(newcomers < 0, 0, -(-1000 * (newcomers + 1) // rate))


def _per_thousand_days(per_day: float) -> int:
    # Whole numbers, so that newcomers_by and birthdays agree on every day.
    return round(per_day * 1000)
