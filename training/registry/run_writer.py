"""Writes to one MLflow run what it does not show already."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.registry.run_log import (
    Point,
    as_long_as,
    batches,
    latest_points,
    new_params,
    new_points,
)


class RunWriter:
    """One run of `client`, as it is when this object is made."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._data = client.get_run(run_id).data
        self.tags: Mapping[str, str] = self._data.tags

    def knows(self, metric: str) -> bool:
        """Whether the run has a value of `metric`."""
        return metric in self._data.metrics

    def metrics(
        self, day: int, wanted: Mapping[str, Mapping[int, float]], *, again: bool = True
    ) -> None:
        """Make the run show `wanted`, values by step by name.

        Args:
            day: days since 1970.
            wanted: what is to be shown.
            again: whether some of these steps may be there already.
        """
        known = [name for name in wanted if again and self.knows(name)]
        held = {name: self._held(name) for name in known}
        self._write(points=new_points(wanted, held, day, time.time_ns() // 1_000_000))

    def series(self, values: Mapping[str, Sequence[float]]) -> dict[str, Mapping[int, float]]:
        """Series as `metrics` wants them."""
        return {
            name: as_long_as(numbers, self._held(name) if self.knows(name) else {})
            for name, numbers in values.items()
        }

    def texts(self, params: Mapping[str, object], tags: Mapping[str, object]) -> None:
        """Parameters, and tags of at most 5,000 characters."""
        fresh, changed = new_params(params, self._data.params)
        labels = {name: str(value)[:5000] for name, value in tags.items()}
        self._write(params=fresh, tags=labels | changed)

    def _held(self, name: str) -> dict[int, Point]:
        """What the run shows at each step of a metric."""
        return latest_points(
            Point(name, metric.value, metric.timestamp, metric.step)
            for metric in self._client.get_metric_history(self._run_id, name)
        )

    def _write(
        self,
        points: Iterable[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(p.name, p.value, p.timestamp, p.step) for p in points]
        parameters = [Param(name, value) for name, value in (params or {}).items()]
        labels = [RunTag(name, value) for name, value in (tags or {}).items()]
        for part in batches(metrics, parameters, labels):
            self._client.log_batch(self._run_id, *part)
