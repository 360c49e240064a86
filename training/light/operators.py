"""The operators of ONNX that scorers are made of, in NumPy. Each takes arrays and attributes.

Semantics are those of opset 18 (https://onnx.ai/onnx/operators); what a version's graphs need is
checked when they are written, against ONNX Runtime.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Attributes = Mapping[str, Any]

_TYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}
"""NumPy's types by the numbers of onnx.TensorProto."""


def _axes(axes: Array | None, attributes: Attributes) -> tuple[int, ...] | None:
    if axes is None:
        given = attributes.get("axes")
        return None if given is None else tuple(given)
    return tuple(axes.tolist())


def _affine(a: Attributes, x: Array, factor: Array, shift: Array) -> Array:
    """BatchNormalization of (n, C) out of training, with its four vectors made into two."""
    out: Array = x * factor
    out += shift
    return out


def _gemm(a: Attributes, x: Array, y: Array, *c: Array) -> Array:
    x = x.T if a.get("transA") else x
    y = y.T if a.get("transB") else y
    out = x @ y
    if a.get("alpha", 1.0) != 1.0:
        out = out * np.float32(a["alpha"])
    return out + c[0] if c else out


def _gather(a: Attributes, x: Array, at: Array) -> Array:
    return np.take(x, at, axis=a.get("axis", 0))


def _gather_elements(a: Attributes, x: Array, at: Array) -> Array:
    return np.take_along_axis(x, at, axis=a.get("axis", 0))


def _gather_nd(a: Attributes, x: Array, at: Array) -> Array:
    return np.asarray(x[tuple(np.moveaxis(at, -1, 0))])


def _unsqueeze(a: Attributes, x: Array, *axes: Array) -> Array:
    added = _axes(axes[0] if axes else None, a) or ()
    shape, rank = list(x.shape), x.ndim + len(added)
    for axis in sorted(axis % rank for axis in added):  # np.expand_dims takes three times as long
        shape.insert(axis, 1)
    return x.reshape(shape)


def _squeeze(a: Attributes, x: Array, *axes: Array) -> Array:
    return np.squeeze(x, _axes(axes[0] if axes else None, a))


def _reduced(how: Callable[..., Array]) -> Callable[..., Array]:
    def reduce(a: Attributes, x: Array, *axes: Array) -> Array:
        over = _axes(axes[0] if axes else None, a)
        if over is None and a.get("noop_with_empty_axes"):
            return x
        return how(x, axis=over, keepdims=bool(a.get("keepdims", 1)))

    return reduce


def _reshape(a: Attributes, x: Array, shape: Array) -> Array:
    return x.reshape([n or x.shape[k] for k, n in enumerate(shape.tolist())])


def _flatten(a: Attributes, x: Array) -> Array:
    axis = a.get("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _slice(a: Attributes, x: Array, starts: Array, ends: Array, *more: Array) -> Array:
    axes = more[0] if more else np.arange(len(starts))
    steps = more[1] if len(more) > 1 else np.ones(len(starts), dtype=np.int64)
    parts = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        parts[int(axis)] = slice(int(start), int(end), int(step))
    return x[tuple(parts)]


def _clip(a: Attributes, x: Array, *bounds: Array) -> Array:
    low = bounds[0] if bounds and bounds[0] is not None else None
    high = bounds[1] if len(bounds) > 1 else None
    out = x if low is None else np.maximum(x, low)
    return out if high is None else np.minimum(out, high)


def _softmax(a: Attributes, x: Array) -> Array:
    axis = a.get("axis", -1)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    out: Array = powers / powers.sum(axis=axis, keepdims=True)
    return out


def _sigmoid(x: Array) -> Array:
    # one half of tanh of the half: exp would overflow
    return (np.tanh(x * np.float32(0.5)) + 1) * np.float32(0.5)


def _layer_norm(a: Attributes, x: Array, scale: Array, *bias: Array) -> Array:
    axes = tuple(range(a.get("axis", -1) % x.ndim, x.ndim))
    centred = x - x.mean(axis=axes, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=axes, keepdims=True) + a.get("epsilon", 1e-5))
    out = centred / spread * scale
    return np.asarray(out + bias[0] if bias else out)


def _expand(a: Attributes, x: Array, shape: Array) -> Array:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist())))


def _constant_of_shape(a: Attributes, shape: Array) -> Array:
    value: Array = np.asarray(a.get("value", [0.0]), dtype=_TYPES[a.get("value_type", 1)])
    return np.full(tuple(shape.tolist()), value.ravel()[0])


def _lstm(a: Attributes, x: Array, w: Array, r: Array, *more: Array) -> tuple[Array, ...]:
    """One direction; gates in the order input, output, forget, cell. x (T, B, I)."""
    size = a["hidden_size"]
    bias = more[0][0] if more else np.zeros(8 * size, dtype=np.float32)
    inputs = x @ w[0].T + bias[: 4 * size] + bias[4 * size :]
    hidden = np.zeros((x.shape[1], size), dtype=np.float32)
    cell, states = hidden, []
    for moment in inputs:
        gates = moment + hidden @ r[0].T
        take, show, keep = (_sigmoid(gates[:, k * size : (k + 1) * size]) for k in range(3))
        cell = keep * cell + take * np.tanh(gates[:, 3 * size :])
        hidden = show * np.tanh(cell)
        states.append(hidden)
    return np.stack(states)[:, None], hidden[None], cell[None]


def _plain(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda a, *values: function(*values)


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": _plain(np.add),
    "And": _plain(np.logical_and),
    "Affine": _affine,
    "Cast": lambda a, x: x.astype(_TYPES[a["to"]], copy=False),
    "Clip": _clip,
    "Concat": lambda a, *values: np.concatenate(values, axis=a["axis"]),
    "ConstantOfShape": _constant_of_shape,
    "Div": lambda a, x, y: x // y if x.dtype.kind == "i" else x / y,
    "Equal": _plain(np.equal),
    "Exp": _plain(np.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "Greater": _plain(np.greater),
    "GreaterOrEqual": _plain(np.greater_equal),
    "LSTM": _lstm,
    "LayerNormalization": _layer_norm,
    "Less": _plain(np.less),
    "Log": _plain(np.log),
    "MatMul": _plain(np.matmul),
    "Max": _plain(np.maximum),
    "Min": _plain(np.minimum),
    "Mod": _plain(np.mod),
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "Not": _plain(np.logical_not),
    "Or": _plain(np.logical_or),
    "Pow": lambda a, x, y: np.power(x, y).astype(x.dtype, copy=False),
    "Range": lambda a, start, end, step: np.arange(start, end, step, dtype=start.dtype),
    "ReduceMax": _reduced(np.max),
    "ReduceMean": _reduced(np.mean),
    "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "Relu": lambda a, x: np.maximum(x, np.float32(0)),
    "Reshape": _reshape,
    "Shape": lambda a, x: np.array(x.shape[a.get("start", 0) : a.get("end")], dtype=np.int64),
    "Sigmoid": _plain(_sigmoid),
    "Slice": _slice,
    "Softmax": _softmax,
    "Sqrt": _plain(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(np.subtract),
    "Tanh": _plain(np.tanh),
    "Transpose": lambda a, x: np.transpose(x, a.get("perm")),
    "Unsqueeze": _unsqueeze,
    "Where": _plain(np.where),
}
"""Attributes and inputs -> the output, or several, by the operator's name."""
