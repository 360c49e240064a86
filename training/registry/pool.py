"""The pool: several versions that serve side by side, with weights, in one tag.

The tag is written as a whole, so that a reader sees the pool of before or of after.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from conf.errors import ConfigError
from training.light.release import ends_of, place_of, position_at
from training.registry.registry import Registry
from training.registry.versions import client_of, version_numbers

POOL_TAG = "pool"
_MOST_WEIGHT = 1e6
_SHOWN = 20
Pick = Literal["sticky", "random"]


@dataclass(frozen=True)
class Pool:
    """Versions and how much of the requests each of them gets."""

    weights: Mapping[int, float]
    """Share of each registered version; they sum to one."""
    pick: Pick = "sticky"
    """sticky: a user always gets the same version; random: drawn for each request."""


def pool_of(registry: Registry, champion: int, blocked: frozenset[int] = frozenset()) -> Pool:
    """What serves: the pool of the tag without `blocked` versions, or the champion alone."""
    model = client_of(registry).get_registered_model(registry.name)
    said = model.tags.get(POOL_TAG)
    if not said:
        return Pool({champion: 1.0})
    content = json.loads(said)
    given = {int(version): float(share) for version, share in content["weights"].items()}
    weights = {version: share for version, share in given.items() if version not in blocked}
    total = sum(weights.values())
    if not total:
        return Pool({champion: 1.0})
    return Pool({version: share / total for version, share in weights.items()}, content["pick"])


def named_in_pool(registry: Registry) -> frozenset[int]:
    """The versions that the tag names, blocked ones too; none without a tag."""
    said = client_of(registry).get_registered_model(registry.name).tags.get(POOL_TAG)
    return (
        frozenset(int(version) for version in json.loads(said)["weights"]) if said else frozenset()
    )


def version_of_user(pool: Pool, user_id: str) -> int:
    """The version that a sticky pool picks for a user: the same as the servers pick."""
    versions = sorted(pool.weights)
    ends = ends_of([pool.weights[version] for version in versions])
    return versions[position_at(place_of(user_id), ends)]


def set_pool(
    registry: Registry,
    weights: Mapping[int, float],
    pick: str,
    blocked: frozenset[int] = frozenset(),
) -> Pool:
    """Make `weights` the pool; they are divided by their sum.

    Raises:
        ConfigError: a weight is not above 0, `pick` is none of sticky and random, there is no such
            version, or a rollback has blocked it.
    """
    if pick not in get_args(Pick):
        raise ConfigError(f"--pick is {pick!r}, expected sticky or random.")
    if not weights:
        raise ConfigError("The pool is empty, expected VERSION=WEIGHT. Next: dayfold pool clear")
    there = version_numbers(registry)
    for version, weight in weights.items():
        if not 0 < weight <= _MOST_WEIGHT:
            raise ConfigError(
                f"The weight of version {version} is {weight}, expected above 0 and at most "
                f"{_MOST_WEIGHT:g}."
            )
        if version in blocked:
            raise ConfigError(
                f"Version {version} is blocked by a rollback, expected one that may serve. Next: "
                f"dayfold release --version {version} --reason WHY, or dayfold history"
            )
        if version not in there:
            raise ConfigError(
                f"There is no version {version} of {registry.name}, expected one of "
                f"{_listed(there)}. Next: dayfold history"
            )
    total = sum(weights.values())
    shares = {str(version): weight / total for version, weight in weights.items()}
    content = json.dumps({"pick": pick, "weights": shares}, sort_keys=True)
    client_of(registry).set_registered_model_tag(registry.name, POOL_TAG, content)
    return pool_of(registry, 0)


def _listed(versions: Sequence[int]) -> str:
    """Versions in words, the newest where they are many."""
    shown = ", ".join(map(str, versions[-_SHOWN:])) or "none, nothing was registered yet"
    left_out = len(versions) - _SHOWN
    return f"{shown} (and {left_out} older ones)" if left_out > 0 else shown


def clear_pool(registry: Registry) -> None:
    """Let the champion serve alone."""
    client = client_of(registry)
    if POOL_TAG in client.get_registered_model(registry.name).tags:
        client.delete_registered_model_tag(registry.name, POOL_TAG)
