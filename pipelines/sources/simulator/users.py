"""The users of the world: profiles that change now and then, and a taste that no log shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.sources.simulator.randomness import birthdays, generator, newcomers_by, pick_sets
from pipelines.sources.simulator.settings import SimulationSettings
from pipelines.sources.simulator.words import AGE_BANDS, CATEGORIES, CITIES, DEVICES, GENDERS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TASTES = 6
"""Dimensions of the latent taste."""

_CHUNK = 2048
_VERSIONS = 4
_DAYS_BETWEEN_CHANGES = 60.0
_AGE_SHARES = (0.20, 0.28, 0.22, 0.17, 0.13)
_GENDER_SHARES = (0.48, 0.47, 0.05)
_CITY_SHARES = (0.22, 0.10, 0.14, 0.07, 0.15, 0.06, 0.09, 0.04, 0.06, 0.07)
_DEVICE_SHARES = (0.55, 0.33, 0.12)
_INTEREST_COUNT_SHARES = (0.3, 0.35, 0.25, 0.1)
_ACTIVITY_SPREAD = 0.8
_SHARE_OF_CHANGES_THAT_MOVE = 0.4


@dataclass(frozen=True)
class Users:
    """Users by number; a user's profile has versions, each valid from a day on."""

    age: Ints
    gender: Ints
    device: Ints
    """The device mostly used."""
    activity: Floats
    """Sessions relative to the mean user's."""
    own_taste: Floats
    """(users, TASTES): the part of the taste that interests do not explain."""
    hides_city: Bools
    hides_gender: Bools
    valid_from: Ints
    """(users, versions): days since the world's start."""
    city: Ints
    """(users, versions)"""
    interests: Bools
    """(users, versions, categories)"""

    @cached_property
    def numbers(self) -> Ints:
        """0 .. users - 1."""
        return np.arange(len(self.age))

    def version(self, day: int) -> Ints:
        """Which version of its profile each user has on `day`."""
        return np.asarray((self.valid_from <= day).sum(axis=1) - 1)

    def first(self, count: int) -> Users:
        """The first `count` users."""
        return Users(**{name: value[:count] for name, value in _arrays(self).items()})


def users_born_by(settings: SimulationSettings, day: int) -> int:
    """How many users there are on `day` (days since the world's start)."""
    return settings.users + newcomers_by(settings.new_users_per_day, day)


def make_users(settings: SimulationSettings, count: int) -> Users:
    """The first `count` users. More users later leave these as they are."""
    chunks = [_chunk(settings, number) for number in range(-(-count // _CHUNK))]
    joined = {
        name: np.concatenate([_arrays(chunk)[name] for chunk in chunks])
        for name in _arrays(chunks[0])
    }
    return Users(**joined).first(count)


def _arrays(users: Users) -> dict[str, npt.NDArray[Any]]:
    return {name: getattr(users, name) for name in Users.__dataclass_fields__}


def _chunk(settings: SimulationSettings, number: int) -> Users:
    rng = generator(settings.seed, "users", number)
    age = rng.choice(len(AGE_BANDS), _CHUNK, p=_AGE_SHARES)
    # Ages lean to some interests, so a profile without interests still says something.
    leaning = generator(settings.seed, "leaning").normal(0, 0.6, (len(AGE_BANDS), len(CATEGORIES)))
    log_weights = np.repeat(leaning[age][:, None, :], _VERSIONS, axis=1)
    counts = 1 + rng.choice(
        len(_INTEREST_COUNT_SHARES), (_CHUNK, _VERSIONS), p=_INTEREST_COUNT_SHARES
    )
    return Users(
        age=age,
        gender=rng.choice(len(GENDERS), _CHUNK, p=_GENDER_SHARES),
        device=rng.choice(len(DEVICES), _CHUNK, p=_DEVICE_SHARES),
        activity=rng.lognormal(-(_ACTIVITY_SPREAD**2) / 2, _ACTIVITY_SPREAD, _CHUNK),
        own_taste=rng.normal(0, 1, (_CHUNK, TASTES)),
        hides_city=rng.random(_CHUNK) < settings.missing_profile_field,
        hides_gender=rng.random(_CHUNK) < settings.missing_profile_field,
        valid_from=_valid_from(settings, rng, number),
        city=_cities(rng),
        interests=pick_sets(rng, log_weights, counts),
    )


def _valid_from(settings: SimulationSettings, rng: np.random.Generator, number: int) -> Ints:
    newcomer = np.arange(number * _CHUNK, (number + 1) * _CHUNK) - settings.users
    born = birthdays(settings.new_users_per_day, newcomer)
    gaps = 1 + rng.exponential(_DAYS_BETWEEN_CHANGES, (_CHUNK, _VERSIONS - 1)).astype(np.int64)
    waits = np.concatenate([np.zeros((_CHUNK, 1), np.int64), np.cumsum(gaps, axis=1)], axis=1)
    return np.asarray(born[:, None] + waits)


def _cities(rng: np.random.Generator) -> Ints:
    cities = rng.choice(len(CITIES), (_CHUNK, _VERSIONS), p=_CITY_SHARES)
    moves = rng.random((_CHUNK, _VERSIONS)) < _SHARE_OF_CHANGES_THAT_MOVE
    for version in range(1, _VERSIONS):
        cities[:, version] = np.where(moves[:, version], cities[:, version], cities[:, version - 1])
    return cities
