"""The pool: several versions that serve side by side, with weights, in one tag.

The tag is written as a whole, so that a reader sees the pool of before or of after.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

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

    def command(self) -> str:
        """What to type for it."""
        shares = " ".join(f"{version}={share:g}" for version, share in sorted(self.weights.items()))
        return f"dayfold pool set {shares}" + (" --pick random" if self.pick == "random" else "")


def pool_of(registry: Registry, champion: int, blocked: frozenset[int] = frozenset()) -> Pool:
    """What serves: the pool of the tag without `blocked` versions, or the champion alone.

    Where all versions but one are blocked, no pool is left.
    """
    given = _tagged(registry)
    if given is None:
        return Pool({champion: 1.0})
    weights = _without(given, blocked)
    total = sum(weights.values())
    if not total:
        return Pool({champion: 1.0})
    return Pool({version: share / total for version, share in weights.items()}, given.pick)


def named_in_pool(registry: Registry) -> frozenset[int]:
    """The versions that the tag names, blocked ones too; none without a tag."""
    given = _tagged(registry)
    return frozenset() if given is None else frozenset(given.weights)


def leave_pool(
    registry: Registry, champion: int, blocked: frozenset[int], replaced: int = 0
) -> str:
    """Write the tag without `blocked` versions; what left and what remains, in words.

    The tag goes where one version is left, or where the champion that a rollback replaced has a
    share and the one that came back has none. Until it is written, `pool_of` leaves them out.

    Args:
        registry: holds the tag.
        champion: what serves where no pool is left.
        blocked: what may not serve.
        replaced: the champion before a rollback; 0 = the champion stays.

    Returns:
        One sentence; empty where nothing had to leave.
    """
    given = _tagged(registry)
    if given is None:
        return ""
    gone = sorted(set(given.weights) & blocked)
    left = _without(given, blocked)
    if replaced in given.weights and champion not in left:
        left = {}
    elif not gone:
        return ""
    if left:
        _write(registry, Pool(left, given.pick))
    else:
        clear_pool(registry)
    went = f"left the pool for good: version {', '.join(map(str, gone))}"
    went = went if gone else f"version {champion} has no share of the pool"
    if not left:
        return f"{went}; no pool is left, version {champion} serves alone"
    total = sum(left.values())
    shares = ", ".join(f"version {one} {left[one] / total:.1%}" for one in sorted(left))
    return f"{went}; what remains: {shares}"


def without_share(pool: Pool, champion: int) -> str:
    """That the champion has no share, and the way on; empty where it has one."""
    if champion in pool.weights:
        return ""
    named = ", ".join(map(str, sorted(pool.weights)))
    with_it = Pool({**pool.weights, champion: 1.0}, pool.pick).command()
    return (
        f"the pool of version {named} serves without champion {champion}, and later promotions "
        f"will not serve. Next: {with_it}, or dayfold pool clear"
    )


def _tagged(registry: Registry) -> Pool | None:
    """The pool as the tag has it; None without."""
    said = client_of(registry).get_registered_model(registry.name).tags.get(POOL_TAG)
    if not said:
        return None
    content = json.loads(said)
    weights = {int(version): float(share) for version, share in content["weights"].items()}
    return Pool(weights, content["pick"])


def _without(given: Pool, blocked: frozenset[int]) -> dict[int, float]:
    """The weights without `blocked` ones, as they stand in the tag; none where one is left."""
    left = {version: share for version, share in given.weights.items() if version not in blocked}
    return left if len(left) > 1 or len(left) == len(given.weights) else {}


def _write(registry: Registry, pool: Pool) -> None:
    weights = {str(version): share for version, share in pool.weights.items()}
    content = json.dumps({"pick": pool.pick, "weights": weights}, sort_keys=True)
    client_of(registry).set_registered_model_tag(registry.name, POOL_TAG, content)


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
                f"Version {version} was rolled back or rejected, expected one that may "
                f"serve. Next: dayfold release --version {version} --reason WHY, or dayfold history"
            )
        if version not in there:
            raise ConfigError(
                f"There is no version {version} of {registry.name}, expected one of "
                f"{_listed(there)}. Next: dayfold history"
            )
    total = sum(weights.values())
    shares = {version: weight / total for version, weight in weights.items()}
    _write(registry, Pool(shares, cast("Pick", pick)))
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
