"""The registry on a real MLflow: SQLite and a folder."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from conf.errors import RegistryError
from conf.settings import Settings
from tests.training.home_fixture import fresh_home
from tests.training.registry.fake_composite import fake_composite
from training.registry.registry import Registry

DS = "2026-01-05"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fresh_home(tmp_path / "home")


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings, "lake-1")


def client_of(registry: Registry) -> MlflowClient:
    return MlflowClient(registry.tracking_uri, registry.tracking_uri)


def run_of(registry: Registry, run_id: str) -> Run:
    return client_of(registry).get_run(run_id)


def registered(registry: Registry, tmp_path: Path, key: str, ds: str = DS) -> int:
    folder = fake_composite(tmp_path / f"composite-{key}", key)
    run_id = registry.scorer_run(ds, "mlp")
    return registry.register(
        promote_key=key, directory=folder, run_id=run_id, tags={"ds": ds, "scorer": "mlp"}
    )


# ---- runs ----------------------------------------------------------------------------------------


def test_a_day_has_one_run_and_each_scorer_one_nested_in_it(registry: Registry) -> None:
    day, scorer = registry.day_run(DS), registry.scorer_run(DS, "mlp")
    assert registry.day_run(DS) == day
    assert registry.scorer_run(DS, "mlp") == scorer
    assert registry.scorer_run(DS, "two_tower") != scorer
    assert registry.day_run("2026-01-06") != day
    tags = run_of(registry, scorer).data.tags
    assert tags["mlflow.parentRunId"] == day
    assert (tags["dayfold.ds"], tags["dayfold.scorer"]) == (DS, "mlp")


def test_two_at_once_find_the_same_run(registry: Registry) -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = set(pool.map(registry.scorer_run, [DS] * 4, ["mlp"] * 4))
    assert len(runs) == 1


def test_what_is_logged_again_is_there_once(registry: Registry) -> None:
    run_id = registry.day_run(DS)
    for _ in range(2):
        registry.log(
            run_id,
            params={"seed": 7},
            metrics={"auc": 0.7, "undefined": float("nan")},
            series={"loss": [0.5, 0.4, 0.3]},
            tags={"note": "calm"},
        )
    client = client_of(registry)
    data = client.get_run(run_id).data
    assert data.params == {"seed": "7"}
    assert data.metrics == {"auc": 0.7, "loss": 0.3}
    assert data.tags["note"] == "calm"
    assert len(client.get_metric_history(run_id, "auc")) == 1
    assert [m.value for m in client.get_metric_history(run_id, "loss")] == [0.5, 0.4, 0.3]


def test_a_changed_number_is_shown_and_a_changed_parameter_becomes_a_tag(
    registry: Registry,
) -> None:
    run_id = registry.day_run(DS)
    registry.log(run_id, params={"seed": 7}, metrics={"auc": 0.7})
    registry.log(run_id, params={"seed": 8}, metrics={"auc": 0.6})
    data = run_of(registry, run_id).data
    assert data.metrics == {"auc": 0.6}
    assert data.params == {"seed": "7"}
    assert data.tags["changed.seed"] == "8"


def test_artifacts_are_copied_to_the_run(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "drift.json").write_text("{}")
    run_id = registry.day_run(DS)
    registry.log(run_id, artifacts=folder)
    assert [a.path for a in client_of(registry).list_artifacts(run_id)] == ["drift.json"]


def test_the_timeline_has_one_point_per_day_at_the_days_ordinal(registry: Registry) -> None:
    for ds in (DS, "2026-01-06", DS):
        registry.timeline(ds, {"auc": 0.7})
    client = client_of(registry)
    (run,) = client.search_runs([registry.experiment_id], "tags.`dayfold.kind` = 'timeline'")
    history = client.get_metric_history(run.info.run_id, "auc")
    assert [point.step for point in history] == [20458, 20459]  # days since 1970-01-01


def test_a_corrected_day_is_corrected_on_the_timeline(registry: Registry) -> None:
    client = client_of(registry)
    for auc in (0.7, 0.6, 0.6, 0.7):  # downwards too, and back again
        registry.timeline(DS, {"auc": auc})
        registry.timeline("2026-01-06", {"auc": 0.8})
        (run,) = client.search_runs([registry.experiment_id], "tags.`dayfold.kind` = 'timeline'")
        history = client.get_metric_history(run.info.run_id, "auc")
        shown = max((p.timestamp, p.value) for p in history if p.step == 20458)
        assert shown[1] == auc
        assert run.data.metrics["auc"] == 0.8
    assert len([p for p in history if p.step == 20459]) == 1
    assert len([p for p in history if p.step == 20458]) == 3


def test_a_shorter_training_does_not_end_like_the_longer_one_before(registry: Registry) -> None:
    run_id, client = registry.day_run(DS), client_of(registry)
    registry.log(run_id, series={"loss": [0.9, 0.8, 0.7, 0.6]})
    for _ in range(3):
        registry.log(run_id, series={"loss": [0.9, 0.5]})
        history = client.get_metric_history(run_id, "loss")
        shown = {p.step: p.value for p in sorted(history, key=lambda p: p.timestamp)}
        assert shown == {0: 0.9, 1: 0.5, 2: 0.5, 3: 0.5}
        assert len(history) == 4 + 3
        assert client.get_run(run_id).data.metrics["loss"] == 0.5


def test_how_long_it_took_is_logged_once(registry: Registry) -> None:
    run_id, client = registry.day_run(DS), client_of(registry)
    for seconds in (12.0, 11.0, 13.0):
        registry.log(run_id, seconds={"train_seconds": seconds})
    assert [p.value for p in client.get_metric_history(run_id, "train_seconds")] == [12.0]


def test_a_finished_day_has_no_open_run(registry: Registry) -> None:
    day, scorer = registry.day_run(DS), registry.scorer_run(DS, "mlp")
    other = registry.day_run("2026-01-06")
    registry.finish_day(DS)
    assert [run_of(registry, r).info.status for r in (day, scorer, other)] == [
        "FINISHED",
        "FINISHED",
        "RUNNING",
    ]


# ---- versions and aliases ------------------------------------------------------------------------


def test_a_version_is_registered_once_with_its_tags(registry: Registry, tmp_path: Path) -> None:
    version = registered(registry, tmp_path, "key-1")
    folder = tmp_path / "composite-key-1"
    again = registry.register(
        promote_key="key-1", directory=folder, run_id=registry.scorer_run(DS, "mlp"), tags={}
    )
    assert version == again == 1
    assert registered(registry, tmp_path, "key-2") == 2
    assert registry.version_tags(1) == {"ds": DS, "scorer": "mlp", "promote_key": "key-1"}
    assert registry.version_of("key-2") == 2
    assert registry.version_of("key-3") is None


def test_a_versions_files_are_its_own(registry: Registry, tmp_path: Path) -> None:
    first, second = (registered(registry, tmp_path, key) for key in ("key-1", "key-2"))
    for version, key in ((first, "key-1"), (second, "key-2")):
        weights = registry.version_directory(version) / "ranker" / "weights.safetensors"
        assert weights.read_text() == key


def test_a_saved_version_holds_no_pickle(registry: Registry, tmp_path: Path) -> None:
    model = registry.version_directory(registered(registry, tmp_path, "key-1")).parents[1]
    kinds = {path.suffix for path in model.rglob("*") if path.is_file()}
    assert kinds == {"", ".json", ".py", ".safetensors", ".txt", ".yaml"}
    assert "loader_module: dayfold_light.pyfunc" in (model / "MLmodel").read_text()


def test_a_version_that_is_not_there_names_the_way_on(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"no version 9 .*`dayfold demo --fresh"):
        registry.version_directory(9)
    version = registered(registry, tmp_path, "key-1")
    shutil.rmtree(registry.version_directory(version))
    with pytest.raises(RegistryError, match="Version 1 of dayfold-small has no files"):
        registry.version_directory(version)


def test_aliases_say_what_serves_and_what_the_next_start_from(
    registry: Registry, tmp_path: Path
) -> None:
    assert registry.champion() is None
    one, two = (registered(registry, tmp_path, key) for key in ("key-1", "key-2"))
    registry.set_champion(one, 0)
    assert registry.aliases() == {"champion": one}
    registry.set_head("two_tower", one)
    registry.set_challenger(two)
    registry.set_champion(two, one)
    assert registry.champion() == two
    assert registry.aliases() == {
        "champion": two,
        "previous": one,
        "challenger": two,
        "head-two_tower": one,
    }


def test_another_lakes_registry_is_refused_until_it_is_deleted(
    registry: Registry, settings: Settings, tmp_path: Path
) -> None:
    version = registered(registry, tmp_path, "key-1")
    files = registry.version_directory(version)
    stranger = Registry(settings, "lake-2")
    with pytest.raises(RegistryError, match=r"lake lake-1, expected lake-2.*DAYFOLD__HOME"):
        stranger.champion()
    stranger.delete_dataset()
    assert not files.exists()
    assert stranger.champion() is None
    assert registered(stranger, tmp_path / "again", "key-1") == 1
