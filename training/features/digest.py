"""Digests of arrays that stay the same when only the last bits of a sum differ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = 20
_ROWS_AT_ONCE = 1 << 16


def digest_of(arrays: Iterable[NDArray[Any]], *texts: str) -> str:
    """32 hex digits of `texts` and `arrays` (values, types and shapes, in this order).

    Floats are rounded to 2^-20 (a millionth) of their magnitude, and of 1 where they are smaller:
    engines add up in an order of their own.
    """
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)} {text}".encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        rows = np.atleast_1d(array)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            values = _rounded(part) if np.issubdtype(array.dtype, np.floating) else part
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:32]


def _rounded(values: NDArray[Any]) -> NDArray[Any]:
    scale = values.dtype.type(2**_BITS)
    rounded = np.rint(values * scale) / scale
    large = np.abs(values) >= 1
    _, exponent = np.frexp(values[large])
    places = _BITS - exponent
    rounded[large] = np.ldexp(np.rint(np.ldexp(values[large], places)), -places)
    return np.asarray(rounded + values.dtype.type(0.0))  # minus nought is nought
