"""What the shop shows on one day: who comes when, and which items each slate holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from pipelines.sources.simulator.concept import Impressions
from pipelines.sources.simulator.drift import Today
from pipelines.sources.simulator.items import Items
from pipelines.sources.simulator.settings import SimulationSettings
from pipelines.sources.simulator.users import Bools, Floats, Ints, Users
from pipelines.sources.simulator.words import DEVICES

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_WEEKDAY_VOLUME = np.array([0.90, 0.88, 0.90, 0.94, 1.03, 1.20, 1.15])
_HOUR_VOLUME = np.array(
    [10, 6, 4, 3, 3, 5, 12, 24, 34, 36, 36, 38, 44, 42, 36, 36, 40, 48, 58, 68, 74, 70, 48, 25.0]
)
_WORK_BEGINS, _WORK_ENDS, _EVENING_ENDS = 9, 17, 22
_PLACES_BY_PERIOD = np.array(
    [[0.85, 0.03, 0.04, 0.08], [0.35, 0.40, 0.15, 0.10], [0.60, 0.05, 0.20, 0.15]]
)
"""(night | working hours | evening, places)"""
_SHARE_ON_OWN_DEVICE = 0.8
_SLATES_PER_SESSION = np.array([0.55, 0.35, 0.10])
_PAUSE_MS = (30_000, 300_000)
_SLATE_SIZES = (8, 11)
_DRAWN_PER_SLATE = 16


@dataclass(frozen=True)
class Sessions:
    """Visits of one day; every field is one array of the same length."""

    user: Ints
    start_ms: Ints
    device: Ints
    place: Ints

    def __len__(self) -> int:
        """Number of sessions."""
        return len(self.user)


@dataclass(frozen=True)
class Slates:
    """The impressions of one day, with the slate that each belongs to."""

    impressions: Impressions
    slate: Ints
    shown_ms: Ints


def day_start_ms(ordinal: int) -> int:
    """Midnight UTC of a day, in ms since 1970."""
    return (ordinal - _EPOCH_ORDINAL) * DAY_MS


def draw_sessions(
    rng: np.random.Generator, settings: SimulationSettings, users: Users, today: Today
) -> Sessions:
    """Who comes on a day."""
    ordinal, drifts = today.ordinal, today.drifts
    volume = _WEEKDAY_VOLUME[(ordinal - 1) % 7] * settings.sessions_per_user_day
    count = int(rng.poisson(volume * users.activity.sum()))
    user = draw(rng, users.activity * np.exp(drifts.mix_shift * _leaning(users, today.day)), count)
    hour = draw(rng, _HOUR_VOLUME, count)
    start_ms = day_start_ms(ordinal) + hour * HOUR_MS + rng.integers(0, HOUR_MS, count)
    device = np.where(
        rng.random(count) < _SHARE_ON_OWN_DEVICE,
        users.device[user],
        rng.integers(0, len(DEVICES), count),
    )
    mobile = DEVICES.index("mobile")
    device = np.where(rng.random(count) < 1 - np.exp(-0.5 * drifts.mix_shift), mobile, device)
    working = (hour >= _WORK_BEGINS) & (hour < _WORK_ENDS)
    evening = (hour >= _WORK_ENDS) & (hour < _EVENING_ENDS)
    limits = np.cumsum(_PLACES_BY_PERIOD, axis=1)[working + 2 * evening, :-1]
    place = (rng.random((count, 1)) > limits).sum(axis=1)
    return Sessions(user, start_ms, device, place)


def draw_slates(rng: np.random.Generator, sessions: Sessions, items: Items, day: int) -> Slates:
    """What each session is shown: one to three slates of different items."""
    per_session = 1 + draw(rng, _SLATES_PER_SESSION, len(sessions))
    session = np.repeat(np.arange(len(sessions)), per_session)
    nth = np.arange(len(session)) - np.repeat(np.cumsum(per_session) - per_session, per_session)
    slate_ms = sessions.start_ms[session] + nth * rng.integers(*_PAUSE_MS, len(session))
    chosen, kept = _choose_items(rng, items, day, len(session))
    slate, column = np.nonzero(kept)
    of = session[slate]
    impressions = Impressions(
        user=sessions.user[of],
        item=chosen[slate, column],
        position=column + 1,
        device=sessions.device[of],
        place=sessions.place[of],
        hour=slate_ms[slate] // HOUR_MS % 24,
    )
    return Slates(impressions, slate, slate_ms[slate])


def draw(rng: np.random.Generator, weights: npt.NDArray[np.float64], count: int) -> Ints:
    """`count` positions of `weights`, each as often as its weight says."""
    limits = np.cumsum(weights)
    return np.searchsorted(limits / limits[-1], rng.random(count), side="right").astype(np.int64)


def _leaning(users: Users, day: int) -> Floats:
    """Whom a covariate drift brings: the young, and those of the two largest cities."""
    city = users.city[users.numbers, users.version(day)]
    return np.asarray(np.where(users.age <= 1, 0.8, -0.5) + np.where(city <= 1, 0.7, -0.3))


def _choose_items(
    rng: np.random.Generator, items: Items, day: int, slates: int
) -> tuple[Ints, Bools]:
    """Items by slate and position, and which of these cells are used.

    Drawing too many with replacement and dropping repeats costs O(slates), not slates x items.
    """
    on_sale = items.on_sale(day)
    drawn = draw(rng, items.show_weights(on_sale), slates * _DRAWN_PER_SLATE)
    drawn = on_sale[drawn].reshape(slates, _DRAWN_PER_SLATE)
    repeated = np.zeros(drawn.shape, np.bool_)
    for column in range(1, _DRAWN_PER_SLATE):
        repeated[:, column] = (drawn[:, :column] == drawn[:, column, None]).any(axis=1)
    order = np.argsort(repeated, axis=1, kind="stable")
    size = rng.integers(*_SLATE_SIZES, slates)
    room = np.minimum(size, _DRAWN_PER_SLATE - repeated.sum(axis=1))
    widest = _SLATE_SIZES[1] - 1
    chosen = np.take_along_axis(drawn, order[:, :widest], axis=1)
    return chosen, np.asarray(np.arange(widest) < room[:, None])
