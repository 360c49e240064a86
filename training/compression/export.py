"""A scorer as an ONNX file, and what ONNX Runtime says with it. One item per row."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conf.errors import ConfigError
from training.features.rows import Float64, Rows
from training.scorers import ScorerNet
from training.scorers.batch import batch_of_rows
from training.scorers.exported import TEXT_VECTORS, Exported, fields_of

_ROWS_AT_ONCE = 2048


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
    module = Exported(net, list(fields))
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
            dynamic_shapes=(tuple({0: texts if n == TEXT_VECTORS else rows} for n in fields),),
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
