"""The step `train`, with the real registry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from mlflow import MlflowClient

from conf.errors import TrainingError
from conf.settings import Settings
from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.step import StepContext
from feature_store.tables import CANDIDATES, EXAMPLES, PROMOTIONS
from tests.training.log_fixture import FIRST_DAY
from tests.training.registry.fake_composite import fake_composite
from training import train
from training.fitting.checkpoint import load_checkpoint, save_scorer
from training.registry.registry import Registry

LakeOf = Callable[[str], Lake]
QUICK = TrainingSettings(
    batch_size=128, embedding_dim=4, hidden=(16, 8), max_epochs=1, bootstrap_epochs=1
)
DS = shift(FIRST_DAY, 6)


def context_of(lake: Lake, home: Path, ds: str, scorer: str | None = "mlp") -> StepContext:
    settings = Settings(home=str(home), dataset=lake.dataset.name, training=QUICK)
    return StepContext((ds,), lake, lake.dataset, settings, scorer)


def promote(context: StepContext, version: int) -> None:
    row = pa.table(
        {
            "champion_version": pa.array([version], pa.int32()),
            "champion_scorer": ["mlp"],
            "previous_version": pa.array([0], pa.int32()),
            "promoted": [True],
            "state": ["done"],
            "heads": [json.dumps({"mlp": version})],
            "reason": ["test"],
        }
    )
    context.lake.replace(PROMOTIONS, {"ds": context.ds}, row, {"step": "test", "ds": context.ds})


def test_train_writes_a_candidate_and_its_parent_is_the_head_before_the_day(
    own_lake_of: LakeOf, tmp_path: Path
) -> None:
    lake, home = own_lake_of("impressions"), tmp_path / "home"
    context = context_of(lake, home, DS)
    result = train.run(context)
    assert "mlp without parent" in result.summary
    first = lake.read(CANDIDATES, [DS])
    row = first.to_pylist()[0]
    assert row["directory"] == f"candidates/small/{DS}/mlp"
    assert (row["parent_version"], row["first_day"]) == (0, FIRST_DAY)
    assert row["last_day"] == shift(DS, -1)
    checkpoint = load_checkpoint(home / row["directory"])
    assert checkpoint.training.rows == row["rows"]
    evidence = json.loads(row["evidence"])
    assert evidence["vocabulary_sizes"] == checkpoint.net.schema.sizes()

    train.run(context)
    assert lake.read(CANDIDATES, [DS]).equals(first)

    registry = Registry(context.settings, lake.id)
    composite = fake_composite(tmp_path / "composite")
    for part in ("retriever", "ranker"):
        shutil.rmtree(composite / part)
        save_scorer(composite / part, checkpoint)
    version = registry.register(
        promote_key="key", directory=composite, run_id=row["run_id"], tags={}
    )
    promote(context, version)
    later = context_of(lake, home, shift(DS, 2))
    assert f"mlp from version {version}" in train.run(later).summary
    row = lake.read(CANDIDATES, [later.ds]).to_pylist()[0]
    assert (row["parent_version"], row["first_day"]) == (version, DS)
    assert row["replay_rows"] > 0


def test_a_training_run_again_after_a_later_day_came_adds_nothing_to_its_run(
    own_lake_of: LakeOf, tmp_path: Path
) -> None:
    lake = own_lake_of("impressions")
    context = context_of(lake, tmp_path / "home", DS)
    run_id = str(train.run(context).facts["run_id"])
    registry = Registry(context.settings, lake.id)
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)

    def logged() -> tuple[dict[str, str], dict[str, str], list[int]]:
        data = client.get_run(run_id).data
        points = [len(client.get_metric_history(run_id, name)) for name in sorted(data.metrics)]
        return data.params, data.tags, points

    before = logged()
    later = lake.read(EXAMPLES, [shift(DS, 1)])
    lake.replace(EXAMPLES, {"ds": shift(DS, 1)}, later.slice(1), {"step": "test", "ds": DS})
    train.run(context)
    assert logged() == before


def test_train_without_a_scorer_is_refused(lake_of: LakeOf, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--scorer NAME"):
        train.run(context_of(lake_of("impressions"), tmp_path, DS, None))
