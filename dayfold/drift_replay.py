"""Past days decided again under other settings of `drift`, before a team switches them on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml
from pydantic import ValidationError

from conf.drift import DriftSettings
from conf.errors import ConfigError, MissingPartition
from dayfold.workplace import Workplace
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.step import StepContext
from feature_store.tables import CANDIDATES, DRIFT
from training.drift.outcome import DriftDecision, PastDecision


@dataclass(frozen=True)
class Replayed:
    """One day: what was decided, and what the other settings decide."""

    ds: str
    was: str
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
    """Each day from `first` to `last` that has a decision, decided by `drift`; nothing is written.

    Days were scored by the champions that there were, which is what they are decided from. When a
    training was last, and what the days before decided, is what this replay decided. The settings
    that there were decide what was decided.

    Raises:
        MissingPartition: no day of these has a decision.
    """
    from training.check_drift import days_left_out, last_training, seen
    from training.drift.decision import decide
    from training.drift.past import past_of

    lake = workplace.existing_lake()
    days = _decided_days(lake, first, last)
    was = {row["ds"]: row for row in lake.read(DRIFT, days).to_pylist()}
    candidates = lake.days(CANDIDATES)
    trained = set(candidates) - set(days)
    settings = workplace.settings.model_copy(update={"drift": drift})
    sampled = workplace.dataset.labels.kind == "sampled"
    past: list[PastDecision] = []
    for ds in days:
        context = StepContext((ds,), lake, workplace.dataset, settings)
        left_out = days_left_out(context)
        today, history = seen(context, left_out)
        since = shift(ds, -drift.reference_days)
        history = replace(
            history,
            decisions=(
                *(one for one in history.decisions if one.ds < days[0]),
                *(one for one in past if one.ds >= since and one.ds not in left_out),
            ),
            last_training=last_training(trained, ds, left_out),
        )
        now = decide(ds, today, history, drift, sampled=sampled)
        past.append(past_of(ds, now))
        # a day that was to train and has no candidate had nothing to train on; one that has a
        # candidate against its decision was trained by hand, or ends a history that was built
        if (ds in candidates) if was[ds]["train"] == now.train else now.train:
            trained.add(ds)
        yield Replayed(ds, was[ds]["decision"], was[ds]["train"], now)


def _decided_days(lake: Lake, first: str, last: str) -> list[str]:
    decided = lake.days(DRIFT)
    days = [ds for ds in decided if first <= ds <= last]
    if not days:
        there = f"decided are {decided[0]} to {decided[-1]}" if decided else "no day is decided yet"
        raise MissingPartition(
            f"No day from {first} to {last} has a drift decision: {there}. Next: dayfold status"
        )
    return days
