"""The daily sketch: 200 fixed bins of the logit with what was counted in each.

Bins never move, so sketches of days, slices and machines are merged by addition, and a day costs
the same whatever came before it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from training.scoring.metrics import Bools, Floats, Ints, sigmoid

BINS = 200
LOWEST, HIGHEST = -10.0, 10.0
"""Logits beyond them fall into the first and the last bin."""
SLICE_VALUES = 20
"""Most values of one field that get a slice of their own."""

_EDGES: Floats = np.linspace(LOWEST, HIGHEST, BINS + 1)


def bin_edges() -> Floats:
    """The edges of the bins, (BINS + 1,): bin b holds edge[b] <= logit < edge[b + 1]."""
    return _EDGES.copy()


def bin_of(logits: npt.ArrayLike) -> Ints:
    """The bin of each logit, 0 to BINS - 1."""
    bins = np.searchsorted(_EDGES, np.asarray(logits, dtype=np.float64), side="right") - 1
    return np.clip(bins, 0, BINS - 1)


def value_slices(field: str, values: npt.NDArray[np.int32]) -> dict[str, Bools]:
    """One slice `field=value` for each of the commonest values (ties: the lower value)."""
    distinct, counts = np.unique(values, return_counts=True)
    commonest = distinct[np.lexsort((distinct, -counts))][:SLICE_VALUES]
    return {f"{field}={value}": values == value for value in np.sort(commonest)}


def sketch_rows(
    model_version: int, logits: Floats, labels: Floats, slices: Mapping[str, Bools]
) -> pa.Table:
    """The rows of table `sketches` (without `ds`) of one version's scores.

    Args:
        model_version: registered version that gave the logits.
        logits: (n,) log-odds.
        labels: (n,) final labels.
        slices: name to the (n,) mask of its rows; `all` is added.
    """
    bins = bin_of(logits)
    expected = sigmoid(logits)
    everything = np.ones(len(bins), dtype=np.bool_)
    columns: dict[str, list[npt.NDArray[np.generic]]] = {
        name: [] for name in ("bin", "n", "clicks", "expected")
    }
    names: list[str] = []
    for name, mask in {"all": everything, **slices}.items():
        where = bins[mask]
        counts = np.bincount(where, minlength=BINS)
        filled = np.flatnonzero(counts)
        names += [name] * len(filled)
        columns["bin"].append(filled)
        columns["n"].append(counts[filled])
        columns["clicks"].append(np.bincount(where, labels[mask], BINS)[filled])
        columns["expected"].append(np.bincount(where, expected[mask], BINS)[filled])
    types = {"bin": pa.int32(), "n": pa.int64(), "clicks": pa.float64(), "expected": pa.float64()}
    return pa.table(
        {
            "model_version": pa.array([model_version] * len(names), pa.int32()),
            "slice": pa.array(names, pa.string()),
            **{
                name: pa.array(np.concatenate(parts), types[name])
                for name, parts in columns.items()
            },
        }
    )
