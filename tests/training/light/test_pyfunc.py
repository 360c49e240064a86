"""The version as MLflow serves it: from its own code, with 400 for a wrong field."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.light.pyfunc import plain
from training.light.recommender import Recommender

ASK = """
import json, sys
import mlflow
from mlflow.pyfunc.scoring_server import init
from starlette.testclient import TestClient

model = mlflow.pyfunc.load_model(sys.argv[1])
client = TestClient(init(model), raise_server_exceptions=False)
answers = []
for body in json.load(sys.stdin):
    answer = client.post("/invocations", json=body)
    answers.append([answer.status_code, answer.json()])
ours = sorted(m for m in sys.modules if m.split(".")[0] in sys.argv[2].split(","))
print(json.dumps({"answers": answers, "modules": ours}))
"""
NEVER = "torch,conf,feature_store,training,pipelines,dayfold"


def served(model: Path, bodies: list[Any], folder: Path) -> Any:
    """What MLflow's scoring server answers, in a process that cannot import Dayfold."""
    environment = {
        **os.environ,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PYTHONPATH": "",
        "PYTHONSAFEPATH": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", ASK, str(model), NEVER],
        input=json.dumps(bodies),
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


def records(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"dataframe_records": list(rows)}


def test_mlflow_serves_a_version_by_its_own_code(
    composite: Path, recommender: Recommender, tmp_path: Path
) -> None:
    model = composite.parents[1]
    user = json.loads((composite / "light" / "data" / "users.json").read_text())[3]
    items = json.loads((composite / "light" / "data" / "items.json").read_text())[1:4]
    new = {"item_id": "new", "attributes": {"tags": ["x"]}}
    questions = [
        {"user_id": user, "top_n": 3},
        {"profile": {"age": 31, "city": "nowhere"}, "context": {"hour": 8}, "top_n": 2},
        {"history": [items[0]], "candidates": [*items, new, "unknown"]},
    ]
    wrong = {
        "profile.age: 'old' (text), expected a finite number": {"profile": {"age": "old"}},
        "profile.aeg: not a field here, expected age, city": {"profile": {"aeg": 3}},
        "candidates: 'i1' (text), expected a list": {"candidates": "i1"},
        "top_n: 0 (a number), expected a whole number 1": {"top_n": 0},
    }
    odd = [records({}), records({}, {}), {"inputs": [{"user_id": user, "top_n": 3}]}, *BY_COLUMNS]
    bodies = [
        records(*questions),
        *odd,
        *(records(questions[0], bad) for bad in wrong.values()),
        records({"user_id": user, "topn": 5}),
        records({"usr": user}),
    ]
    said = served(model, bodies, tmp_path)
    (status, answer), *others = said["answers"]
    assert status == 200
    _check_odd_forms(recommender, user, others[: len(odd)])
    refused, misspelt = others[len(odd) : -2], others[-2:]
    for (status, mistake), name in zip(misspelt, ("topn", "usr"), strict=True):
        assert status == 400
        assert f"Row 0: request.{name}: not a field here, expected user_id, " in mistake["message"]
    for question, row in zip(questions, answer["predictions"], strict=True):
        assert (row["user_id"], row["version"]) == (question.get("user_id"), recommender.version)
        for mine, theirs in zip(row["items"], recommender.recommend(question), strict=True):
            assert mine.pop("score") == pytest.approx(theirs.pop("score"), abs=1e-4)
            assert mine == theirs
    for (status, answer), message in zip(refused, wrong, strict=True):
        assert status == 400
        assert f"Row 1: {message}" in answer["message"]
    assert not said["modules"]


BY_COLUMNS = [
    {"dataframe_split": {"columns": ["user_id", "top_n"], "data": [[7, 3], [None, 2]]}},
    {"instances": [{"user_id": "a", "top_n": 2}, {"user_id": "b", "top_n": 1}]},
]


def _check_odd_forms(recommender: Recommender, user: str, answers: list[Any]) -> None:
    """One answer per request, whatever form they come in; nothing said is as `{}` is."""
    rows = []
    for status, answer in answers:
        assert status == 200
        rows.append(answer["predictions"])
    nothing = [entry["item_id"] for entry in recommender.recommend({})]
    for said in (*rows[0], *rows[1]):
        assert [entry["item_id"] for entry in said["items"]] == nothing
    assert [len(said) for said in rows] == [1, 2, 1, 2, 2]
    assert [(s["user_id"], len(s["items"])) for s in rows[2]] == [(user, 3)]
    assert [(s["user_id"], len(s["items"])) for s in rows[3]] == [("7", 3), (None, 2)]
    assert [(s["user_id"], len(s["items"])) for s in rows[4]] == [("a", 2), ("b", 1)]


def test_cells_of_tables_become_what_json_has() -> None:
    import numpy as np
    import pandas as pd
    from pyspark.sql import Row

    assert plain(np.array([1, 2])) == [1, 2]
    assert plain(np.float32(0.5)) == 0.5
    assert plain(float("nan")) is None
    assert plain(Row(a=1, b=Row(c=[np.int64(3)]))) == {"a": 1, "b": {"c": [3]}}
    assert plain(pd.Series([1.5])[0]) == 1.5


def test_a_version_names_its_environment_without_dayfold_and_holds_no_pickle(
    composite: Path,
) -> None:
    model = composite.parents[1]
    needed = (model / "requirements.txt").read_text()
    names = {line.split("==")[0] for line in needed.split()}
    assert names == {"mlflow", "numpy", "pandas"}
    assert (composite / "light" / "requirements.txt").read_text().startswith("numpy==")
    kinds = {path.suffix for path in model.rglob("*") if path.is_file()}
    assert not kinds & {".pkl", ".pickle", ".pt", ".bin", ".joblib"}
    assert {".onnx", ".npz", ".json", ".py", ".md"} <= kinds
