"""The model registry and the run log: the only module that talks to MLflow.

Everything is found by its tags before it is created, so that running a day again adds nothing. One
experiment and one registered model per dataset; both carry the id of the lake they belong to.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from conf.errors import RegistryError
from conf.lineage import digest
from conf.settings import Settings, without_password
from feature_store.days import ordinal
from training.registry.files import (
    as_uri,
    check_lake,
    composite_in,
    fetched_once,
    local_path,
    one_at_a_time,
    quietly,
)
from training.registry.model import save_pyfunc
from training.registry.run_writer import RunWriter

_ON_TIMELINE = "dayfold.on_timeline"
"""Tag of a day's run, set before its first point: without it the history need not be read."""
_NOTHING: Mapping[str, Any] = {}


class Registry:
    """Runs, versions and aliases of one dataset."""

    def __init__(self, settings: Settings, lake_id: str) -> None:
        """Look at the registry that `settings.mlflow` names; nothing is created yet."""
        self._settings = settings
        self._lake_id = lake_id
        self._home = Path(settings.home).absolute()
        self.name = settings.uri(settings.mlflow.model_name)
        self._downloads = self._home / "models" / self.name
        self.tracking_uri = settings.uri(settings.mlflow.tracking_uri)

    # ---- runs ---------------------------------------------------------------------------------

    @cached_property
    def experiment_id(self) -> str:
        """The dataset's experiment, found by its name or created with the registered model.

        Raises:
            RegistryError: experiment or registered model belong to another lake.
        """
        tags = {"dayfold.lake_id": self._lake_id, "dayfold.dataset": self._settings.dataset}
        with one_at_a_time(self._home):
            experiment = self._client.get_experiment_by_name(self.name)
            if experiment is None:
                root = self._settings.uri(self._settings.mlflow.artifact_root)
                location = as_uri(f"{root}/{self._settings.dataset}")
                experiment_id = self._client.create_experiment(self.name, location, tags)
            else:
                self._check_lake("experiment", experiment.tags)
                experiment_id = experiment.experiment_id
            model = self._registered_model()
            if model is None:
                self._client.create_registered_model(
                    self.name,
                    tags,
                    f"Versions of the recommender of dataset {self._settings.dataset}: "
                    "retriever, ranker and the day they were tested on.",
                )
            else:
                self._check_lake("registered model", model.tags)
        return str(experiment_id)

    def day_run(self, ds: str) -> str:
        """The id of the run of `ds`."""
        return self._run({"dayfold.kind": "day", "dayfold.ds": ds}, ds)

    def scorer_run(self, ds: str, scorer: str) -> str:
        """The id of the run of `scorer` on `ds`, nested in the day's run."""
        tags = {"dayfold.kind": "scorer", "dayfold.ds": ds, "dayfold.scorer": scorer}
        return self._run(tags, f"{ds} {scorer}", parent=self.day_run(ds))

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, object] = _NOTHING,
        metrics: Mapping[str, float] = _NOTHING,
        seconds: Mapping[str, float] = _NOTHING,
        series: Mapping[str, Sequence[float]] = _NOTHING,
        tags: Mapping[str, object] = _NOTHING,
        artifacts: Path | None = None,
    ) -> None:
        """Log to a run what is not there already; numbers that are not finite are left out.

        Args:
            run_id: from `day_run` or `scorer_run`.
            params: a later, different value becomes the tag `changed.<name>`.
            metrics: one value per name.
            seconds: the same for what differs whenever it is done again: the first is kept.
            series: values per step (step 0 first) per name.
            tags: text per name.
            artifacts: folder whose content is copied to the run's artifacts.
        """
        run = RunWriter(self._client, run_id)
        once = {name: value for name, value in seconds.items() if not run.knows(name)}
        numbers = {name: {0: value} for name, value in {**metrics, **once}.items()}
        run.metrics(ordinal(run.tags["dayfold.ds"]), {**numbers, **run.series(series)})
        run.texts(params, tags)
        if artifacts is not None:
            self._client.log_artifacts(run_id, str(artifacts))

    def timeline(self, ds: str, metrics: Mapping[str, float]) -> None:
        """Log `metrics` of `ds` to the dataset's timeline run, whose step is the day's ordinal."""
        day = RunWriter(self._client, self.day_run(ds))
        again = _ON_TIMELINE in day.tags
        if not again:
            day.texts({}, {_ON_TIMELINE: True})
        run = RunWriter(self._client, self._run({"dayfold.kind": "timeline"}, "timeline"))
        values = {name: {ordinal(ds): value} for name, value in metrics.items()}
        run.metrics(ordinal(ds), values, again=again)

    def finish_day(self, ds: str) -> None:
        """Mark the runs of `ds` that are still open as finished."""
        for run in self._client.search_runs(
            [self.experiment_id], f"tags.`dayfold.ds` = '{ds}' and attributes.status = 'RUNNING'"
        ):
            self._client.set_terminated(run.info.run_id, "FINISHED")

    # ---- versions -----------------------------------------------------------------------------

    def register(
        self, *, promote_key: str, directory: Path, run_id: str, tags: Mapping[str, object]
    ) -> int:
        """The version with tag `promote_key`; created from the composite in `directory` if new.

        The tags are given in the call that creates the version, so that no version without
        them can be found after a crash.
        """
        version = self.version_of(promote_key)
        if version is not None:
            return version
        folder = f"model-{promote_key[:16]}"
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch) / "model"
            save_pyfunc(directory, model)
            self._client.log_artifacts(run_id, str(model), folder)
        source = f"{self._client.get_run(run_id).info.artifact_uri}/{folder}"
        labels = {name: str(value) for name, value in tags.items()}
        created = self._client.create_model_version(
            self.name, source, run_id, {**labels, "promote_key": promote_key}
        )
        return self.version_of(promote_key) or int(created.version)

    def version_of(self, promote_key: str) -> int | None:
        """The version with tag `promote_key`, the first of several made at once; or None."""
        _ = self.experiment_id
        found = self._client.search_model_versions(
            f"name = '{self.name}' and tags.promote_key = '{promote_key}'"
        )
        return min((int(version.version) for version in found), default=None)

    def version_tags(self, version: int) -> dict[str, str]:
        """The tags of `version`.

        Raises:
            RegistryError: there is no such version.
        """
        return dict(self._version(version).tags)

    def version_directory(self, version: int) -> Path:
        """A local folder with the composite of `version`.

        Raises:
            RegistryError: there is no such version, or its files are gone.
        """
        uri = str(self._version(version).source)
        model = local_path(uri) or self._download(uri, version)
        return composite_in(model, f"Version {version} of {self.name}")

    # ---- aliases ------------------------------------------------------------------------------

    def set_champion(self, version: int, previous: int) -> None:
        """Move `previous` (0 = there is none), then `champion`: the latter commits a promotion."""
        if previous:
            self._set_alias("previous", previous)
        elif "previous" in self.aliases():
            self._client.delete_registered_model_alias(self.name, "previous")
        self._set_alias("champion", version)

    def set_head(self, scorer: str, version: int) -> None:
        """Make `version` the warm-start parent of `scorer`."""
        self._set_alias(f"head-{scorer}", version)

    def set_challenger(self, version: int) -> None:
        """Make `version` the challenger: the best that passed its gate on the last training day."""
        self._set_alias("challenger", version)

    def champion(self) -> int | None:
        """The version that serves, or None."""
        return self.aliases().get("champion")

    def aliases(self) -> dict[str, int]:
        """Every alias with its version."""
        _ = self.experiment_id
        model = self._registered_model()
        return {} if model is None else {name: int(v) for name, v in model.aliases.items()}

    def delete_dataset(self) -> None:
        """Delete the dataset's experiment, versions and files, whatever lake they belong to."""
        self.__dict__.pop("experiment_id", None)
        with one_at_a_time(self._home):
            experiment = self._client.get_experiment_by_name(self.name)
            if experiment is not None:
                # A deleted experiment keeps its name reserved, so it gives the name up first.
                stamp = f"{self.name}-deleted-{time.time_ns()}"
                self._client.rename_experiment(experiment.experiment_id, stamp)
                self._client.delete_experiment(experiment.experiment_id)
                local = local_path(experiment.artifact_location)
                if local is not None:
                    shutil.rmtree(local, ignore_errors=True)
            shutil.rmtree(self._downloads, ignore_errors=True)
            if self._registered_model() is not None:
                self._client.delete_registered_model(self.name)

    # ---- inside -------------------------------------------------------------------------------

    @cached_property
    def _client(self) -> Any:
        self._home.mkdir(parents=True, exist_ok=True)
        with quietly():
            from mlflow import MlflowClient

            return MlflowClient(self.tracking_uri, self.tracking_uri)

    def _registered_model(self) -> Any:
        found = self._client.search_registered_models(f"name = '{self.name}'")
        return found[0] if found else None

    def _check_lake(self, what: str, tags: Mapping[str, str]) -> None:
        where = f"{what} {self.name!r} at {without_password(self.tracking_uri)}"
        check_lake(where, tags.get("dayfold.lake_id"), self._lake_id)

    def _run(self, tags: dict[str, str], name: str, parent: str | None = None) -> str:
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        experiment_id = self.experiment_id
        with one_at_a_time(self._home):
            found = self._client.search_runs(
                [experiment_id], wanted, max_results=1, order_by=["attributes.start_time ASC"]
            )
            if found:
                return str(found[0].info.run_id)
            nested = {"mlflow.parentRunId": parent} if parent else {}
            run = self._client.create_run(experiment_id, tags={**tags, **nested}, run_name=name)
            return str(run.info.run_id)

    def _version(self, version: int) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_model_version(self.name, str(version))
        except MlflowException as error:
            raise RegistryError(
                f"The registry at {without_password(self.tracking_uri)} has no version {version} "
                f"of {self.name}, which the ledger names. Restore it, or `dayfold demo --fresh`."
            ) from error

    def _download(self, uri: str, version: int) -> Path:
        from mlflow.artifacts import download_artifacts

        def fetch(folder: Path) -> None:
            download_artifacts(
                artifact_uri=uri, dst_path=str(folder), tracking_uri=self.tracking_uri
            )

        # Another registry, or this one begun again, gives the same numbers to other files.
        folder = f"{version}-{digest({'source': uri})[:16]}"
        return fetched_once(self._downloads / folder, fetch)

    def drop_downloads(self) -> None:
        """Delete the copies of versions that lie elsewhere; they are fetched again when asked."""
        shutil.rmtree(self._downloads, ignore_errors=True)

    def _set_alias(self, alias: str, version: int) -> None:
        from mlflow.exceptions import MlflowException

        if self.aliases().get(alias) == version:
            return
        try:
            self._client.set_registered_model_alias(self.name, alias, str(version))
        except MlflowException:
            # Two processes that create the same alias at once: the second finds it there.
            self._client.set_registered_model_alias(self.name, alias, str(version))
