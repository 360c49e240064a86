"""A version's files as an MLflow model: a pyfunc from code, without pickle."""

from __future__ import annotations

import json
from pathlib import Path

from training.registry.files import INPUTS, OUTPUTS, quietly

_LOADER = "training.registry.bundle"


def save_pyfunc(directory: Path, path: Path) -> None:
    """Save the composite in `directory` as an MLflow pyfunc under `path`."""
    import pandas as pd

    with quietly():
        from mlflow.models import ModelSignature
        from mlflow.pyfunc import save_model
        from mlflow.types import Schema

    save_model(
        str(path),
        loader_module=_LOADER,
        data_path=str(directory),
        signature=ModelSignature(
            Schema.from_json(json.dumps(INPUTS)), Schema.from_json(json.dumps(OUTPUTS))
        ),
        input_example=pd.DataFrame({"user_id": ["*"], "top_n": [10]}),
        pip_requirements=["dayfold"],
    )
