"""A version's files as an MLflow model: a pyfunc from code, without pickle and without Dayfold."""

from __future__ import annotations

import json
from pathlib import Path

from training.registry.files import OUTPUTS, quietly

_LOADER = "dayfold_light.pyfunc"
_NEEDED_BESIDE = ("mlflow", "pandas")


def save_pyfunc(directory: Path, path: Path) -> None:
    """Save the composite in `directory` as an MLflow pyfunc under `path`.

    The code that answers is that of the composite's own `light` folder.
    """
    import importlib.metadata

    import pandas as pd

    with quietly():
        from mlflow.models import ModelSignature
        from mlflow.pyfunc import save_model
        from mlflow.types import Schema

    light = directory / "light"
    needed = (light / "requirements.txt").read_text().split()
    needed += [f"{name}=={importlib.metadata.version(name)}" for name in _NEEDED_BESIDE]
    save_model(
        str(path),
        loader_module=_LOADER,
        data_path=str(directory),
        code_paths=[str(light / "dayfold_light")],
        # no schema of the inputs: MLflow would drop the columns that it does not name, and a field
        # that is misspelt could not be told from one that was not given
        signature=ModelSignature(outputs=Schema.from_json(json.dumps(OUTPUTS))),
        input_example=pd.DataFrame({"user_id": ["a new user"], "top_n": [10]}),
        pip_requirements=needed,
    )
