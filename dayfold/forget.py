"""Forgetting a user: what is there, and the way from the tombstone to nothing left.

The tombstone comes first, so that nothing is taken in any more; then come the lake, the online
store and the registry. Killed anywhere, the same command goes on.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from conf.errors import ConcurrentWrite, OrderError
from dayfold.day import OPENING, STEPS
from dayfold.workplace import Workplace
from feature_store.erasure import (
    count_forgotten,
    erase_rows,
    in_order,
    purge,
    repoint_ledger,
)
from feature_store.lake import Lake
from feature_store.ledger import begun_days, closed_days
from feature_store.locks import erasing
from feature_store.online import open_online_store
from feature_store.promotion_ledger import blocked_now
from feature_store.tables import (
    CANDIDATES,
    EVENTS,
    EXAMPLES,
    INTAKE,
    PROFILES,
    STEP_RUNS,
)
from feature_store.tombstones import (
    Tombstone,
    drop_earlier_states,
    put_tombstone,
    tombstone_of,
    tombstones,
)
from feature_store.traces import Person, Traces, person_of, persons_traces

if TYPE_CHECKING:
    from training.registry.registry import Registry

Say = Callable[[str], None]

_ONCE_A_DAY = frozenset({s.name for s in STEPS if s.engine == "spark"} | {"score_day", "recommend"})
"""Steps that a published day has finished, whose rows can be a user's."""


@dataclass(frozen=True)
class Findings:
    """A user's traces."""

    person: Person
    tables: list[Traces]
    """Those with traces."""
    online: int
    """Entries in the online store."""
    model_versions: list[int]
    """Registered versions that trained on the user's examples, whether a day names them or not."""
    raw_days: list[str]
    """Days whose raw files hold rows of the user that were clean."""

    @property
    def rows(self) -> dict[str, int]:
        """Rows of the current versions, by table key."""
        return {found.table.key: sum(found.rows.values()) for found in self.tables if found.rows}


def look(workplace: Workplace, user_id: str) -> Findings:
    """The traces of the user with this pseudonym; reads every file of the lake, asks the registry.

    Raises:
        RegistryError: the registered model belongs to another lake.
    """
    lake = workplace.lake()
    person = person_of(lake, user_id)
    tables = [found for found in persons_traces(lake, person) if found]
    return Findings(
        person,
        tables,
        open_online_store(workplace.settings).entries_of(user_id),
        _versions_since(workplace, lake, min(_days_of(tables, EXAMPLES.key), default=None)),
        sorted(_days_of(tables, EVENTS.key) | _days_of(tables, PROFILES.key)),
    )


def forget(workplace: Workplace, user_id: str, reason: str, say: Say) -> Tombstone:
    """Forget the user with this pseudonym; the finished tombstone.

    Args:
        workplace: settings and dataset.
        user_id: the pseudonym.
        reason: kept with the tombstone.
        say: takes one line for people after each part.

    Raises:
        OrderError: a day is being run; the tombstone stands, nothing is erased yet.
        RegistryError: the registered model belongs to another lake; the same.
        ConcurrentWrite: another process wrote meanwhile; the same command goes on.
    """
    lake = workplace.lake()
    with erasing(lake.root):
        stone = _begun(lake, user_id, reason)
        say(f"Tombstone of {user_id}: from now on nothing of this user is taken in")
        _require_no_open_day(lake)
        found = look(workplace, user_id)
        stone = _merged(stone, found)
        put_tombstone(lake, stone)
        _erase_lake(lake, found, say)
        _erase_elsewhere(workplace, lake, user_id, say)
        left = look(workplace, user_id)
        if left.tables or left.online:
            where = ", ".join(
                [t.table.key for t in left.tables] + ["online store"] * bool(left.online)
            )
            raise ConcurrentWrite(
                f"Rows of the user came back while they were being erased ({where}): another "
                "process was writing. Next: run the same command again when it has ended."
            )
        done = replace(stone, state="done", finished_at=datetime.now(UTC), raw_days=())
        put_tombstone(lake, done)
        drop_earlier_states(lake, done)
    return replace(done, raw_days=stone.raw_days)


def days_in_progress(lake: Lake) -> list[str]:
    """Days that were begun and are not closed, or of which a step is being run again."""
    delta = lake.delta(STEP_RUNS)
    finished: dict[str, set[str]] = {}
    for part in [] if delta is None else delta.partitions():
        finished.setdefault(part["ds"], set()).add(part["step"])
    closed = closed_days(lake)
    # A day that was opened again has rows, and no finished step.
    open_days = {*finished, *begun_days(lake)} - closed.keys()
    again = {
        ds
        for ds, steps in finished.items()
        if ds in closed and closed[ds].state == "published" and _ONCE_A_DAY - steps
    }
    return sorted(open_days | again)


# ---- parts -------------------------------------------------------------------------------------


def _begun(lake: Lake, user_id: str, reason: str) -> Tombstone:
    now = datetime.now(UTC)
    stone = tombstone_of(lake, user_id) or Tombstone(now.date().isoformat(), user_id, now, reason)
    if stone.state == "done":
        stone = replace(stone, state="begun", finished_at=None)
    put_tombstone(lake, stone)
    return stone


def _require_no_open_day(lake: Lake) -> None:
    days = days_in_progress(lake)
    steps = lake.read(STEP_RUNS, days).column("step").to_pylist()
    if steps and OPENING.name not in steps:
        raise OrderError(
            f"Erasing waits: the history from {days[0]} on is being built, or was left halfway. "
            "The tombstone stands: no later cleaning takes the user in. Next: run the command with "
            "--history-from again, then this one."
        )
    if days:
        raise OrderError(
            f"Erasing waits: {days[0]} is being run, or was begun and not closed ({len(days)} such "
            "day(s)). The tombstone stands: no later cleaning takes the user in. Next: "
            f"`dayfold run --from {days[0]} --to {days[0]} --force`, or "
            f'`dayfold day waive {days[0]} --reason "..."`, then the same command again.'
        )


def _merged(stone: Tombstone, found: Findings) -> Tombstone:
    """`stone` with what was found now; a run that was killed had found more."""
    keys = stone.removed.keys() | found.rows.keys()
    return replace(
        stone,
        removed={key: max(stone.removed.get(key, 0), found.rows.get(key, 0)) for key in keys},
        model_versions=tuple(sorted({*stone.model_versions, *found.model_versions})),
        raw_days=tuple(sorted({*stone.raw_days, *found.raw_days})),
    )


def _erase_lake(lake: Lake, found: Findings, say: Say) -> None:
    tables = in_order(found.tables)
    for traces in tables:
        rows = erase_rows(lake, traces, found.person)
        say(f"{traces.table.key}: {rows:,} rows of {len(traces.rows)} days")
    if not tables:
        return
    corrected = count_forgotten(lake)
    say(f"{INTAKE.key}: {corrected} days count them as forgotten")
    renamed = repoint_ledger(lake, [*(traces.table for traces in tables), INTAKE])
    say(f"clean.ledger: {renamed} days name versions without the user")
    for traces in in_order(_files_left(lake, found)):
        say(f"{traces.table.key}: {purge(traces)} old files deleted")


def _files_left(lake: Lake, found: Findings) -> list[Traces]:
    """What is left of the tables of `found`: files of earlier versions."""
    return persons_traces(lake, found.person, [traces.table for traces in found.tables])


def _erase_elsewhere(workplace: Workplace, lake: Lake, user_id: str, say: Say) -> None:
    removed = open_online_store(workplace.settings).remove_user(user_id)
    say(f"online store: {removed} entries")
    audits = workplace.home / "audit"
    if audits.exists():
        shutil.rmtree(audits)
        say(f"{audits}: copies that `dayfold audit leaks` kept are deleted")
    if not _has_trained(lake):
        return
    from training.registry.erasure import blank_snapshots, mark_versions
    from training.registry.registry import Registry

    registry = Registry(workplace.settings, lake.id)
    snapshots = blank_snapshots(registry, workplace.settings, lake.id, user_id)
    say(f"model registry: {snapshots} snapshots lost the user")
    if _released_again(workplace, lake, registry):
        say("release: what serves is released again, so that running servers lose the user too")
    knew = Counter(version for stone in tombstones(lake) for version in stone.model_versions)
    marked = mark_versions(registry, lake.id, knew)
    say(
        f"model registry: {len(marked)} versions are tagged with how many forgotten users they knew"
    )


def _released_again(workplace: Workplace, lake: Lake, registry: Registry) -> bool:
    """Give the release another etag: no server sees that its files were changed where they lie."""
    from feature_store.champion import standing_after
    from training.light.release import RELEASE
    from training.registry.pool import pool_of
    from training.registry.release import write_release

    folder = workplace.settings.path(workplace.settings.serving.release)
    published = [ds for ds, row in closed_days(lake).items() if row.state == "published"]
    standing = standing_after(lake, max(published)) if published else None
    if standing is None or not (folder / RELEASE).exists():
        return False
    blocked = blocked_now(lake).versions
    write_release(registry, pool_of(registry, standing.version, blocked), folder)
    return True


def _days_of(tables: list[Traces], key: str) -> set[str]:
    """The days on which a table holds the user, in whatever version."""
    days: set[str] = set()
    for found in tables:
        if found.table.key == key:
            days |= set(found.rows)
            folders = (part for path in found.leftovers for part in path.parts)
            days |= {part.removeprefix("ds=") for part in folders if part.startswith("ds=")}
    return days


def _versions_since(workplace: Workplace, lake: Lake, first_day: str | None) -> list[int]:
    """Registered versions whose training reached `first_day`, found before its rows are erased.

    The registry is asked: a day that was run again names the versions of its last run only.
    """
    if first_day is None or not _has_trained(lake):
        return []
    from training.registry.registry import Registry
    from training.registry.versions import versions_trained_since

    return versions_trained_since(Registry(workplace.settings, lake.id), lake.id, first_day)


def _has_trained(lake: Lake) -> bool:
    """Whether there can be a model; else MLflow is not asked."""
    return lake.version(CANDIDATES) >= 0
