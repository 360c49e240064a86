"""A composite's two graphs as ONNX files: its ranker, and the tower that makes user vectors.

Written by torch's TorchScript exporter: the newer one takes sixteen times as long (1.7 s against
0.11 s a graph, which three versions a day would pay), and both say the same to 1e-6.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from conf.errors import TrainingError
from training.features.rows import Int32, Side
from training.light.operators import OPERATORS
from training.scorers import ScorerNet
from training.scorers.batch import Batch, batch_of_lists, side_tensors
from training.scorers.exported import (
    TEXT_VECTORS,
    Exported,
    ExportedTower,
    fields_of,
    side_fields,
)

_OPSET = 18


def save_ranker(net: ScorerNet, users: Side, items: Side, context: Int32, path: Path) -> None:
    """Write the graph that gives (users, listed) logits of items listed for users.

    Args:
        net: the ranker.
        users: at least one.
        items: at least one.
        context: (users, X).
        path: of the file.
    """
    some = items.take(slice(0, 2))
    listed = np.tile(np.arange(len(some), dtype=np.int64), (len(users), 1))
    batch: Batch = batch_of_lists(users, some, listed, context, net.schema)
    fields = fields_of(batch, net) | {"pair": batch.pair}
    axes = {name: _axes_of(name) for name in fields}
    _write(Exported(net, list(fields)), fields, "logits", {0: "users", 1: "listed"}, axes, path)


def save_tower(net: ScorerNet, users: Side, path: Path) -> None:
    """Write the graph that gives (users, D) vectors, of a scorer that can recall."""
    tensors = side_tensors(users, net.schema.user, net.schema.item.index.size)
    fields = side_fields("user", tensors)
    axes = {name: _axes_of(name) for name in fields}
    _write(ExportedTower(net, list(fields)), fields, "vectors", {0: "users"}, axes, path)


def _axes_of(name: str) -> dict[int, str]:
    """Which axes of an input may have any length, by what it is called then."""
    if name in {"pair", "evidence"}:
        return {0: "users", 1: "listed"}
    if name == "context":
        return {0: "users"}
    if name == TEXT_VECTORS:
        return {0: "texts"}
    side = "item" if name in {"texts_item"} or name.startswith("item_") else "user"
    if "_multi_" in name:
        return {0: f"{side}s", 1: name}
    return {0: f"{side}s"}


def _write(
    module: nn.Module,
    fields: dict[str, Tensor],
    output: str,
    output_axes: dict[int, str],
    axes: dict[str, dict[int, str]],
    path: Path,
) -> None:
    module.eval()
    quiet = warnings.catch_warnings(action="ignore")
    with quiet, _plain_attention(), torch.inference_mode(False), torch.no_grad():
        torch.onnx.export(
            module,
            tuple(values.clone() for values in fields.values()),
            str(path),
            dynamo=False,
            input_names=list(fields),
            output_names=[output],
            dynamic_axes={**axes, output: output_axes},
            opset_version=_OPSET,
        )
    _write_steps(path)


@contextlib.contextmanager
def _plain_attention() -> Iterator[None]:
    """Within it a transformer's layer is its operators, and not one that only torch has."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _write_steps(path: Path) -> None:
    """Beside the ONNX file: its operators as JSON and its weights, for who has NumPy alone.

    Raises:
        TrainingError: the light client has no such operator.
    """
    import onnx

    graph = onnx.load(path).graph
    weights = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    same: dict[str, str] = {}
    steps = []
    for node in graph.node:
        inputs = [same.get(name, name) for name in node.input]
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Identity":
            same[node.output[0]] = inputs[0]
        elif node.op_type == "Constant":
            weights[node.output[0]] = numpy_helper.to_array(given["value"])
        elif node.op_type == "BatchNormalization":
            steps.append(_affine(node, inputs, weights))
        elif node.op_type not in OPERATORS:
            raise TrainingError(
                f"The graph {path.name} has the operator {node.op_type}, which the light client "
                "cannot run. Add it to training/light/operators.py, with a test."
            )
        else:
            steps.append(
                {
                    "operator": node.op_type,
                    "attributes": _plain(given),
                    "inputs": inputs,
                    "outputs": list(node.output),
                }
            )
    known = weights.keys() | {name for step in steps for name in step["outputs"]}
    asked = {name for step in steps for name in step["inputs"] if name} - known
    output = graph.output[0].name
    content = {"inputs": sorted(asked), "output": same.get(output, output), "steps": steps}
    path.with_suffix(".json").write_text(json.dumps(content))
    np.savez(path.with_suffix(".npz"), **weights)


def _affine(node: Any, inputs: list[str], weights: dict[str, Any]) -> dict[str, Any]:
    """BatchNormalization out of training: one factor and one shift a column."""
    scale, bias, mean, variance = (weights[name].astype(np.float64) for name in inputs[1:])
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
    factor = scale / np.sqrt(variance + epsilon)
    names = [f"{node.output[0]}/factor", f"{node.output[0]}/shift"]
    vectors = (factor, bias - mean * factor)
    weights |= dict(zip(names, (v.astype(np.float32) for v in vectors), strict=True))
    return {
        "operator": "Affine",
        "attributes": {},
        "inputs": [inputs[0], *names],
        "outputs": list(node.output),
    }


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as JSON has them; of a tensor its value and its type."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if hasattr(value, "data_type"):
            found[name] = numpy_helper.to_array(value).tolist()
            found[f"{name}_type"] = value.data_type
        elif isinstance(value, bytes):
            found[name] = value.decode()
        else:
            found[name] = list(value) if isinstance(value, list | tuple) else value
    return found
