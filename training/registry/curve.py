"""The loss curve of a training, in its MLflow run while it is being made."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from feature_store.days import ordinal
from training.registry.registry import Registry
from training.registry.run_writer import RunWriter
from training.registry.versions import client_of

_LOG = logging.getLogger("dayfold.train")


class LiveCurve:
    """Adds points to the metrics of one run; a point that is there already stays one point.

    A tracking server that fails does not stop the training: the run gets the whole curve when the
    training has ended.
    """

    def __init__(self, registry: Registry, run_id: str) -> None:
        self._client, self._run_id = client_of(registry), run_id
        self._done: dict[str, int] = {}
        """The first step that this object has not written, by metric."""

    def add(self, points: Mapping[str, Mapping[int, float]]) -> None:
        """Make the run show `points`, values by step by metric; steps before the last are known."""
        try:
            self._add(points)
        except Exception as error:
            said = str(error).splitlines()[:1]
            _LOG.warning("The loss curve waits: MLflow did not take it (%s).", *said)

    def _add(self, points: Mapping[str, Mapping[int, float]]) -> None:
        run = RunWriter(self._client, self._run_id)
        for name, values in points.items():
            since = self._done.get(name, 0)
            fresh = {step: value for step, value in values.items() if step >= since}
            if fresh:
                # an earlier try of this training may have written some of the first ones
                run.metrics(ordinal(run.tags["dayfold.ds"]), {name: fresh}, again=not since)
                self._done[name] = max(fresh) + 1
