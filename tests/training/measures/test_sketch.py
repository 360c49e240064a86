from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.measures.sketch import BINS, bin_edges, bin_of, sketch_rows, value_slices


def summed(rows: pa.Table) -> dict[tuple[str, int], tuple[float, ...]]:
    totals: dict[tuple[str, int], np.ndarray] = {}
    for row in rows.to_pylist():
        key = (row["slice"], row["bin"])
        counted = np.array([row["n"], row["clicks"], row["expected"]])
        totals[key] = totals.get(key, np.zeros(3)) + counted
    return {key: tuple(np.round(value, 9)) for key, value in totals.items()}


def test_there_are_200_bins_of_equal_width_from_minus_10_to_10() -> None:
    assert len(bin_edges()) == 201
    assert (bin_edges()[0], bin_edges()[100], bin_edges()[-1]) == (-10, 0, 10)
    np.testing.assert_allclose(np.diff(bin_edges()), 0.1)


def test_logits_beyond_the_edges_fall_into_the_outer_bins() -> None:
    assert bin_of([-1e9, -10, 0, 9.99, 10, 1e9]).tolist() == [0, 0, 100, 199, 199, 199]


@settings(deadline=None)
@given(st.floats(-10, 9.999999))
def test_a_logit_lies_within_the_edges_of_its_bin(logit: float) -> None:
    at = int(bin_of([logit])[0])
    assert bin_edges()[at] <= logit < bin_edges()[at + 1]


def test_a_sketch_by_hand() -> None:
    rows = sketch_rows(
        3,
        np.array([0.0, 0.05, -3.0]),
        np.array([1.0, 0.0, 0.0]),
        {"device=2": np.array([True, False, True])},
    )
    small = 1 / (1 + np.exp(3.0))
    other = 1 / (1 + np.exp(-0.05))
    found = [tuple(row.values()) for row in rows.to_pylist()]
    assert found == [
        (3, "all", 70, 1, 0.0, pytest.approx(small)),
        (3, "all", 100, 2, 1.0, pytest.approx(0.5 + other)),
        (3, "device=2", 70, 1, 0.0, pytest.approx(small)),
        (3, "device=2", 100, 1, 1.0, pytest.approx(0.5)),
    ]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_sketches_of_parts_add_up_to_the_sketch_of_the_whole(seed: int, cut: int) -> None:
    random = np.random.default_rng(seed)
    logits, labels = random.normal(0, 6, 50), random.integers(0, 2, 50).astype(float)
    slices = {"even": np.arange(50) % 2 == 0}
    parts = [
        sketch_rows(1, logits[rows], labels[rows], {"even": slices["even"][rows]})
        for rows in (slice(0, cut), slice(cut, 50))
    ]
    assert summed(pa.concat_tables(parts)) == summed(sketch_rows(1, logits, labels, slices))


def test_no_rows_make_no_sketch_rows() -> None:
    rows = sketch_rows(1, np.empty(0), np.empty(0), {"a": np.empty(0, bool)})
    assert rows.num_rows == 0
    assert rows.schema.field("bin").type == pa.int32()


def test_only_the_20_commonest_values_get_a_slice() -> None:
    values = np.repeat(np.arange(30, dtype=np.int32), np.arange(30) + 1)
    slices = value_slices("ctx_device", values)
    assert list(slices) == [f"ctx_device={value}" for value in range(10, 30)]
    assert slices["ctx_device=12"].sum() == 13
    assert BINS == 200
