"""A version as a Spark UDF: a batch of requests is answered as a single one is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from feature_store.champion import standing_after
from tests.training.conftest import lake_of, promoted, promoted_once  # noqa: F401
from tests.training.promoted_home import TRAINED, Home
from training.light.recommender import load
from training.registry.registry import Registry

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def composite(promoted: Callable[[str], Home]) -> Path:  # noqa: F811
    home = promoted("impressions")
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    return Registry(home.settings, home.lake.id).version_directory(standing.version)


def test_a_batch_is_answered_in_spark_as_one_by_one(
    spark: SparkSession, composite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    # the pipelines run no Python in workers; whoever does, names an interpreter that has pandas
    monkeypatch.setattr(spark.sparkContext, "pythonExec", sys.executable)

    light, model = composite / "light", composite.parents[1]
    users = json.loads((light / "data" / "users.json").read_text())[1:40]
    answer = mlflow.pyfunc.spark_udf(spark, str(model), env_manager="local")
    asked = spark.createDataFrame([(user,) for user in users], "user_id string").repartition(2)
    rows = asked.withColumn("list", answer(F.struct("user_id"))).collect()
    client = load(light)
    assert len(rows) == len(users)
    for row in rows:
        expected = client.recommend({"user_id": row["user_id"]})
        found = row["list"].asDict(recursive=True)
        assert found["user_id"] == row["user_id"]
        assert found["version"] == client.version
        assert [item["item_id"] for item in found["items"]] == [e["item_id"] for e in expected]
        assert [item["score"] for item in found["items"]] == pytest.approx(
            [entry["score"] for entry in expected], abs=1e-4
        )
        assert all(item["reason"] for item in found["items"])
