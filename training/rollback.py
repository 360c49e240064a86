"""Going back: to what served, and was started from, before a bad version or day."""

from __future__ import annotations

from dataclasses import dataclass, replace

from conf.errors import MissingPartition, OrderError
from feature_store.champion import (
    Standing,
    standing_after,
    standing_before,
    standings_until,
)
from feature_store.lake import Lake
from feature_store.ledger import closed_days
from feature_store.promotion_ledger import PromotionEvent, blocked_now
from training.registry.registry import Registry
from training.registry.versions import versions_tested_since, versions_trained_since


@dataclass(frozen=True)
class Reign:
    """A version that served, until another took its place."""

    standing: Standing
    """At the end of the last day after which it served; of one that ended on its day, its last."""
    first: str
    """The day after which it began to serve."""


def reigns(lake: Lake, until: str) -> list[Reign]:
    """What served up to `until`, in order; a version that came back twice.

    A version that a day promoted and a human took back the same day served, too.
    """
    found: list[Reign] = []
    lasting: set[int] = set()
    steps = standings_until(lake, until)
    for at, (day, standing) in enumerate(steps):
        if standing is None:
            continue
        if not found or found[-1].standing.version != standing.version:
            found.append(Reign(standing, day))
        place = len(found) - 1
        if at + 1 == len(steps) or steps[at + 1][0] != day:
            lasting.add(place)
        elif place in lasting:
            continue  # what the day made of its parents did not outlast the day
        found[place] = replace(found[place], standing=standing)
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
        day: a bad day; the standing with which it began comes back, if there was one.
        reason: why.
        actor: who.

    Raises:
        MissingPartition: there is nothing to go back to, the version never served, or the day was
            not built.
        OrderError: that is blocked, or serves already.
    """
    now = standing_after(lake, published)
    if now is None:
        raise MissingPartition("There is no champion yet. Next: dayfold status")
    blocked = blocked_now(lake)
    served = reigns(lake, published)
    if day is not None:
        _require_built(lake, day, published, blocked.days)
        learned = frozenset(versions_trained_since(registry, lake.id, day))
        tested = frozenset(versions_tested_since(registry, lake.id, day))
        way = _before_day(lake, served, day, now, learned, tested)
        way = _past_blocked(way, served, day, blocked.versions)
    elif to is not None:
        way = _back_to(served, to, now.version, blocked.versions)
    else:
        way = _before_champion(lake, served, now)
    if way.target.version in blocked.versions:
        raise OrderError(
            f"Version {way.target.version} served before, and is blocked. Next: dayfold release "
            f"--version {way.target.version} --reason WHY, or --to another version."
        )
    target = way.target
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
        versions=tuple(
            sorted(way.bad - blocked.versions - {target.version, *target.heads.values()})
        ),
    )


@dataclass(frozen=True)
class _Way:
    """Where to, and which versions are bad."""

    target: Standing
    bad: frozenset[int]


def _back_to(served: list[Reign], version: int, serving: int, blocked: frozenset[int]) -> _Way:
    """To the last time that `version` served; bad is what began to serve after it."""
    mine = [at for at, reign in enumerate(served) if reign.standing.version == version]
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
    end = mine[-1] + 1
    return _Way(served[end - 1].standing, _new_in(served[end:], served[:end]))


def _before_champion(lake: Lake, served: list[Reign], now: Standing) -> _Way:
    """To what the champion replaced when it first came."""
    first = next(reign.first for reign in served if reign.standing.version == now.version)
    target = standing_before(lake, first)
    if target is None:
        raise MissingPartition(
            f"Nothing served before {first}: there is nothing to go back to. Next: dayfold "
            "history, or `dayfold run --cascade` from a day whose raw files you have mended."
        )
    return _Way(target, _since(served, first))


def _before_day(
    lake: Lake,
    served: list[Reign],
    day: str,
    now: Standing,
    learned: frozenset[int],
    tested: frozenset[int],
) -> _Way:
    """To what `day` began with, else to the first version if it was trained on days before `day`.

    What serves stays where `day` had no say in it, as after going back past it: it was neither
    trained on it nor passed its gate by its labels. And where all have learned of it. The day is
    blocked all the same.
    """
    target = standing_before(lake, day)
    if now.version not in tested and target is not None and target.version != now.version:
        heads = {scorer: head for scorer, head in now.heads.items() if head not in tested}
        return _Way(replace(now, heads={**target.heads, **heads}), tested)
    if target is None and served[0].standing.version not in learned:
        target = served[0].standing
    if target is None:
        return _Way(now, frozenset())
    return _Way(target, _since(served, day) | tested)


def _past_blocked(way: _Way, served: list[Reign], day: str, blocked: frozenset[int]) -> _Way:
    """`way`, further back where what `day` began with was found bad before."""
    if way.target.version not in blocked:
        return way
    earlier = [reign.standing for reign in served if reign.first < day]
    usable = [standing for standing in earlier if standing.version not in blocked]
    return replace(way, target=usable[-1]) if usable else way


def _since(served: list[Reign], day: str) -> frozenset[int]:
    """What began to serve on `day` or later."""
    return _new_in(
        [reign for reign in served if reign.first >= day],
        [reign for reign in served if reign.first < day],
    )


def _new_in(later: list[Reign], earlier: list[Reign]) -> frozenset[int]:
    """Versions that served later and not earlier: what came back by hand was not found bad."""
    before = {reign.standing.version for reign in earlier}
    return frozenset(reign.standing.version for reign in later) - before


def _require_built(lake: Lake, day: str, published: str, blocked: frozenset[str]) -> None:
    built = sorted(ds for ds, row in closed_days(lake).items() if row.state != "waived")
    if day not in built or day > published:
        raise MissingPartition(
            f"--day {day}: expected a day that was built, from {built[0]} to {published}. Next: "
            "dayfold status"
        )
    if day in blocked:
        raise OrderError(
            f"{day} is blocked already. Next: dayfold release --day {day} --reason WHY"
        )
