"""What is still to be logged to a run, given what it holds already. No MLflow in here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_POINTS = 1_000
"""Most points of one series: more than a chart can show, and soon written."""
_DIGITS = 10
MILLISECONDS_PER_DAY = 86_400_000


@dataclass(frozen=True)
class Point:
    """One value of one metric."""

    name: str
    value: float
    timestamp: int
    """Milliseconds since 1970."""
    step: int


def latest_points(history: Iterable[Point]) -> dict[int, Point]:
    """What a run shows at each step: of several points the youngest."""
    shown: dict[int, Point] = {}
    for point in sorted(history, key=lambda point: (point.timestamp, point.value)):
        shown[point.step] = point
    return shown


def thinned(values: Sequence[float]) -> dict[int, float]:
    """At most MOST_POINTS of a series by step: each second, fourth, eighth, ... and the last."""
    every = 1
    while len(values) > every * (MOST_POINTS - 1):
        every *= 2
    steps = [*range(0, len(values), every), *range(len(values))[-1:]]
    return {step: values[step] for step in steps}


def as_long_as(values: Sequence[float], shown: Mapping[int, Point]) -> dict[int, float]:
    """A thinned series by step, and a value for every other step that the run shows already.

    That is the series' own, beyond its end the last. A run forgets no point: without that, points
    of another try, and the end of a longer one, would be taken for this one's.
    """
    steps = {step: values[min(step, len(values) - 1)] for step in shown if values}
    return thinned(values) | steps


def new_points(
    wanted: Mapping[str, Mapping[int, float]],
    held: Mapping[str, Mapping[int, Point]],
    day: int,
    now: int,
) -> Iterator[Point]:
    """The points that make a run show `wanted` (values by step by name).

    Numbers are rounded to ten digits; those that are not finite are left out.

    Args:
        wanted: what is to be shown.
        held: what is shown at each step; what is equal is not logged again.
        day: days since 1970, the time of a step's first point.
        now: milliseconds since 1970, the time of a point that takes another's place, because the
            youngest one is shown.
    """
    for name, values in wanted.items():
        shown = held.get(name, {})
        for step, value in values.items():
            number = float(f"{value:.{_DIGITS}g}")
            there = shown.get(step)
            if there is None and math.isfinite(number):
                yield Point(name, number, day * MILLISECONDS_PER_DAY, step)
            elif there is not None and math.isfinite(number) and there.value != number:
                yield Point(name, number, max(now, there.timestamp + 1), step)


def new_params(
    params: Mapping[str, object], known: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters that are not there yet; and those that differ, as tags `changed.<name>`.

    A run keeps the first value of a parameter for good.
    """
    texts = {name: str(value)[:6000] for name, value in params.items()}
    fresh = {name: text for name, text in texts.items() if name not in known}
    changed = {
        f"changed.{name}": text
        for name, text in texts.items()
        if name in known and known[name] != text
    }
    return fresh, changed


def batches(
    metrics: list[Any], params: list[Any], tags: list[Any]
) -> Iterator[tuple[list[Any], list[Any], list[Any]]]:
    """What is to be logged, in parts that one call of MLflow takes (1,000 entries, 100 params)."""
    while metrics or params or tags:
        yield metrics[:800], params[:100], tags[:100]
        metrics, params, tags = metrics[800:], params[100:], tags[100:]
