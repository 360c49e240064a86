"""What is still to be logged to a run, given what it holds already. No MLflow in here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


def day_points(day: int, metrics: Mapping[str, float]) -> Iterator[Point]:
    """One point per metric at step `day` (days since 1970); always the same for the same numbers.

    The registry ignores a point that it holds, so that a day logged twice is there once. Numbers
    are rounded to ten digits for that; those that are not finite are left out.
    """
    for name, value in metrics.items():
        if math.isfinite(value):
            yield Point(name, _rounded(value), day * MILLISECONDS_PER_DAY, day)


def run_points(
    day: int,
    metrics: Mapping[str, float],
    series: Mapping[str, Sequence[float]],
    known: Mapping[str, float],
    now: int,
) -> Iterator[Point]:
    """One point per metric (step 0) and per step of each series, as for `day_points`.

    Args:
        day: days since 1970.
        metrics: one value per name.
        series: values per step per name.
        known: the values that the run shows now; what differs is stamped with `now`, because
            the youngest point is the one that is shown.
        now: milliseconds since 1970.
    """
    for name, values in {**{name: [value] for name, value in metrics.items()}, **series}.items():
        last = _rounded(values[-1]) if values else 0.0
        changed = name in known and known[name] != last
        for step, value in enumerate(values):
            if math.isfinite(value):
                stamp = now if changed else day * MILLISECONDS_PER_DAY
                yield Point(name, _rounded(value), stamp, step)


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


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
