"""The version as an MLflow pyfunc: a table of requests in, a list of ranked items for each row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .recommender import Recommender
from .request import RequestError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("user_id", "version", "items")


class Served:
    """What MLflow calls."""

    def __init__(self, folder: Path) -> None:
        self._recommender = Recommender(folder)

    def predict(
        self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """A list for each row.

        Args:
            model_input: one request per row; a column that is absent, or null, is not given.
            params: not used.

        Returns:
            A row per request by COLUMNS; `items` as `Recommender.recommend` gives them.

        Raises:
            MlflowException: a field is wrong (INVALID_PARAMETER_VALUE, which a server answers with
                status 400); the message names the row and the field.
        """
        import pandas as pd
        from mlflow.exceptions import MlflowException

        del params
        rows: list[tuple[Any, ...]] = []
        for number, record in enumerate(model_input.to_dict(orient="records")):
            request = {str(name): plain(value) for name, value in record.items()}
            given = {name: value for name, value in request.items() if value is not None}
            try:
                answer = self._recommender.recommend(given)
            except RequestError as error:
                raise MlflowException.invalid_parameter_value(f"Row {number}: {error}") from None
            rows.append((given.get("user_id"), self._recommender.version, answer))
        return pd.DataFrame(rows, columns=list(COLUMNS))


def plain(value: Any) -> Any:
    """`value` of a table's cell as JSON has it: no NumPy types, no rows of Spark, no NaN."""
    if hasattr(value, "asDict"):
        value = value.asDict(recursive=True)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _load_pyfunc(path: str) -> Served:
    """The version in `path`, a composite's folder: what MLflow calls."""
    return Served(Path(path) / "light" / "data")
