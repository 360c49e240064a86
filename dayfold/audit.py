"""The leak audit: a day's rows, features and models must not change with what comes after it.

The log is built twice into a scratch home, as it is and with everything after one day poisoned:
first all days in bulk, which is where a window can look ahead, then the day by itself, with all
later days in the lake. What both builds hold up to the day is compared.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from conf.cleaning import Response, SchemaDrift
from conf.dataset import DatasetConfig
from conf.errors import ConfigError, OrderError, SourceError, TrainingError
from conf.fields import STREAMS
from dayfold.poison import material_of, write_poisoned_day
from dayfold.workplace import Workplace
from feature_store.days import days_between, shift
from feature_store.raw_zone import RawZone
from feature_store.step import Step, StepContext, resolve
from feature_store.tables import VOCABULARIES, Table
from feature_store.tombstones import put_tombstone, tombstones
from pipelines.steps import STEPS

SEED = 7
IN_BULK, BY_ITSELF = "in bulk", "by itself"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Span:
    """The days of an audit."""

    first: str
    ds: str
    """The last day whose rows must not change."""
    last: str
    """The last day that is built."""

    @property
    def known(self) -> tuple[str, ...]:
        """The days that are compared."""
        return tuple(days_between(self.first, self.ds))

    @property
    def all(self) -> tuple[str, ...]:
        """The days that are built."""
        return tuple(days_between(self.first, self.last))


@dataclass(frozen=True)
class Compared:
    """One table, or what one scorer was trained on and became, in both builds."""

    what: str
    build: str
    """How the days were built: IN_BULK or BY_ITSELF."""
    days: int
    rows: int
    outcome: str
    """same, different, or not compared."""
    detail: str = ""
    """The first difference with its day, or why nothing was compared."""


@dataclass(frozen=True)
class Audit:
    """What was compared, and where the two builds are if they were kept."""

    compared: tuple[Compared, ...]
    kept: tuple[Workplace, Workplace] | None

    @property
    def passed(self) -> bool:
        """Whether everything was compared and nothing differed."""
        return all(row.outcome == "same" for row in self.compared)


def span_of(zone: RawZone, ds: str, first: str | None, later: int) -> Span:
    """The days to audit; from the first one of the raw zone where `first` is not given.

    Raises:
        OrderError: `ds` is not complete.
        ConfigError: `first` lies after `ds`.
    """
    zone.require_complete([ds])
    first = first or zone.complete_days()[0]
    if first > ds:
        raise ConfigError(f"--from {first} lies after --day {ds}. Next: exchange the two.")
    return Span(first, ds, shift(ds, later))


def audit_leaks(workplace: Workplace, span: Span, say: Say, *, keep: bool = False) -> Audit:
    """Build the log of `span` twice and compare what lies at or before its day.

    The user's raw zone and lake are only read. A scratch home under Dayfold's home holds the
    builds; it is deleted at the end unless `keep`.

    Raises:
        ConfigError: another audit of this day is running, or there is no key for the user ids.
        DayfoldError: whatever a step refuses.
    """
    with _scratch(workplace, span.ds, keep=keep) as folder:
        plain = _copy(workplace, folder / "as-it-is")
        poisoned = _copy(workplace, folder / "poisoned")
        _link_days(workplace.raw_zone(), plain, span.all)
        _timed(say, f"{span.first} to {span.last} in bulk", partial(build, plain, span.all))
        _poison(workplace, poisoned, span)
        said = f"the same with everything after {span.ds} poisoned"
        _timed(say, said, partial(build, poisoned, span.all))
        compared = compare_tables(plain, poisoned, span.known, IN_BULK)
        for copy in (plain, poisoned):
            said = f"{span.ds} by itself, later days there"
            try:
                _timed(say, said, partial(build, copy, [span.ds]))
            except OrderError as error:
                # Ids that depend on later days clash with those that these days have given.
                name = VOCABULARIES.key
                compared.append(Compared(name, BY_ITSELF, 1, 0, "different", str(error)))
        compared += compare_tables(plain, poisoned, [span.ds], BY_ITSELF)
        for scorer in workplace.settings.training.scorers:
            compared += compare_training(plain, poisoned, scorer, span)
        return Audit(tuple(compared), (plain, poisoned) if keep else None)


def build(workplace: Workplace, days: Sequence[str]) -> None:
    """Run every Spark step for `days`."""
    for step in _spark_steps():
        context = StepContext(tuple(days), workplace.lake(), workplace.dataset, workplace.settings)
        resolve(step.entry)(context)


def compare_tables(
    plain: Workplace, poisoned: Workplace, days: Sequence[str], how: str
) -> list[Compared]:
    """Every table that Spark steps write, day by day."""
    return [
        _compared(table, plain, poisoned, days, how)
        for step in _spark_steps()
        for table in step.writes
    ]


def compare_training(
    plain: Workplace, poisoned: Workplace, scorer: str, span: Span
) -> list[Compared]:
    """One pass of `scorer` over the days up to the audited one: inputs and weights, bytes."""
    from training.fitting.footprint import footprint

    days = len(span.known)
    training = plain.settings.training.model_copy(update={"bootstrap_epochs": 1})
    try:
        was, now = (
            footprint(copy.lake(), training, scorer, shift(span.ds, 1))
            for copy in (plain, poisoned)
        )
    except TrainingError as error:
        return [Compared(f"{scorer}", BY_ITSELF, days, 0, "not compared", str(error))]
    rows = []
    for what, before, after in (
        ("inputs", was.inputs, now.inputs),
        ("weights", was.weights, now.weights),
    ):
        names = sorted({name for name, _ in before.items() ^ after.items()})
        outcome = "different" if names else "same"
        detail = f"{len(names)} of {len(before)}, the first is {names[0]}" if names else ""
        rows.append(Compared(f"{what} of {scorer}", BY_ITSELF, days, was.rows, outcome, detail))
    return rows


def _compared(
    table: Table, plain: Workplace, poisoned: Workplace, days: Sequence[str], how: str
) -> Compared:
    from feature_store.same_rows import first_difference

    rows = 0
    for ds in days:
        was, now = (copy.lake().read(table, [ds]) for copy in (plain, poisoned))
        rows += was.num_rows
        difference = first_difference(table, was, now)
        if difference is not None:
            detail = f"ds={ds}: {difference}"
            return Compared(table.key, how, days.index(ds) + 1, rows, "different", detail)
    return Compared(table.key, how, len(days), rows, "same")


def _spark_steps() -> list[Step]:
    return [step for step in STEPS if step.engine == "spark"]


# ---- the two copies -----------------------------------------------------------------------------


@contextmanager
def _scratch(workplace: Workplace, ds: str, *, keep: bool) -> Iterator[Path]:
    """An empty folder of this audit's own; what a killed one left is removed first."""
    root = workplace.home / "audit"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / f"{workplace.dataset.name}-{ds}"
    with (root / f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"Another audit of {ds} writes to {folder}. Next: wait for it, or end it."
            ) from error
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield folder
        finally:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)


def _copy(workplace: Workplace, folder: Path) -> Workplace:
    """The workplace with a raw zone and a lake of its own under `folder`."""
    settings = workplace.settings
    places = {"home": str(folder), "raw": "{home}/raw", "lake": "{home}/lake"}
    key = {"key_file": str(settings.path(settings.key_file))}
    copied = Workplace(settings.model_copy(update=places | key), _tolerant(workplace.dataset))
    for stream in STREAMS:
        (copied.raw_root / stream).mkdir(parents=True)
    for stone in tombstones(workplace.lake()):
        put_tombstone(copied.lake(), stone)
    return copied


def _tolerant(dataset: DatasetConfig) -> DatasetConfig:
    """`dataset` without limits: poison is dirty, has other fields, and must not end a build."""
    no_limit = {"warn_above": None, "fail_above": None}
    rules = {
        name: rule.model_copy(update=no_limit) for name, rule in dataset.cleaning.rules.items()
    }
    ignored: dict[str, Response] = dict.fromkeys(SchemaDrift.model_fields, "ignore")
    relaxed = {"rules": rules, "schema_drift": SchemaDrift.model_validate(ignored)}
    cleaning = dataset.cleaning.model_copy(update=relaxed)
    return dataset.model_copy(update={"cleaning": cleaning})


def _link_days(zone: RawZone, copied: Workplace, days: Sequence[str]) -> None:
    """Give `copied` the complete ones of `days`, as links where the file system has them."""
    for ds in days:
        for stream in STREAMS:
            folder = copied.raw_root / stream / f"ds={ds}"
            folder.mkdir()
            for file in zone.files(stream, ds) if zone.is_complete(ds) else ():
                _link(file, folder / file.name)
            (folder / "_SUCCESS").touch()


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file.resolve(), target)
    except OSError:
        shutil.copyfile(file, target)


def _poison(workplace: Workplace, poisoned: Workplace, span: Span) -> None:
    """Give `poisoned` the known days as they are, and poison for those after them.

    One day more than is built lies there: a step that lists the raw zone would find it.
    """
    zone = workplace.raw_zone()
    _link_days(zone, poisoned, span.known)
    material = material_of(zone, workplace.dataset, span.first, span.ds, span.last)
    if not material.events:
        raise SourceError(
            f"No event of {span.first} to {span.last} in {zone.root} can be read: there is nothing "
            "to poison the later days with. Next: the same command with a --day that has events."
        )
    for ds in days_between(shift(span.ds, 1), shift(span.last, 1)):
        write_poisoned_day(poisoned.raw_root, ds, material, workplace.dataset, SEED)


def _timed(say: Say, what: str, work: Callable[[], None]) -> None:
    started = time.perf_counter()
    work()
    say(f"built {what} ({time.perf_counter() - started:.0f} s)")
