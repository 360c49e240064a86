from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feature_store.champion import standing_after
from tests.training.light.released import put
from tests.training.promoted_home import TRAINED, Home
from training.light.recommender import Recommender, load
from training.light.release import Release
from training.light.server import Server, Service
from training.registry.registry import Registry


@pytest.fixture(scope="module")
def composite(promoted: Callable[[str], Home]) -> Path:
    """The folder of a champion's composite; only to be read."""
    home = promoted("impressions")
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    return Registry(home.settings, home.lake.id).version_directory(standing.version)


@pytest.fixture(scope="module")
def recommender(composite: Path) -> Recommender:
    """The champion, in NumPy."""
    return load(composite / "light", "numpy")


@pytest.fixture
def released(composite: Path, tmp_path: Path) -> Path:
    """A release folder with the same model as versions `a` and `b`; `a` serves."""
    for name in ("a", "b"):
        shutil.copytree(composite / "light", tmp_path / name)
        path = tmp_path / name / "data" / "about.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "version": name}))
    put(tmp_path, {"a": 1.0})
    return tmp_path


@pytest.fixture
def served(released: Path) -> Iterator[tuple[Server, Path]]:
    with (released / "answers.log").open("a") as log:
        service = Service(Release(released), bytes(32), log)
        server = Server(("127.0.0.1", 0), service)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server, released
        server.shutdown()
        server.server_close()
        thread.join()
