"""What is still to be logged, by hand."""

from __future__ import annotations

import pytest

from training.registry.run_log import (
    MILLISECONDS_PER_DAY,
    Point,
    as_long_as,
    latest_points,
    new_points,
    thinned,
)

NAN = float("nan")


def test_of_several_points_at_a_step_the_youngest_is_shown_and_then_the_larger() -> None:
    points = [Point("m", value, at, 3) for value, at in ((9.0, 1), (1.0, 5), (2.0, 5))]
    assert latest_points(points) == {3: Point("m", 2.0, 5, 3)}


def test_only_what_is_new_or_different_is_logged() -> None:
    held = {"m": {1: Point("m", 0.5, 7, 1), 2: Point("m", 0.25, 7, 2)}}
    wanted = {"m": {1: 0.5, 2: 0.75, 3: 1.0, 4: NAN}, "n": {1: 1 / 3}}
    assert list(new_points(wanted, held, day=2, now=99)) == [
        Point("m", 0.75, 99, 2),
        Point("m", 1.0, 2 * MILLISECONDS_PER_DAY, 3),
        Point("n", 0.3333333333, 2 * MILLISECONDS_PER_DAY, 1),
    ]


def test_a_correction_is_younger_than_what_it_corrects_even_of_a_day_to_come() -> None:
    held = {"m": {1: Point("m", 0.5, 1000, 1)}}
    assert list(new_points({"m": {1: 0.4}}, held, day=0, now=99)) == [Point("m", 0.4, 1001, 1)]


def test_a_series_reaches_as_far_as_the_one_before() -> None:
    shown = {step: Point("m", 1.0, 0, step) for step in range(4)}
    assert as_long_as([0.9, 0.8], shown) == {0: 0.9, 1: 0.8, 2: 0.8, 3: 0.8}
    assert as_long_as([0.9, 0.8], {}) == {0: 0.9, 1: 0.8}
    assert as_long_as([], shown) == {}


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 12_345])
def test_a_long_series_is_thinned_and_keeps_its_first_and_last_value(length: int) -> None:
    values = [float(step) for step in range(length)]
    steps = thinned(values)
    assert len(steps) == length if length < 1000 else 400 < len(steps) <= 1000
    assert all(step == value for step, value in steps.items())
    assert not values or {0, length - 1} <= set(steps)


def test_a_point_of_another_try_between_those_of_a_thinned_series_is_corrected() -> None:
    values = [float(step) for step in range(3000)]
    assert 1 not in thinned(values)
    assert as_long_as(values, {1: Point("m", 9.0, 0, 1)})[1] == 1.0
