"""A/B: what users took of what they were shown, by the version that showed it.

Shown is what stood in the list that was published the evening before, or what a server's log says
was answered on the day. The unit is the user, for it is users whom a sticky pool draws: of several
days a user's mean counts. Everybody who was shown something counts, active or not,
because whether they come back may be the lists' doing. The interval of a difference is Welch's, for
two samples of unequal variance: Welch (1947), "The generalization of Student's problem when several
different population variances are involved", Biometrika 34.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.lake import Lake
from feature_store.tables import EVERYBODY
from training.measures.lists import lists_before
from training.measures.positives import distinct_pairs, positive_events
from training.scoring.metrics import Floats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Arm:
    """What one version's users did, per day on which it showed them something."""

    version: str
    users: int
    hits: float
    """Shown items that were taken, per user and day."""
    active: float
    """Share of days on which a user took anything, shown or not."""
    difference: float | None = None
    """Of `hits`, to the reference's; None for the reference itself."""
    low: float | None = None
    high: float | None = None
    """Interval of `difference` at `CONFIDENCE`; None where nothing varies."""


@dataclass(frozen=True)
class LogArms:
    """The arms of a server's log, and what of it does not count."""

    arms: list[Arm]
    """One per version; none where one alone answered."""
    unknown: list[str]
    """Days of the log of which nothing is known yet."""
    moved: int
    """Users whom several versions answered: in two arms they would be no separate samples."""


def arms_of_lists(lake: Lake, days: Iterable[str], reference: int) -> list[Arm]:
    """One row per version whose lists users saw; none where one made them all.

    The last of `days` count, as far back as the same versions made lists. Users whom a change of
    the weights gave another version are left out: whom it moves does not depend on what they do.

    Args:
        lake: holds lists and events.
        days: those on which the lists were seen: what counts was taken then.
        reference: the version that the others are compared with; where it made none, the one with
            the most users.
    """
    told: dict[str, pa.Table] = {}
    versions: set[str] = set()
    for ds in sorted(days, reverse=True):
        shown = _lists(lake, ds)
        there = set(pc.unique(shown["version"]).to_pylist())
        if len(there) <= 1 or (versions and there != versions):
            break  # days of another pool compare others, and would mix days unequally
        told, versions = {ds: shown, **told}, there
    return _arms(lake, _without(told, _of_several_versions(told)), str(reference))


def arms_of_log(
    lake: Lake, answered: pa.Table, reference: str | None, days: Iterable[str]
) -> LogArms:
    """The same of what a server's log says was answered, by the version's name.

    Users whom several versions answered are left out here too. Where each request draws its
    version, that may be all who came twice: such a log says little of the versions.

    Args:
        lake: holds the events.
        answered: from `training.measures.answer_log.shown_by_log`.
        reference: the version that the others are compared with; where it answered nobody, the one
            with the most users.
        days: those of which the lake knows what was taken.
    """
    logged, known = set(pc.unique(answered["ds"]).to_pylist()), set(days)
    shown = {
        ds: answered.filter(pc.equal(answered["ds"], ds)).drop_columns("ds")
        for ds in sorted(logged & known)
    }
    moved = _of_several_versions(shown)
    return LogArms(
        _arms(lake, _without(shown, moved), reference), sorted(logged - known), len(moved)
    )


def _of_several_versions(shown: Mapping[str, pa.Table]) -> pa.Array:
    """Users whom more than one version showed something."""
    if not shown:
        return pa.array([], pa.string())
    pairs = pa.concat_tables([table.select(["user_id", "version"]) for table in shown.values()])
    counted = pairs.group_by("user_id").aggregate([("version", "count_distinct")])
    several = counted.filter(pc.greater(counted["version_count_distinct"], 1))["user_id"]
    return several.combine_chunks()


def _without(shown: Mapping[str, pa.Table], users: pa.Array) -> dict[str, pa.Table]:
    """What was shown to others than `users`."""
    return {
        ds: table.filter(pc.invert(pc.is_in(table["user_id"], users)))
        for ds, table in shown.items()
    }


def _lists(lake: Lake, ds: str) -> pa.Table:
    """user_id, version, item_id of the lists of the last day before `ds`, without that for all."""
    lists = lists_before(lake, ds)
    if lists is None:
        names = ("user_id", "version", "item_id")
        return pa.table({name: pa.array([], pa.string()) for name in names})
    own = lists.filter(pc.not_equal(lists["user_id"], EVERYBODY))
    version = own["model_version"].cast(pa.string())
    return pa.table({"user_id": own["user_id"], "version": version, "item_id": own["item_id"]})


def _arms(lake: Lake, shown: Mapping[str, pa.Table], reference: str | None) -> list[Arm]:
    days = [_of_day(lake, ds, table) for ds, table in shown.items()]
    if not days:
        return []
    sums = (
        pa.concat_tables(days)
        .group_by(["version", "user_id"])
        .aggregate([("hits", "mean"), ("active", "mean")])
        .sort_by([("version", "ascending"), ("user_id", "ascending")])
    )
    arms = {}
    for version in pc.unique(sums["version"]).to_pylist():
        mine = sums.filter(pc.equal(sums["version"], version))
        arms[version] = (mine["hits_mean"].to_numpy(), mine["active_mean"].to_numpy())
    return _compared(arms, reference)


def _of_day(lake: Lake, ds: str, shown: pa.Table) -> pa.Table:
    """version, user_id, hits, active of everybody who was shown something on `ds`."""
    events = positive_events(lake, [ds], ["user_id", "item_id", "event_ds"])
    taken = distinct_pairs(events.filter(pc.equal(events["event_ds"].cast(pa.string()), ds)))
    hits = shown.join(
        taken.select(["user_id", "item_id"]), ["user_id", "item_id"], join_type="inner"
    )
    counted = hits.group_by(["version", "user_id"]).aggregate([("item_id", "count")])
    users = shown.group_by(["version", "user_id"]).aggregate([])
    users = users.join(counted, ["version", "user_id"])
    active = pc.is_in(users["user_id"], taken["user_id"].combine_chunks())
    return pa.table(
        {
            "version": users["version"],
            "user_id": users["user_id"],
            "hits": pc.fill_null(users["item_id_count"], 0).cast(pa.float64()),
            "active": active.cast(pa.float64()),
        }
    )


def _compared(arms: Mapping[str, tuple[Floats, Floats]], reference: str | None) -> list[Arm]:
    """Arms from each user's hits and activity, (U,) each, in the order of their versions."""
    if len(arms) <= 1:
        return []
    if reference is None or reference not in arms:
        reference = max(arms, key=lambda version: len(arms[version][0]))
    base = arms[reference][0]
    compared = []
    for version, (hits, active) in sorted(arms.items(), key=lambda one: (len(one[0]), one[0])):
        arm = Arm(version, len(hits), float(hits.mean()), float(active.mean()))
        compared.append(arm if version == reference else _against(arm, hits, base))
    return compared


def _against(arm: Arm, hits: Floats, base: Floats) -> Arm:
    from scipy.stats import ttest_ind  # takes a moment to import

    arm = replace(arm, difference=float(hits.mean() - base.mean()))
    if min(len(hits), len(base)) <= 1 or not np.ptp(hits) + np.ptp(base) > 0:
        return arm
    interval = ttest_ind(hits, base, equal_var=False).confidence_interval(CONFIDENCE)
    return replace(arm, low=float(interval.low), high=float(interval.high))
