"""Variants of a registered version, with the real registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from safetensors.torch import load_file

from conf.errors import ConfigError, MissingPartition
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.home_fixture import fresh_home
from tests.training.promoted_home import SCORED, TRAINED, Home, promoted_home
from training.compression import export
from training.compression.compress import compress
from training.compression.variants import pruned_net
from training.features.reader import FeatureReader
from training.registry.registry import Registry
from training.registry.serving import load_version


@pytest.fixture(scope="module")
def home(lake_of: Callable[[str], Lake], tmp_path_factory: pytest.TempPathFactory) -> Home:
    root = tmp_path_factory.mktemp("compressed")
    from tests.training.lake_fixture import small_lake

    return promoted_home(small_lake(root / "lake"), fresh_home(root / "home"))


def test_variants_are_measured_beside_their_version_and_logged(home: Home) -> None:
    found = compress(home.lake, home.settings, SCORED, None, ["pruned", "int8", "distilled"])
    made = {one.measured.name: one for one in found.found.made}
    assert {*made, *found.found.left_out} == {"pruned", "int8", "distilled"}
    assert {"pruned", "int8"} <= made.keys()
    assert made["int8"].measured.agreement > 0.9
    assert made["pruned"].measured.deflated < found.found.original.deflated
    assert load_file(found.folder / "pruned.safetensors").keys()
    registry = Registry(home.settings, home.lake.id)
    client = MlflowClient(tracking_uri=registry.tracking_uri)
    run = client.get_run(found.run_ids["int8"])
    assert run.data.params["version"] == str(found.version)
    assert run.data.metrics["variant_agreement"] == pytest.approx(made["int8"].measured.agreement)
    table = Path(client.download_artifacts(found.run_ids["int8"], "compression.json"))
    assert json.loads(table.read_text())["verdict"]["passed"] == made["int8"].verdict.passed


def test_the_onnx_file_says_what_torch_says(home: Home, tmp_path: Path) -> None:
    version = compress(home.lake, home.settings, SCORED, None, []).version
    scorer = load_version(home.lake, home.settings, version).ranker
    rows = FeatureReader(home.lake, SCORED, SCORED).rows(home.lake.read(EXAMPLES, [SCORED]))
    export.save_onnx(scorer.net, rows.take(slice(0, 8)), tmp_path / "whole.onnx")
    said = export.OnnxScorer(tmp_path / "whole.onnx", scorer.net).logits(rows)
    np.testing.assert_allclose(said, scorer.logits(rows), atol=1e-5)


def test_pruning_leaves_the_version_and_its_tables_as_they_were(home: Home) -> None:
    version = compress(home.lake, home.settings, SCORED, None, []).version
    net = load_version(home.lake, home.settings, version).ranker.net
    before = {name: values.clone() for name, values in net.state_dict().items()}
    smaller = pruned_net(net, 0.5).state_dict()
    assert all(np.array_equal(before[n], values) for n, values in net.state_dict().items())
    changed = {name for name in before if not np.array_equal(before[name], smaller[name])}
    assert changed
    for name in changed:
        assert np.isclose((smaller[name] == 0).float().mean(), 0.5, atol=0.02), name


def test_first_mistakes_are_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingPartition, match=r"--model 99 is not registered; registered are \[1"):
        compress(home.lake, home.settings, SCORED, 99, ["pruned"])
    with pytest.raises(MissingPartition, match="was trained on days up to"):
        compress(home.lake, home.settings, "2026-01-05", 1, ["pruned"])
    with pytest.raises(MissingPartition, match=f"no champion with which {TRAINED} began"):
        compress(home.lake, home.settings, TRAINED, None, ["pruned"])
    with pytest.raises(MissingPartition, match="There are no examples of 2027-01-01"):
        compress(home.lake, home.settings, "2027-01-01", None, ["pruned"])
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs onnx.*pip install 'dayfold\[compress\]'"):
        export.require_onnx()
