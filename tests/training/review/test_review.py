"""What a person sees of a day in MLflow is what the lake says, once, however often it is logged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image
from sklearn.metrics import log_loss

from feature_store.lake import Lake
from feature_store.tables import (
    CANDIDATE_SCORES,
    CANDIDATES,
    EXAMPLES,
    GATES,
    SCORES,
    STEP_RUNS,
)
from tests.training.log_fixture import LINEAGE
from tests.training.promoted_home import SCORED, TRAINED, Home
from training import check_drift, evaluate, promote, publish, recommend
from training.registry.registry import Registry
from training.review.cost import costs_of, log_cost, total_of
from training.scoring.metrics import sigmoid

COSTS = {
    "score_day": (1.5, 2.0, 300.0),
    "train.mlp": (4.0, 3.0, 500.0),
    "publish": (0.5, 0.4, 90.0),
}


class Pages:
    """What MLflow has of a home."""

    def __init__(self, home: Home) -> None:
        registry = Registry(home.settings, home.lake.id)
        self.client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
        self.runs = {
            run.info.run_name: run for run in self.client.search_runs([registry.experiment_id])
        }

    def artifact(self, run: Run, path: str) -> Path:
        return Path(self.client.download_artifacts(run.info.run_id, path))

    def table(self, run: Run, path: str) -> dict[str, dict[str, object]]:
        """Rows of a table by their first column."""
        content = json.loads(self.artifact(run, path).read_text())
        return {r[0]: dict(zip(content["columns"], r, strict=True)) for r in content["data"]}

    def everything(self) -> dict[str, object]:
        """All that is shown, histories and files included."""
        shown = {}
        for name, run in self.runs.items():
            history = {
                metric: [
                    (point.step, point.value)
                    for point in self.client.get_metric_history(run.info.run_id, metric)
                ]
                for metric in run.data.metrics
            }
            folder = Path(url2pathname(urlparse(run.info.artifact_uri).path))
            files = {
                path.relative_to(folder): path.read_bytes()
                for path in folder.rglob("*")
                if path.is_file() and "model-" not in str(path)
            }
            shown[name] = (history, run.data.params, run.data.tags, inputs_of(run), files)
        return shown


def inputs_of(run: Run) -> list[tuple[str, str, str]]:
    return sorted(
        (one.dataset.name, one.dataset.digest, one.tags[0].value)
        for one in run.inputs.dataset_inputs
    )


def own(home: Home, folder: Path) -> Home:
    """The home with a lake and a database of the test's own; what runs have as files is shared."""
    for part in ("lake", "home"):
        source = home.lake.root if part == "lake" else Path(home.settings.home)
        shutil.copytree(source, folder / part)
    settings = home.settings.model_copy(update={"home": str(folder / "home")})
    return Home(Lake(folder / "lake", home.lake.dataset), settings)


def put_costs(lake: Lake, ds: str) -> None:
    for step, (cpu, wall, memory) in COSTS.items():
        row = {"finished_at": datetime(2026, 1, 11, tzinfo=UTC), "seconds": wall}
        row |= {"cpu_seconds": cpu, "peak_memory_mb": memory, "summary": "", "warnings": []}
        row |= {"table_versions": json.dumps({"examples.examples": 4})}
        schema = pa.schema([f for f in lake.schema(STEP_RUNS) if f.name not in ("ds", "step")])
        content = pa.Table.from_pylist([row], schema)
        lake.replace(STEP_RUNS, {"ds": ds, "step": step}, content, LINEAGE)


def review(home: Home, *days: str) -> None:
    for ds in days:
        publish.run(home.context(ds))
        log_cost(home.context(ds))


def made(home: Home, folder: Path) -> Home:
    """TRAINED with its candidates published, and SCORED, whose candidates have a head."""
    mine = own(home, folder)
    for ds in (TRAINED, SCORED):
        put_costs(mine.lake, ds)
    for row in mine.lake.read(CANDIDATES, [TRAINED]).to_pylist():
        partition = {"ds": SCORED, "scorer": row.pop("scorer")}
        row.pop("ds")
        mine.lake.replace(CANDIDATES, partition, pa.Table.from_pylist([row]), LINEAGE)
        evaluate.run(mine.context(SCORED, partition["scorer"]))
    for step in (check_drift, promote, recommend):
        step.run(mine.context(SCORED))
    review(mine, TRAINED, SCORED)
    return mine


@pytest.fixture(scope="module")
def home(promoted_once: Callable[[str], Home], tmp_path_factory: pytest.TempPathFactory) -> Home:
    return made(promoted_once("impressions"), tmp_path_factory.mktemp("reviewed"))


def test_the_note_says_what_was_decided_with_the_figures_of_the_tables(home: Home) -> None:
    pages = Pages(home)
    note = pages.runs[SCORED].data.tags["mlflow.note.content"]
    (promotion,) = home.lake.read(publish.PROMOTIONS, [SCORED]).to_pylist()
    (drift,) = home.lake.read(publish.DRIFT, [SCORED]).to_pylist()
    assert f"version {promotion['champion_version']} ({promotion['champion_scorer']})" in note
    assert f"({drift['decision']}: {drift['reason']})" in note
    scores = home.lake.read(SCORES, [SCORED])
    labels, logits = (scores.column(name).to_numpy() for name in ("label", "logit"))
    assert f"On {len(labels):,} new examples" in note
    assert f"log loss {log_loss(labels, sigmoid(logits)):.4f}" in note
    for gate in home.lake.read(GATES, [SCORED]).to_pylist():
        assert gate["reason"] in note
        run = pages.runs[f"{SCORED} {gate['scorer']}"]
        assert str(gate["reason"]).split(": ", 1)[-1] in run.data.tags["mlflow.note.content"]
        assert run.data.tags.get("version", "0") == str(gate["version"])
    tags = pages.runs[SCORED].data.tags
    assert (tags["decision"], tags["version"]) == (
        drift["decision"],
        str(promotion["champion_version"]),
    )
    assert tags["promoted"] == ("yes" if promotion["promoted"] else "no")
    assert "champion.(auc|" in pages.runs["timeline"].data.tags["mlflow.note.content"]


def test_inputs_name_table_version_days_and_rows_and_no_path_of_a_machine(home: Home) -> None:
    pages = Pages(home)
    rows = home.lake.read(EXAMPLES, [SCORED]).num_rows
    tested = (f"examples.examples {SCORED}", f"v4, {rows} rows", "evaluation")
    assert inputs_of(pages.runs[SCORED]) == [tested]
    assert tested in inputs_of(pages.runs[f"{SCORED} mlp"])
    (candidate,) = (
        row for row in home.lake.read(CANDIDATES, [TRAINED]).to_pylist() if row["scorer"] == "mlp"
    )
    days = f"{candidate['first_day']} to {candidate['last_day']}"
    run = pages.runs[f"{TRAINED} mlp"]
    trained = [one for one in inputs_of(run) if one[2] == "training"]
    version = home.lake.version(EXAMPLES)
    assert trained == [
        (f"examples.examples {days}", f"v{version}, {candidate['rows']} rows", "training")
    ]
    for one in run.inputs.dataset_inputs:
        source = json.loads(one.dataset.source)
        assert source["path"] == "examples/examples_v1"
        assert str(home.lake.root) not in one.dataset.source
        assert json.loads(one.dataset.profile)["num_rows"] > 0
        names = [column["name"] for column in json.loads(one.dataset.schema)["mlflow_colspec"]]
        assert names == home.lake.schema(EXAMPLES).names
        assert one.dataset.source_type == "delta_table"


def test_the_table_of_slices_is_that_of_the_scores(home: Home) -> None:
    pages = Pages(home)
    run = pages.runs[f"{SCORED} mlp"]
    found = pages.table(run, "slices.json")
    scores = home.lake.read(CANDIDATE_SCORES, [SCORED])
    scores = scores.filter(pc.equal(scores.column("scorer"), "mlp")).sort_by("example_id")
    labels, mine, heads, user = (
        scores.column(name).to_numpy() for name in ("label", "logit", "head_logit", "user_index")
    )
    whole = found["all"]
    assert (whole["rows"], whole["users"]) == (len(labels), len(set(user.tolist())))
    assert whole["value"] == pytest.approx(log_loss(labels, sigmoid(mine)))
    assert whole["head_value"] == pytest.approx(log_loss(labels, sigmoid(heads)))
    examples = home.lake.read(EXAMPLES, [SCORED]).sort_by("example_id")
    device = examples.column("ctx_device").to_numpy() == 2  # "m" by its vocabulary
    one = found["context.device=m"]
    assert one["rows"] == int(device.sum())
    assert one["value"] == pytest.approx(log_loss(labels[device], sigmoid(mine[device])))
    assert {"new_users", "seen_users", "new_items", "seen_items"} <= found.keys()
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "attributions.json", "type": "table"},
        {"path": "slices.json", "type": "table"},
    ]


def test_the_cost_is_that_of_the_steps_and_the_total_is_on_the_timeline(home: Home) -> None:
    pages = Pages(home)
    run = pages.runs[SCORED]
    assert run.data.metrics["cost.train.mlp.cpu_seconds"] == 4.0
    assert run.data.metrics["cost.publish.wall_seconds"] == 0.4
    total = {"cpu_seconds": 6.0, "wall_seconds": 5.4, "peak_memory_mb": 500.0}
    for measure, value in total.items():
        name = f"cost.total.{measure}"
        assert run.data.metrics[name] == pytest.approx(value)
        history = pages.client.get_metric_history(pages.runs["timeline"].info.run_id, name)
        assert [point.value for point in history] == pytest.approx([value] * 2)
    table = pages.table(run, "cost.json")
    assert {**table["train.mlp"]} == {
        "step": "train.mlp",
        "cpu_seconds": 4.0,
        "wall_seconds": 3.0,
        "peak_memory_mb": 500.0,
        "gpu_seconds": None,
    }
    assert not any("gpu_seconds" in name for name in run.data.metrics)


def test_seconds_of_a_gpu_are_counted_where_a_training_held_one(home: Home, tmp_path: Path) -> None:
    mine = own(home, tmp_path)
    row = next(r for r in mine.lake.read(CANDIDATES, [SCORED]).to_pylist() if r["scorer"] == "mlp")
    row["evidence"] = json.dumps(json.loads(row["evidence"]) | {"gpu_seconds": 2.5})
    partition = {name: row.pop(name) for name in ("ds", "scorer")}
    mine.lake.replace(CANDIDATES, partition, pa.Table.from_pylist([row]), LINEAGE)
    costs = costs_of(mine.lake, SCORED)
    assert costs["train.mlp"]["gpu_seconds"] == total_of(costs)["gpu_seconds"] == 2.5
    assert "gpu_seconds" not in costs["publish"]


def test_pictures_are_files_that_open_and_show_something(home: Home) -> None:
    pages = Pages(home)
    for name, pictures in {
        SCORED: {"calibration", "score_histogram", "metrics_over_days"},
        f"{SCORED} mlp": {"calibration", "slices", "attributions"},
    }.items():
        folder = pages.artifact(pages.runs[name], "plots")
        assert {path.stem for path in folder.glob("*.png")} == pictures
        for path in folder.glob("*.png"):
            with Image.open(path) as image:
                assert np.asarray(image.convert("L"), dtype=float).std() > 5


def test_what_is_logged_again_changes_nothing(home: Home) -> None:
    before = Pages(home).everything()
    for scorer in home.settings.training.scorers:
        evaluate.run(home.context(SCORED, scorer))
    review(home, SCORED)
    after = Pages(home).everything()
    for name, shown in before.items():
        assert after.pop(name) == shown, name
    assert not after


def test_where_negatives_are_drawn_places_are_shown_instead_of_calibration(
    promoted_once: Callable[[str], Home], tmp_path: Path
) -> None:
    mine = made(promoted_once("sampled"), tmp_path)
    pages = Pages(mine)
    day, scorer = (pages.artifact(pages.runs[r], "plots") for r in (SCORED, f"{SCORED} mlp"))
    assert {path.stem for path in day.glob("*.png")} == {
        "percentile_ranks",
        "score_histogram",
        "metrics_over_days",
    }
    shown = {path.stem for path in scorer.glob("*.png")}
    assert shown == {"percentile_ranks", "slices", "attributions"}
    scores = mine.lake.read(CANDIDATE_SCORES, [SCORED])
    ranks = scores.filter(pc.equal(scores.column("scorer"), "mlp")).column("percentile_rank")
    whole = pages.table(pages.runs[f"{SCORED} mlp"], "slices.json")["all"]
    assert whole["value"] == pytest.approx(1 - pc.mean(ranks).as_py())
    assert whole["difference"] == pytest.approx(0)
