"""The version as an MLflow pyfunc: a table of requests in, a list of ranked items for each row."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
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

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A list for each row.

        Args:
            model_input: one request per row of a table, per object of a list, or one object; a
                field that is absent, or null, is not given.
            params: not used.

        Returns:
            A row per request by COLUMNS; `items` as `Recommender.recommend` gives them.

        Raises:
            MlflowException: a field is wrong (INVALID_PARAMETER_VALUE, which a server answers with
                status 400); the message names the row and the field.
        """
        import pandas as pd

        del params
        rows = [self._row(*numbered) for numbered in enumerate(requests_of(model_input))]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _row(self, number: int, request: Any) -> tuple[Any, ...]:
        from mlflow.exceptions import MlflowException

        try:
            answer = self._recommender.recommend(request)
        except RequestError as error:
            raise MlflowException.invalid_parameter_value(f"Row {number}: {error}") from None
        user = request.get("user_id")
        return None if user is None else str(user), self._recommender.version, answer


def requests_of(model_input: Any) -> list[Any]:
    """The requests in what MLflow hands over: a table, its columns, a list of objects, or one."""
    if isinstance(model_input, Mapping) and _are_columns(model_input.values()):
        # MLflow's server turns `instances` round
        rows = zip(*map(plain, model_input.values()), strict=True)
        model_input = [dict(zip(model_input, row, strict=True)) for row in rows]
    if hasattr(model_input, "to_dict"):
        # a table without columns is of as many requests as it has rows, all of them without fields
        records = model_input.to_dict(orient="records") or [{} for _ in range(len(model_input))]
    else:
        records = [model_input] if isinstance(model_input, Mapping) else plain(model_input)
        records = records if isinstance(records, list) else [records]
    return [_request(record) for record in records]


def _are_columns(values: Collection[Any]) -> bool:
    """Whether they are arrays of one length, which no field of a single request is."""
    lengths = {len(value) if getattr(value, "ndim", 0) else None for value in values}
    return len(lengths) == 1 and None not in lengths


def _request(record: Any) -> Any:
    if not isinstance(record, Mapping):
        return record
    given = {str(name): plain(value) for name, value in record.items()}
    user = given.get("user_id")
    if isinstance(user, float) and user.is_integer():
        given["user_id"] = int(user)  # a table makes a whole number one, where others name nobody
    return {name: value for name, value in given.items() if value is not None}


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
