"""How the day runs: typed settings from YAML and the environment, read in one place.

Values come from `conf/base.yaml`, then the profile's file (`local` or `cluster`), then the
environment: `DAYFOLD__TRAINING__BATCH_SIZE=4096` sets `training.batch_size`. The command line's
flags are put into the environment (`overrides_to_environment`), so that a child process, a
scheduler's task and the command itself read the same values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from conf.compression import CompressionSettings
from conf.drift import DriftSettings
from conf.errors import ConfigError
from conf.frozen import Frozen
from conf.origins import FLAGS, PREFIX, refusal
from conf.training import TrainingSettings
from conf.yaml_files import read_yaml

CONF_DIR = Path(__file__).parent


class SparkSettings(Frozen):
    """Where Spark runs."""

    master: str = "local[2]"
    driver_memory: str = "2g"
    executor_memory: str = "2g"
    """Of each executor of a cluster; `local[N]` has none."""
    shuffle_partitions: PositiveInt = 2
    large_days: bool = False
    """Days of a million events and more on this machine: the JVM optimises what it runs and Spark
    plans adaptively, which small days do not live long enough to gain from."""


class FeatureSettings(Frozen):
    """Sizes of the state that is folded forward."""

    sequence_length: PositiveInt = 50
    """Last positive items kept per user."""


_FINITE = Field(allow_inf_nan=False)
"""A bar that everything passes is none."""


class GateSettings(Frozen):
    """What a candidate must show to become champion."""

    margin: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01
    """Non-inferiority margin, as a share of the loss of what a candidate is compared with."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Of the two-sided intervals; between families it is corrected for the candidates of a day."""
    inconclusive_confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.975
    """One-sided: where an interval is too wide to decide (`inconclusive`), an update passes if the
    loss is within the margin with this confidence and its point estimate is not worse. With
    `confidence` .95, none passes from .975 on."""
    resamples: Annotated[int, Field(ge=200)] = 1000
    """Bootstrap resamples, clustered by user. An interval's ends are quantiles of so many means: of
    fewer than 200, single draws would decide."""
    anchor_days: NonNegativeInt = 28
    """Days back to the anchor: what headed the family then. An update is compared with it too, by
    the same margin, because small daily losses add up; 0 = without."""
    max_calibration_error: Annotated[PositiveFloat, _FINITE] = 0.15
    """Guardrail: |log(observed/expected)| of the candidate may be at most this plus two standard
    errors, or as large as that of what it is compared with."""
    max_ece: Annotated[PositiveFloat, _FINITE] = 0.05
    """Guardrail: the expected calibration error (0 to 1) may be at most this plus what chance gives
    a calibrated model, or as large as that of what it is compared with."""
    max_log_loss_increase: Annotated[NonNegativeFloat, _FINITE] = 0.02
    """Guardrail: the log loss may not be shown to be worse by more than this share."""
    max_new_user_increase: Annotated[NonNegativeFloat, _FINITE] = 0.05
    """Guardrail: the same of the loss on rows of new users, as a share."""
    max_new_item_increase: Annotated[NonNegativeFloat, _FINITE] = 0.05
    """Guardrail: the same of the loss on rows of new items, as a share."""
    max_list_churn: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    """Guardrail: the share of the items of an update's lists that its head's lists do not have."""
    max_coverage_loss: Annotated[float, Field(ge=0.0, le=1.0)] = 0.8
    """Guardrail: of the items that its head's lists show, the share that may vanish from lists."""
    max_megabytes: Annotated[PositiveFloat, _FINITE] | None = None
    """Guardrail: size of a candidate's files; null = none."""
    max_p99_ms: Annotated[PositiveFloat, _FINITE] | None = None
    """Guardrail: time within which 99 of 100 requests for a hundred scores are answered, on the
    machine that evaluates; null = none, and it is not measured."""
    min_users: PositiveInt = 10
    """Users that a day's rows must have; with fewer every comparison is inconclusive."""
    min_slice_users: PositiveInt = 30
    """Users that rows of new users or items must have; with fewer they are not judged."""


class PromotionSettings(Frozen):
    """Who has the last word on a new champion."""

    approval: Literal["none", "required"] = "none"
    """`required`: a winner of its gate waits as `challenger` until `dayfold approve VERSION`."""


class RecommendSettings(Frozen):
    """Sizes of the published lists."""

    recall_k: Annotated[PositiveInt, Field(le=10_000)] = 100
    top_n: Annotated[PositiveInt, Field(le=1_000)] = 10
    active_days: PositiveInt = 90
    """Lists are made for users with an event in this many last days."""
    popularity_half_life_days: Literal[1, 7, 30] = 1
    """Half-life of the decayed popularity that tops lists up and serves cold users."""


class ServingSettings(Frozen):
    """What services pull."""

    release: str = "{home}/release/{dataset}"
    """Folder of what serves now: release.json, and a folder for each version that it names."""


class ScheduleSettings(Frozen):
    """How long a scheduled day waits for its log."""

    poll_minutes: PositiveInt = 5
    """Between two looks for the day's `_SUCCESS`."""
    wait_hours: PositiveInt = 24
    """After that the run fails; it may be cleared when the log has come."""


class MlflowSettings(Frozen):
    """Where runs and models are kept."""

    tracking_uri: str = "sqlite:///{home}/mlflow.db"
    artifact_root: str = "{home}/artifacts"
    model_name: str = "dayfold-{dataset}"


class Settings(Frozen):
    """Everything a step needs to know besides its day."""

    profile: Literal["local", "cluster"] = "local"
    home: str = ".dayfold"
    """Folder of everything that Dayfold keeps on this machine (databases, logs, key)."""
    dataset: str = "simulated"
    raw: str = "{home}/raw/{dataset}"
    lake: str = "{home}/lake/{dataset}"
    online_store: str = "{home}/online/{dataset}.db"
    """A SQLite file, or Redis: redis://[[user]:password@]host:port/0 (rediss:// with TLS, unix://
    for a socket)."""
    key_file: str = "{home}/pseudonym.key"
    """File (mode 600) with the HMAC key of the user ids; DAYFOLD_KEY overrules it."""
    launcher: Literal["inline", "subprocess"] = "subprocess"
    spark: SparkSettings = SparkSettings()
    features: FeatureSettings = FeatureSettings()
    training: TrainingSettings = TrainingSettings()
    drift: DriftSettings = DriftSettings()
    gate: GateSettings = GateSettings()
    promotion: PromotionSettings = PromotionSettings()
    compression: CompressionSettings = CompressionSettings()
    recommend: RecommendSettings = RecommendSettings()
    mlflow: MlflowSettings = MlflowSettings()
    serving: ServingSettings = ServingSettings()
    schedule: ScheduleSettings = ScheduleSettings()

    def shown(self) -> dict[str, object]:
        """The settings as JSON values, to be written down: without the password of a URI."""
        content = self.model_dump(mode="json")
        for name, value in content["mlflow"].items():
            content["mlflow"][name] = without_password(value)
        content["online_store"] = without_password(self.online_store)
        return content

    def path(self, template: str) -> Path:
        """`template` with {home} and {dataset} filled in, as an absolute path."""
        return Path(_filled(template, self.home, self.dataset)).absolute()

    def uri(self, template: str) -> str:
        """`template` with {home} (absolute) and {dataset} filled in, for URIs."""
        return _filled(template, str(Path(self.home).absolute()), self.dataset)


def without_password(uri: str) -> str:
    """`uri` with `***` in the place of user and password, and of a password among its options."""
    # Up to the last @: a password may hold a slash.
    masked = re.sub(r"://(?!/).*@", "://***@", uri)
    return re.sub(r"([?&](?:password|username)=)[^&]*", r"\1***", masked)


def _filled(template: str, home: str, dataset: str) -> str:
    try:
        return template.format(home=home, dataset=dataset)
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"The setting {without_password(template)!r} may hold {{home}} and {{dataset}}, and no "
            "other braces."
        ) from error


def _merge(base: dict[str, object], over: Mapping[str, object]) -> dict[str, object]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = (
            _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
        )
    return merged


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    nested: dict[str, object] = {}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX):
            continue
        *parents, leaf = variable[len(PREFIX) :].lower().split("__")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})  # type: ignore[assignment]
            if not isinstance(level, dict):
                raise ConfigError(
                    f"{variable} sets a part of {parent!r}, which another variable sets as a "
                    "whole. Next: unset one of them."
                )
        level[leaf] = value.split(",") if leaf in {"scorers", "hidden"} else value
    return nested


def named_dataset() -> str | None:
    """The dataset that a flag or the environment has named; None = the one of the YAML files."""
    return os.environ.get(f"{PREFIX}DATASET")


def overrides_to_environment(**flags: object) -> None:
    """Put command-line flags that were given (not None) into this process's environment.

    `overrides_to_environment(dataset="x", training__seed=3)` sets DAYFOLD__DATASET and
    DAYFOLD__TRAINING__SEED.
    """
    for name, value in flags.items():
        if value is not None:
            variable = PREFIX + name.upper()
            os.environ[variable] = str(value)
            FLAGS[variable] = f"--{name.replace('_', '-')}"


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Raises:
        ConfigError: a YAML key or an environment variable is wrong; the message names it.
    """
    environment = os.environ if environment is None else environment
    overrides = _from_environment(environment)
    values = read_yaml(CONF_DIR / "base.yaml")
    profile = str(overrides.get("profile", values.get("profile", "local")))
    if profile not in {"local", "cluster"}:
        raise ConfigError(
            f"DAYFOLD__PROFILE is {profile!r}, expected local or cluster. Next: set one of them."
        )
    over = read_yaml(CONF_DIR / f"{profile}.yaml")
    try:
        return Settings.model_validate(_merge(_merge(values, over), overrides))
    except ValidationError as error:
        files = {f"conf/{profile}.yaml": over, "conf/base.yaml": values}
        raise ConfigError(refusal(error, Settings, environment, files, without_password)) from error
