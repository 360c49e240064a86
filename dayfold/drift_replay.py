"""Past days decided again under other settings of `drift`, before a team switches them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml
from pydantic import ValidationError

from conf.drift import DriftSettings
from conf.errors import ConfigError, MissingPartition
from dayfold.workplace import Workplace
from feature_store.step import StepContext
from feature_store.tables import DRIFT, SKETCHES
from training.drift.outcome import DriftDecision, PastDecision


@dataclass(frozen=True)
class Replayed:
    """One day: what was decided, and what the other settings decide."""

    ds: str
    was: str
    """`-` where the day has no decision."""
    trained: bool
    now: DriftDecision


def changed_settings(drift: DriftSettings, given: Sequence[str]) -> DriftSettings:
    """`drift` with what the command line says, such as `alpha=0.01`.

    Raises:
        ConfigError: a name or a value is wrong.
    """
    values: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.removeprefix("drift.").partition("=")
        if not equals or name not in DriftSettings.model_fields:
            known = ", ".join(DriftSettings.model_fields)
            raise ConfigError(f"--set {one}: expected NAME=VALUE, where NAME is one of {known}.")
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {one}: {text!r} is no value.") from error
    try:
        return DriftSettings.model_validate({**drift.model_dump(), **values})
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0]) if first["loc"] else ""
        said = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"--set {where}={first['input']}: {said}" if where else said) from error


def replay(workplace: Workplace, first: str, last: str, drift: DriftSettings) -> Iterator[Replayed]:
    """Each day from `first` to `last` with sketches, decided by `drift`; nothing is written.

    Days were scored by the champions that there were, which is what they are decided from. When a
    training was last, and what the days before decided, is what this replay decided.

    Raises:
        MissingPartition: no day of these was scored.
    """
    from training.check_drift import days_left_out, seen
    from training.drift.decision import decide
    from training.drift.past import past_of

    lake = workplace.existing_lake()
    decided = {row["ds"]: row for row in lake.read(DRIFT, lake.days(DRIFT)).to_pylist()}
    days = [ds for ds in lake.days(SKETCHES) if first <= ds <= last]
    if not days:
        scored = lake.days(SKETCHES)
        there = f"scored are {scored[0]} to {scored[-1]}" if scored else "none was scored yet"
        raise MissingPartition(
            f"No day from {first} to {last} was scored by a champion: {there}. Next: dayfold status"
        )
    settings = workplace.settings.model_copy(update={"drift": drift})
    sampled = workplace.dataset.labels.kind == "sampled"
    past: list[PastDecision] = []
    for ds in days:
        context = StepContext((ds,), lake, workplace.dataset, settings)
        today, history = seen(context, days_left_out(context))
        before = [one for one in history.decisions if one.ds < days[0]] + past
        trained = [one.ds for one in past if one.train]
        earlier = history.last_training if not past else _before(history.last_training, days[0])
        history = replace(
            history,
            decisions=tuple(before),
            last_training=trained[-1] if trained else earlier,
        )
        now = decide(ds, today, history, drift, sampled=sampled)
        past.append(past_of(ds, now))
        row: Mapping[str, Any] = decided.get(ds, {"decision": "-", "train": False})
        yield Replayed(ds, row["decision"], row["train"], now)


def _before(day: str | None, first: str) -> str | None:
    """`day` if it lies before `first`: later ones are what was, not what is replayed."""
    return day if day is not None and day < first else None
