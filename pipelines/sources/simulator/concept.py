"""How likely a click is: the truth that models try to learn, and how drift bends it.

logit = base + affinity(user, category) + taste(user)·flavour(item) + quality + freshness
        + position + device + place + hour
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.sources.simulator.drift import Today, no_drifts
from pipelines.sources.simulator.items import Items, make_items
from pipelines.sources.simulator.randomness import generator
from pipelines.sources.simulator.settings import SimulationSettings
from pipelines.sources.simulator.users import TASTES, Floats, Ints, Users, make_users
from pipelines.sources.simulator.words import AGE_BANDS, CATEGORIES, DEVICES, GENDERS, PLACES

_INTEREST = 1.45
_AGE_AND_CATEGORY = 0.4
_GENDER_AND_CATEGORY = 0.25
_CATEGORY = 0.25
_TASTE = 0.25
_QUALITY = 0.35
_FRESHNESS, _FRESH_DAYS = 0.4, 5.0
_POSITION = 0.28
_DEVICE = np.array([-0.12, 0.18, 0.05])
_PLACE = np.array([0.15, -0.15, -0.1, -0.05])
_HOUR = 0.18 * np.cos((np.arange(24) - 20) * 2 * np.pi / 24)
_INTEREST_IN_TASTE = 0.6
_CALIBRATION_PAIRS = 20_000


@dataclass(frozen=True)
class Impressions:
    """Shown items; every field is one array of the same length."""

    user: Ints
    item: Ints
    position: Ints
    """From 1."""
    device: Ints
    place: Ints
    hour: Ints


@dataclass(frozen=True)
class _Effects:
    """Tables drawn once per world."""

    age: Floats
    gender: Floats
    category: Floats
    interest_taste: Floats


class Concept:
    """Click logits of one world."""

    def __init__(self, settings: SimulationSettings) -> None:
        rng = generator(settings.seed, "concept")
        wide = len(CATEGORIES)
        self._effects = _Effects(
            age=_AGE_AND_CATEGORY * rng.normal(0, 1, (len(AGE_BANDS), wide)),
            gender=_GENDER_AND_CATEGORY * rng.normal(0, 1, (len(GENDERS), wide)),
            category=_CATEGORY * rng.normal(0, 1, wide),
            interest_taste=rng.normal(0, 1, (wide, TASTES)),
        )
        self._settings = settings
        self._base = self._balanced_base(settings)

    def logits(self, shown: Impressions, users: Users, items: Items, today: Today) -> Floats:
        """The click logit of every impression of a day."""
        total = self._base + today.drifts.logit_shift + self._unbalanced(shown, users, items, today)
        return np.asarray(total)

    def _unbalanced(self, shown: Impressions, users: Users, items: Items, today: Today) -> Floats:
        interests = users.interests[users.numbers, users.version(today.day)]
        affinity = (
            _INTEREST * interests
            + self._effects.age[users.age]
            + self._effects.gender[users.gender]
            + self._effects.category
        ) @ today.drifts.category_moves
        shares = interests / interests.sum(axis=1, keepdims=True)
        taste = _INTEREST_IN_TASTE * (shares @ self._effects.interest_taste) + users.own_taste
        age_of_item = today.day - items.born[shown.item]
        total = (
            affinity[shown.user, items.category[shown.item]]
            + _TASTE * np.einsum("nt,nt->n", taste[shown.user], items.flavour[shown.item])
            + _QUALITY * items.quality[shown.item]
            + _FRESHNESS * np.exp(-age_of_item / _FRESH_DAYS)
            - _POSITION * np.log(shown.position)
            + _DEVICE[shown.device]
            + _PLACE[shown.place]
            + _HOUR[shown.hour]
        )
        return np.asarray(total)

    def _balanced_base(self, settings: SimulationSettings) -> float:
        """The base at which random impressions of the first day have the wanted click rate."""
        rng = generator(settings.seed, "balance")
        users, items = make_users(settings, settings.users), make_items(settings, settings.items)
        pairs = _CALIBRATION_PAIRS
        shown = Impressions(
            user=rng.choice(settings.users, pairs, p=users.activity / users.activity.sum()),
            item=rng.choice(settings.items, pairs, p=items.show_weights(np.arange(settings.items))),
            position=rng.integers(1, 10, pairs),
            device=rng.choice(len(DEVICES), pairs, p=(0.55, 0.33, 0.12)),
            place=rng.integers(0, len(PLACES), pairs),
            hour=rng.integers(8, 24, pairs),
        )
        logits = self._unbalanced(shown, users, items, Today(0, 0, no_drifts()))
        low, high = -20.0, 20.0
        for _ in range(60):
            middle = (low + high) / 2
            if sigmoid(logits + middle).mean() < settings.ctr:
                low = middle
            else:
                high = middle
        return low


def sigmoid(logits: Floats) -> Floats:
    """Probabilities."""
    return np.asarray(1 / (1 + np.exp(-logits)))
