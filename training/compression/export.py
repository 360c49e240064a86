"""A scorer as an ONNX file, and what ONNX Runtime says with it. One item per row.

Of a scorer that reads text the file holds what is above its encoder: the texts' vectors, which are
read once and kept, are an input.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conf.errors import ConfigError
from training.features.rows import Float64, Rows
from training.scorers import ScorerNet
from training.scorers.batch import Batch, SideTensors, batch_of_rows
from training.scorers.text import ReadTexts, TextScorer

_SIDES = ("user", "item")
_FIELDS = ("ids", "categorical", "numeric", "history", "neighbours", "affinity")
_VECTORS = "texts_vectors"
_ROWS_AT_ONCE = 2048


class _RowWise(nn.Module):
    """A scorer whose input is one tensor per field, and whose output is (n,)."""

    def __init__(self, net: ScorerNet, names: list[str], multi: dict[str, int]) -> None:
        super().__init__()
        self.net, self._names, self._multi = net, names, multi

    def forward(self, *values: Tensor) -> Tensor:
        """(n,) logits of n rows."""
        given = dict(zip(self._names, values, strict=True))
        sides = {
            side: SideTensors(
                given[f"{side}_ids"],
                given[f"{side}_categorical"],
                tuple(given[f"{side}_multi_{k}"] for k in range(self._multi[side])),
                given[f"{side}_numeric"],
                given[f"{side}_history"],
                given[f"{side}_neighbours"],
                given[f"{side}_affinity"],
            )
            for side in _SIDES
        }
        rows = given["user_ids"].shape[0]
        pair = torch.arange(rows)[:, None]
        nothing = torch.zeros(rows)
        batch = Batch(
            sides["user"], sides["item"], pair, given["context"], nothing, nothing, nothing[:, None]
        )
        if isinstance(self.net, TextScorer):
            texts = ReadTexts(*(given[f"texts_{name}"] for name in ReadTexts._fields))
            return self.net.compare(batch, texts)[:, 0]
        logits: Tensor = self.net(batch)[:, 0]
        return logits


def fields_of(batch: Batch, net: ScorerNet) -> dict[str, Tensor]:
    """The tensors of a batch with one item per row, by the names of the ONNX file's inputs."""
    fields: dict[str, Tensor] = {}
    for side in _SIDES:
        tensors: SideTensors = getattr(batch, side)
        fields |= {f"{side}_{name}": getattr(tensors, name) for name in _FIELDS}
        fields |= {f"{side}_multi_{k}": ids for k, ids in enumerate(tensors.multi)}
    fields["context"] = batch.context
    if isinstance(net, TextScorer):
        with torch.inference_mode():
            read = net.read(batch)
        fields |= {f"texts_{name}": values for name, values in read._asdict().items()}
    return fields


def require_onnx() -> None:
    """Pass if the packages are there.

    Raises:
        ConfigError: they are not.
    """
    missing = [n for n in ("onnx", "onnxscript", "onnxruntime") if not importlib.util.find_spec(n)]
    if missing:
        raise ConfigError(
            f"The variant int8 needs {', '.join(missing)}, not installed here. Next: "
            "pip install 'dayfold[compress]', or dayfold compress --variant pruned."
        )


def save_onnx(net: ScorerNet, like: Rows, path: Path) -> None:
    """Write `net` in evaluation mode to `path`; `like` are some rows, at least two."""
    import onnx

    net.eval()
    fields = fields_of(batch_of_rows(like, net.schema), net)
    multi = {side: sum(name.startswith(f"{side}_multi") for name in fields) for side in _SIDES}
    module = _RowWise(net, list(fields), multi)
    rows, texts = torch.export.Dim("rows"), torch.export.Dim("texts")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(values.clone() for values in fields.values()),
            dynamo=True,
            verbose=False,
            input_names=list(fields),
            dynamic_shapes=(tuple({0: texts if n == _VECTORS else rows} for n in fields),),
        )
    assert program is not None  # noqa: S101
    model = program.model_proto
    # the exporter's shapes of weights are of before it transposed them
    del model.graph.value_info[:]
    onnx.save(model, path)


def save_int8(source: Path, path: Path) -> None:
    """Write the ONNX file `source` with its weights in 8 bits (dynamic quantisation) to `path`."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it recommends steps that the exporter has taken
    try:
        quantize_dynamic(source, path, weight_type=QuantType.QInt8)
    finally:
        logger.setLevel(level)


class OnnxScorer:
    """An ONNX file of a scorer, on one thread."""

    def __init__(self, path: Path, net: ScorerNet) -> None:
        """`net`: what the file was made of; its schema is used, and its encoder, if it has one."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self._names = {entry.name for entry in self._session.get_inputs()}
        self._net = net.eval()

    def logits(self, rows: Rows) -> Float64:
        """(n,) log-odds of n rows."""
        parts = [np.empty(0)]
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            batch = batch_of_rows(rows.take(slice(start, start + _ROWS_AT_ONCE)), self._net.schema)
            fields = fields_of(batch, self._net)
            given = {name: t.numpy() for name, t in fields.items() if name in self._names}
            parts.append(np.asarray(self._session.run(None, given)[0], dtype=np.float64))
        return np.concatenate(parts)
