"""deepctr-torch on the rows of a made-up log: the same fields, widths, batch size and thread."""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import numpy as np
import torch

from benchmarks.training_rows import Log
from benchmarks.training_runs import BATCH, SETTINGS, Rate
from training.features.rows import Side


def peer_pass(log: Log) -> Rate:
    """A pass of its fit over `log`; the first call of a process is not warm."""
    from deepctr_torch.models import WDL

    columns, inputs = columns_of(log)
    torch.manual_seed(7)
    net = WDL(
        [],
        columns,
        dnn_hidden_units=SETTINGS.hidden,
        dnn_dropout=SETTINGS.dropout,
        dnn_use_bn=True,
        l2_reg_linear=0,
        l2_reg_embedding=0,
        device="cpu",
    )
    net.compile("adam", "binary_crossentropy")
    with contextlib.redirect_stdout(io.StringIO()):
        few = {name: values[:BATCH] for name, values in inputs.items()}
        net.fit(few, log.label[:BATCH], batch_size=BATCH, epochs=1, verbose=0)
        cpu, wall = time.process_time(), time.perf_counter()
        net.fit(inputs, log.label, batch_size=BATCH, epochs=1, verbose=0)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Rate(len(log) / cpu, len(log) / wall)


def columns_of(log: Log) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Its declarations of the fields, and the rows gathered as it wants them."""
    from deepctr_torch.inputs import DenseFeat, SparseFeat, VarLenSparseFeat

    schema, dim = log.schema, SETTINGS.embedding_dim
    columns: list[Any] = []
    inputs: dict[str, np.ndarray] = {}

    def sparse(name: str, size: int, values: np.ndarray) -> None:
        name = name.replace(".", "_")  # it names modules by the fields
        columns.append(SparseFeat(name, size, embedding_dim=dim))
        inputs[name] = values

    def listed(name: str, size: int, values: np.ndarray, table: str) -> None:
        name, table = name.replace(".", "_"), table.replace(".", "_")
        feature = SparseFeat(name, size, embedding_dim=dim, embedding_name=table)
        columns.append(VarLenSparseFeat(feature, maxlen=values.shape[1], combiner="mean"))
        inputs[name] = np.maximum(values, 0)

    for about, side, rows in (
        (schema.user, log.users, log.user),
        (schema.item, log.items, log.item),
    ):
        taken: Side = side.take(rows)
        sparse(about.index.name, about.index.size, taken.index)
        for place, field in enumerate(about.categorical):
            sparse(field.name, field.size, taken.categorical[:, place])
        for field, values in zip(about.multi, taken.multi, strict=True):
            listed(field.name, field.size, values, field.name)
        name = f"{about.index.name}_numeric"
        columns.append(DenseFeat(name, taken.numeric.shape[1]))
        inputs[name] = taken.numeric
    for place, field in enumerate(schema.context):
        sparse(field.name, field.size, log.context[:, place])
    history = log.users.history[log.user]
    listed("history", schema.item.index.size, history, schema.item.index.name)
    return columns, inputs
