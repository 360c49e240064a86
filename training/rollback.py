"""Going back: to what served, and was started from, before a bad version or day."""

from __future__ import annotations

from dataclasses import dataclass

from conf.errors import MissingPartition, OrderError
from feature_store.champion import Standing, standing_after, standing_before
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.promotion_ledger import (
    PromotionEvent,
    blocked_now,
)
from feature_store.tables import PROMOTIONS
from training.registry.registry import Registry
from training.registry.versions import registered_versions


@dataclass(frozen=True)
class Reign:
    """A version that served from the end of one day to the end of another."""

    standing: Standing
    first: str
    """The day after which it began to serve."""
    last: str


def reigns(lake: Lake, until: str) -> list[Reign]:
    """What served after each day up to `until`, in order; a version that came back twice."""
    found: list[Reign] = []
    for day in [day for day in lake.days(PROMOTIONS) if day <= until]:
        standing = standing_after(lake, day)
        if standing is None:
            continue
        if found and found[-1].standing.version == standing.version:
            found[-1] = Reign(standing, found[-1].first, day)
        else:
            found.append(Reign(standing, day, day))
    return found


def rollback_event(
    lake: Lake,
    registry: Registry,
    published: str,
    *,
    to: int | None,
    day: str | None,
    reason: str,
    actor: str,
) -> PromotionEvent:
    """What going back means: where to, and what is blocked from then on.

    Args:
        lake: holds the ledgers.
        registry: of the dataset.
        published: the day that was published last; the rollback holds after it.
        to: a version that served; None = the one that the champion replaced.
        day: a bad day; the standing with which it began comes back.
        reason: why.
        actor: who.

    Raises:
        MissingPartition: there is nothing to go back to, the version never served, or the day is
            not a published one.
        OrderError: that is blocked, or serves already.
    """
    now = standing_after(lake, published)
    if now is None:
        raise MissingPartition("There is no champion yet. Next: dayfold status")
    blocked = blocked_now(lake)
    served = reigns(lake, published)
    if day is not None:
        first_bad = day
        if not any(reign.first <= day for reign in served) or day > published:
            raise MissingPartition(
                f"--day {day}: expected a day that was published with a champion, from "
                f"{served[0].first} to {published}. Next: dayfold history"
            )
        if day in blocked.days:
            raise OrderError(f"{day} is blocked already. Next: dayfold release --day {day}")
    elif to is not None:
        first_bad = _day_after(served, to, now.version, blocked.versions)
    else:
        first_bad = next(reign.first for reign in served if reign.standing.version == now.version)
    target = standing_before(lake, first_bad)
    if target is None:
        raise MissingPartition(
            f"Nothing served before {first_bad}: there is nothing to go back to. Next: dayfold "
            "history, or `dayfold run --cascade` from a day whose raw files you have mended."
        )
    if target.version in blocked.versions:
        raise OrderError(
            f"Version {target.version} served before {first_bad}, and is blocked. Next: dayfold "
            f"release --version {target.version} --reason WHY, or --to another version."
        )
    versions = _bad_versions(lake, registry, served, first_bad, day, target)
    return PromotionEvent(
        ds=published,
        kind="rollback",
        version=target.version,
        scorer=target.scorer,
        replaced_version=now.version,
        heads={s: v for s, v in target.heads.items() if v not in blocked.versions},
        reason=reason,
        actor=actor,
        day=day or "",
        versions=tuple(sorted(versions - blocked.versions)),
    )


def _day_after(served: list[Reign], version: int, serving: int, blocked: frozenset[int]) -> str:
    """The day after the last one on which `version` served."""
    mine = [reign for reign in served if reign.standing.version == version]
    if not mine:
        known = sorted({reign.standing.version for reign in served})
        raise MissingPartition(
            f"--to {version}: that version never served, expected one of {known}. Next: dayfold "
            "history"
        )
    if version == serving:
        raise OrderError(f"Version {version} serves already. Next: dayfold history")
    if version in blocked:
        raise OrderError(
            f"Version {version} is blocked. Next: dayfold release --version {version} --reason WHY"
        )
    return shift(mine[-1].last, 1)


def _bad_versions(
    lake: Lake,
    registry: Registry,
    served: list[Reign],
    first_bad: str,
    day: str | None,
    target: Standing,
) -> set[int]:
    """Champions since `first_bad`; of a bad day also all that learned from it."""
    versions = {reign.standing.version for reign in served if reign.last >= first_bad}
    if day is not None:
        versions |= {
            version.version
            for version in registered_versions(registry, lake.id)
            if version.last_day is None or version.last_day >= day
        }
    return versions - {target.version, *target.heads.values()}
