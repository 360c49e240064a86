"""Downloads of saved models, and the folder in which they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.errors import RegistryError
from conf.settings import Settings
from tests.training.home_fixture import fresh_home
from tests.training.registry.fake_composite import fake_composite
from training.registry.files import fetched_once
from training.registry.registry import Registry


def saved(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "MLmodel").write_text("flavors: {}")


def test_a_version_is_downloaded_once(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "1"
    assert fetched_once(folder, saved) == folder / "model"

    def again(_: Path) -> None:
        raise AssertionError("it is there already")

    assert fetched_once(folder, again) == folder / "model"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_a_download_that_is_no_saved_model_is_an_error_and_is_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "1"

    def wrong(fetching: Path) -> None:
        (fetching / "weights.txt").write_text("")

    with pytest.raises(RegistryError, match=r"expected MLmodel, found weights\.txt"):
        fetched_once(folder, wrong)
    assert list(folder.parent.iterdir()) == []
    assert fetched_once(folder, saved) == folder / "model"


def test_what_a_download_that_died_left_behind_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "1"

    def dies(fetching: Path) -> None:
        (fetching / "MLmodel").write_text("half")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        fetched_once(folder, dies)
    assert fetched_once(folder, saved) == folder / "model"


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose artifacts are not on this machine's file system, as far as it can see."""
    monkeypatch.setattr("training.registry.registry.local_path", lambda uri: None)
    return fresh_home(tmp_path / "home")


def served(settings: Settings, folder: Path, text: str) -> str:
    """Register a version whose weights are `text`; what its download says they are."""
    registry = Registry(settings, "lake-1")
    run_id = registry.scorer_run("2026-01-05", "mlp")
    version = registry.register(
        promote_key=text, directory=fake_composite(folder / text, text), run_id=run_id, tags={}
    )
    assert version == 1
    directory = registry.version_directory(version)
    assert Path(settings.home) / "models" in directory.parents
    return (directory / "ranker" / "weights.safetensors").read_text()


@pytest.mark.parametrize("other_home", [False, True])
def test_version_1_of_a_registry_begun_again_is_not_the_one_downloaded_before(
    remote: Settings, tmp_path: Path, other_home: bool
) -> None:
    assert served(remote, tmp_path, "old") == "old"
    home = tmp_path / "elsewhere" if other_home else Path(remote.home)
    same_registry = remote.mlflow.model_copy(
        update={"tracking_uri": Registry(remote, "").tracking_uri}
    )
    deleting = remote.model_copy(update={"home": str(home), "mlflow": same_registry})
    Registry(deleting, "lake-1").delete_dataset()
    assert (Path(remote.home) / "models" / "dayfold-small").exists() is other_home
    assert served(remote, tmp_path, "new") == "new"
