"""A composite's two graphs as ONNX files: its ranker, and the tower that makes user vectors.

Written by torch's TorchScript exporter: the newer one takes sixteen times as long (1.7 s against
0.11 s a graph, which three versions a day would pay), and both say the same to 1e-6.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.features.rows import Int32, Side
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
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")
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
