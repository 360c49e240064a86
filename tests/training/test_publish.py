"""Step publish: what goes out, what is logged, and that the ledger is written last."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from mlflow import MlflowClient

from conf.errors import DayfoldError
from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.ledger import closed_days
from feature_store.online import OnlineStore, open_online_store
from feature_store.step import StepContext
from feature_store.tables import (
    DAILY_METRICS,
    DRIFT,
    INTAKE,
    LEDGER,
    PROMOTIONS,
    RECOMMENDATIONS,
    Table,
)
from tests.training.drift.day_fixture import quiet_evidence
from tests.training.home_fixture import fresh_home
from tests.training.registry.fake_composite import fake_composite
from training import publish
from training.light.release import RELEASE
from training.registry.pool import Pool, clear_pool, pool_of, set_pool
from training.registry.registry import Registry
from training.registry.release import KEPT_FOLDERS, write_release

D1, D2 = "2026-01-08", "2026-01-09"


def put(lake: Lake, table: Table, ds: str, rows: list[dict[str, object]]) -> None:
    schema = pa.schema([field for field in lake.schema(table) if field.name != "ds"])
    lake.replace(table, {"ds": ds}, pa.Table.from_pylist(rows, schema), {"step": "test", "ds": ds})


def prepare(
    lake: Lake, ds: str, version: int = 3, *, promoted: bool = False, users: int = 3
) -> None:
    """What the steps before publish write."""
    put(
        lake,
        RECOMMENDATIONS,
        ds,
        [
            {
                "user_id": user,
                "rank": rank,
                "item_id": f"i{rank}-{ds}",
                "score": 1.0 / rank,
                "source": "model",
                "reason": "because it is popular",
                "model_version": version,
            }
            for user in ["*", *(f"u{number}" for number in range(users))]
            for rank in (1, 2)
        ],
    )
    champion = {"champion_version": version, "champion_scorer": "mlp" if version else ""}
    champion |= {"previous_version": 0, "promoted": promoted, "state": "done"}
    put(lake, PROMOTIONS, ds, [{**champion, "heads": "{}", "reason": "by hand"}])
    drift = {"decision": "skip", "train": False, "reason": "as usual"}
    put(lake, DRIFT, ds, [{**drift, "evidence": quiet_evidence()}])
    metric = {"subject": "champion", "metric": "auc", "value": 0.71, "n": 300}
    put(lake, DAILY_METRICS, ds, [metric])
    put(lake, INTAKE, ds, [{"stream": "events", "outcome": "read", "rows": 1234}])


@pytest.fixture(autouse=True)
def registered(registry: Registry, tmp_path: Path) -> None:
    """Versions 1 to 4 are there."""
    register(registry, tmp_path)


def register(registry: Registry, folder: Path) -> None:
    run_id = registry.scorer_run(D1, "mlp")
    for version in range(1, 5):
        composite = fake_composite(folder / f"version-{version}", f"of version {version}")
        registry.register(promote_key=str(version), directory=composite, run_id=run_id, tags={})


def run(lake: Lake, settings: Settings, ds: str) -> str:
    return publish.run(StepContext((ds,), lake, lake.dataset, settings)).summary


def store_of(settings: Settings) -> OnlineStore:
    return open_online_store(settings)


def test_the_summary_says_what_went_out_by_what_and_what_was_decided(
    lake: Lake, settings: Settings
) -> None:
    prepare(lake, D1)
    said = run(lake, settings, D1)
    assert said == "published 3 lists by version 3 (mlp); champion kept (skip)"
    prepare(lake, D2, version=4, promoted=True, users=1200)
    said = run(lake, settings, D2)
    assert said == "published 1,200 lists by version 4 (mlp); champion promoted (skip)"


def test_the_lists_are_in_the_online_store_and_an_older_day_leaves_them(
    lake: Lake, settings: Settings
) -> None:
    for ds in (D1, D2):
        prepare(lake, ds)
        run(lake, settings, ds)
    assert "the online store keeps those of a later day" in run(lake, settings, D1)
    found = store_of(settings).read_list("u1")
    assert found is not None
    assert (found.ds, found.items[0].item_id) == (D2, f"i1-{D2}")


def test_the_vectors_are_published_with_the_lists_and_are_of_the_same_day(
    lake: Lake, settings: Settings
) -> None:
    prepare(lake, D1)
    run(lake, settings, D1)
    user, items = store_of(settings).read_user("u00002"), store_of(settings).read_items(["i00002"])
    assert user is not None
    assert (user.entity_id, user.ds, user.values["index"].tolist()) == ("u00002", D1, [2])
    assert (items[0].entity_id, items[0].ds) == ("i00002", D1)


def test_the_ledger_row_closes_the_day_with_versions_code_and_configuration(
    lake: Lake, settings: Settings
) -> None:
    prepare(lake, D1)
    run(lake, settings, D1)
    (row,) = lake.read(LEDGER, [D1]).to_pylist()
    assert row["state"] == "published"
    assert row["reason"].startswith("published 3 lists")
    assert row["code_version"]
    assert len(row["config_hash"]) == 16


def test_a_changed_setting_changes_the_hash_and_where_the_home_lies_does_not(
    lake: Lake, settings: Settings, tmp_path: Path
) -> None:
    prepare(lake, D1)

    def hash_with(other: Settings) -> str:
        run(lake, other, D1)
        return str(lake.read(LEDGER, [D1], ["config_hash"]).column(0)[0].as_py())

    first = hash_with(settings)
    moved = fresh_home(tmp_path / "elsewhere")
    register(Registry(moved, lake.id), tmp_path / "elsewhere")
    assert hash_with(moved) == first
    training = settings.training.model_copy(update={"seed": 8})
    assert hash_with(settings.model_copy(update={"training": training})) != first


def test_the_ledger_is_written_last(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(lake, D1)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publish, "close_day", dies)
        with pytest.raises(KeyboardInterrupt):
            run(lake, settings, D1)
    assert D1 not in closed_days(lake)
    assert store_of(settings).current_day() == D1
    run(lake, settings, D1)
    assert closed_days(lake)[D1].state == "published"


def test_the_day_is_on_the_timeline_and_in_its_run_once(lake: Lake, settings: Settings) -> None:
    prepare(lake, D1)
    run(lake, settings, D1)
    run(lake, settings, D1)
    registry = Registry(settings, lake.id)
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
    runs = client.search_runs([registry.experiment_id])
    kinds = {run.data.tags["dayfold.kind"]: run for run in runs}
    assert len(runs) == len(kinds) == 3  # one is the run of the versions that are there
    day = kinds["day"]
    assert day.info.status == "FINISHED"
    assert day.data.tags["mlflow.note.content"] == (
        "**Champion kept: version 3 (mlp)**. It did not train (skip: as usual). "
        "3 lists went out. On 297 new examples the champion had AUC 0.7100."
    )
    assert day.data.metrics["champion.auc"] == 0.71
    assert day.data.metrics["intake.events.read"] == 1234
    assert day.data.metrics["drift.label.threshold"] == 0.3
    history = client.get_metric_history(kinds["timeline"].info.run_id, "champion.auc")
    assert [(point.step, point.value) for point in history] == [(20461, 0.71)]
    names = {artifact.path for artifact in client.list_artifacts(day.info.run_id)}
    settled = {"settings.json", "dataset.json", "table_versions.json", "drift.json", "drift.html"}
    assert names == {*settled, "plots"}


def test_a_day_without_lists_is_closed_and_leaves_yesterdays(
    lake: Lake, settings: Settings
) -> None:
    prepare(lake, D1)
    run(lake, settings, D1)
    prepare(lake, D2)
    put(lake, RECOMMENDATIONS, D2, [])
    assert run(lake, settings, D2) == "published no lists; champion kept (skip)"
    assert store_of(settings).current_day() == D1
    assert closed_days(lake)[D2].state == "published"


def test_before_the_first_champion_popularity_is_named(lake: Lake, settings: Settings) -> None:
    prepare(lake, D1, version=0)
    assert run(lake, settings, D1) == ("published 3 lists by popularity, there is no champion yet")


def release_of(settings: Settings) -> dict[str, Any]:
    folder = settings.path(settings.serving.release)
    found: dict[str, Any] = json.loads((folder / RELEASE).read_text())
    for one in found["versions"]:
        assert (folder / one["folder"] / "data" / "about.json").exists()
    return found


def test_what_serves_is_released_and_an_older_day_leaves_it(lake: Lake, settings: Settings) -> None:
    prepare(lake, D1)
    run(lake, settings, D1)
    first = release_of(settings)
    assert [one["registered_version"] for one in first["versions"]] == [3]
    assert first["versions"][0]["version"] == "of version 3"
    prepare(lake, D2, version=4, promoted=True)
    run(lake, settings, D2)
    second = release_of(settings)
    assert [one["registered_version"] for one in second["versions"]] == [4]
    assert second["etag"] != first["etag"]
    run(lake, settings, D1)
    run(lake, settings, D2)
    assert release_of(settings) == second


def test_a_pool_is_released_with_its_weights_and_ends_with_it(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    prepare(lake, D1)
    set_pool(registry, {3: 3.0, 1: 1.0}, "random")
    run(lake, settings, D1)
    found = release_of(settings)
    assert found["pick"] == "random"
    weights = {one["registered_version"]: one["weight"] for one in found["versions"]}
    assert weights == {3: 0.75, 1: 0.25}
    clear_pool(registry)
    clear_pool(registry)
    run(lake, settings, D1)
    assert [one["registered_version"] for one in release_of(settings)["versions"]] == [3]


@pytest.mark.parametrize(
    ("weights", "pick", "message"),
    [
        ({1: 0.0}, "sticky", "The weight of version 1 is 0.0, expected above 0"),
        ({1: float("nan")}, "sticky", "The weight of version 1 is nan"),
        ({}, "sticky", "The pool is empty, expected VERSION=WEIGHT"),
        ({1: 1.0}, "often", "--pick is 'often', expected sticky or random"),
        ({9: 1.0}, "sticky", "no version 9"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(
    registry: Registry, weights: dict[int, float], pick: str, message: str
) -> None:
    with pytest.raises(DayfoldError, match=message):
        set_pool(registry, weights, pick)
    assert pool_of(registry, 2) == Pool({2: 1.0})


def test_versions_that_serve_no_more_are_cleared_but_for_the_newest(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    folder = settings.path(settings.serving.release)
    for version in (1, 2, 3, 4, 1):
        write_release(registry, Pool({version: 1.0}), folder)
    held = sorted(path.name.split("-")[0] for path in folder.iterdir() if path.is_dir())
    assert held == ["v1", "v2", "v3", "v4"]
    assert len(held) == 1 + KEPT_FOLDERS


def test_a_version_of_an_earlier_dayfold_stops_no_lists_and_is_named(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    shutil.rmtree(registry.version_directory(3) / "light")
    prepare(lake, D1)
    result = publish.run(StepContext((D1,), lake, lake.dataset, settings))
    ((day, said),) = result.warnings
    assert day == D1
    assert said.startswith("Version 3 has no folder `light`")
    assert closed_days(lake)[D1].state == "published"
