"""What runs a version's graphs: NumPy, or ONNX Runtime where it is installed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .known import FormatError
from .operators import OPERATORS


class Engine(Protocol):
    """One graph, loaded."""

    inputs: frozenset[str]

    def run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the graph says of `inputs`, by name; all of them are given."""


class NumpyEngine:
    """A graph as a list of operators: `<name>.json`, with its weights in `<name>.npz`."""

    def __init__(self, path: Path) -> None:
        """Load the graph of which `path` is the ONNX file."""
        graph = json.loads(path.with_suffix(".json").read_text())
        weights_file = path.with_suffix(".npz")
        with weights_file.open("rb") as file, np.load(file, allow_pickle=False) as held:
            weights: dict[str, Any] = {name: held[name] for name in held.files}
        self.inputs = frozenset(graph["inputs"])
        # an input that is left out has the name ""
        place = {name: number for number, name in enumerate(["", *self.inputs])}
        steps = []
        for step in graph["steps"]:
            operator = OPERATORS[step["operator"]]
            bound = _bound(operator, step["attributes"], step["inputs"], weights)
            if isinstance(bound, np.ndarray):
                weights[step["outputs"][0]] = bound
            else:
                steps.append((bound, step["inputs"], step["outputs"]))
        for name in [*weights, *(name for *_, outputs in steps for name in outputs)]:
            place.setdefault(name, len(place))
        self._inputs = [(place[name], name) for name in self.inputs]
        self._start: list[Any] = [None] * len(place)
        for name, values in weights.items():
            self._start[place[name]] = values
        self._steps = [
            (bound, [place[name] for name in names], [place[name] for name in outputs])
            for bound, names, outputs in steps
        ]
        self._output = place[graph["output"]]

    def run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the graph says."""
        values = self._start.copy()
        for place, name in self._inputs:
            values[place] = inputs[name]
        # a logarithm of nothing is as in ONNX Runtime: no warning
        with np.errstate(all="ignore"):
            for operator, places, (output, *others) in self._steps:
                said = operator(*[values[place] for place in places])
                if others:
                    said, *rest = said
                    for place, value in zip(others, rest, strict=False):
                        values[place] = value
                values[output] = said
        return np.asarray(values[self._output])


def _bound(
    operator: Callable[..., Any],
    attributes: Mapping[str, Any],
    names: Sequence[str],
    weights: Mapping[str, Any],
) -> Any:
    """The operator with its attributes; or its output, where that is the same for every request."""
    if all(name in weights for name in names if name):
        return operator(attributes, *[weights[name] if name else None for name in names])
    return partial(operator, attributes)


class OnnxRuntimeEngine:
    """A graph in ONNX Runtime, on one thread."""

    def __init__(self, path: Path) -> None:
        """Load the ONNX file `path`.

        Raises:
            FormatError: ONNX Runtime cannot load it.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no base of their own
            raise FormatError(
                f"{path} cannot be loaded ({str(error).strip() or repr(error)}), expected a graph "
                "that ONNX Runtime reads. Next: copy the version's folder `light` again."
            ) from error
        self.inputs = frozenset(entry.name for entry in self._session.get_inputs())

    def run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the graph says."""
        return np.asarray(self._session.run(None, dict(inputs))[0])


ENGINES: dict[str, type[NumpyEngine] | type[OnnxRuntimeEngine]] = {
    "numpy": NumpyEngine,
    "onnxruntime": OnnxRuntimeEngine,
}


def engine_for(path: Path, name: str | None) -> Engine:
    """The graph `path` in the engine `name`; None = ONNX Runtime if it is installed."""
    if name is None:
        name = "onnxruntime" if importlib.util.find_spec("onnxruntime") else "numpy"
    return ENGINES[name](path)
