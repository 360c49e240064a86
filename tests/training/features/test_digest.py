"""Digests of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from training.features.digest import digest_of

VALUES = np.array([0.0, 1e-3, 0.7, 1.0, -2.5, 123.456, 1.1e9, 5e-310])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_last_bits_of_a_float_do_not_matter(kind: type[np.floating]) -> None:
    values = VALUES[:-1].astype(kind)
    for direction in (-np.inf, np.inf):
        near = np.nextafter(values, kind(direction))
        assert digest_of([near]) == digest_of([values])
    assert digest_of([-np.zeros(2, kind)]) == digest_of([np.zeros(2, kind)])


@pytest.mark.parametrize("position", range(len(VALUES)))
def test_a_hundred_thousandth_does_matter(position: int) -> None:
    changed = VALUES.copy()
    changed[position] += 1e-5 * max(1.0, abs(changed[position]))
    assert digest_of([changed]) != digest_of([VALUES])


def test_integers_and_instants_count_to_the_last_one() -> None:
    assert digest_of([np.array([2**40])]) != digest_of([np.array([2**40 + 1])])
    at = np.array(["2026-01-01", "NaT"], "datetime64[us]")
    assert digest_of([at]) != digest_of([at + np.timedelta64(1, "us")])


def test_shape_type_and_text_count_too() -> None:
    values = np.arange(6, dtype=np.int32)
    different = [
        digest_of([values]),
        digest_of([values.reshape(2, 3)]),
        digest_of([values.astype(np.int64)]),
        digest_of([values[:3], values[3:]]),
        digest_of([values], "ab", "c"),
        digest_of([values], "a", "bc"),
        digest_of([np.array(1.0)]),
    ]
    assert len(set(different)) == len(different)


def test_what_is_not_a_number_has_a_digest_of_its_own() -> None:
    odd = np.array([np.nan, np.inf, -np.inf])
    assert digest_of([odd]) == digest_of([odd.copy()])
    assert digest_of([odd]) != digest_of([odd[::-1]])


def test_rows_beyond_the_first_part_count() -> None:
    values = np.zeros(70_000)
    changed = values.copy()
    changed[-1] = 1.0
    assert digest_of([changed]) != digest_of([values])
