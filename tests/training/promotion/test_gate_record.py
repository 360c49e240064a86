"""What the gate saw stands in the lake and beside the runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from mlflow.artifacts import download_artifacts

from conf.settings import Settings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.promotion_fixture import BOTH, D1, context_of, prepare, promote, written
from training.promotion.candidates import aligned_scores
from training.registry.registry import Registry
from training.scorers.schema import schema_on
from training.scoring.slices import new_and_seen


def test_gate_json_of_the_runs_and_the_row_of_the_lake_hold_the_same(
    lake: Lake, settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    prepare(context_of(lake, settings, D1), BOTH)
    promote(context_of(lake, settings, D1))
    rows = {str(row["scorer"]): row for row in written(lake, D1)["gates"]}
    runs = {name: registry.scorer_run(D1, name) for name in BOTH}
    for name, run_id in (*runs.items(), ("day", registry.day_run(D1))):
        path = download_artifacts(
            run_id=run_id,
            artifact_path="gate.json",
            dst_path=str(tmp_path / name),
            tracking_uri=f"sqlite:///{settings.home}/mlflow.db",
        )
        content = json.loads(Path(path).read_text())
        assert content["settings"] == json.loads(settings.gate.model_dump_json())
        assert set(content["candidates"]) == (set(BOTH) if name == "day" else {name})
        for scorer, judged in content["candidates"].items():
            row = rows[scorer]
            assert (judged.pop("outcome"), judged.pop("reason")) == (row["outcome"], row["reason"])
            assert judged == json.loads(str(row["evidence"]))
            assert {"own", "guardrails"} <= judged.keys()


def test_new_rows_are_those_that_the_evaluation_calls_new(lake: Lake, settings: Settings) -> None:
    prepare(context_of(lake, settings, D1), BOTH)
    aligned = aligned_scores(lake, D1, list(BOTH), has_champion=False, half_life_days=7)
    examples: pa.Table = lake.read(EXAMPLES, [D1]).sort_by("example_id")
    slices = new_and_seen(examples, schema_on(lake, shift(D1, -1)))
    for scored in aligned.scored:
        np.testing.assert_array_equal(scored.new_user, slices["new_users"])
        np.testing.assert_array_equal(scored.new_item, slices["new_items"])
