"""The examples of docs/examples do what they say."""

from __future__ import annotations

import importlib.util
import json
import time
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def signed(secret: str, body: dict[str, Any], when: int) -> tuple[dict[str, str], bytes]:
    """Headers and body of a message, as MLflow's own code signs it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.webhooks.delivery import _generate_hmac_signature

    text = json.dumps(body)
    signature = _generate_hmac_signature(secret, "d-1", str(when), text)
    return {
        "X-MLflow-Signature": signature,
        "X-MLflow-Timestamp": str(when),
        "X-MLflow-Delivery-Id": "d-1",
    }, text.encode()


CHAMPION = {
    "entity": "model_version_alias",
    "action": "created",
    "data": {"name": "dayfold-simulated", "alias": "champion", "version": "7"},
}


def test_a_webhook_is_believed_if_mlflow_signed_it_lately() -> None:
    module, now = loaded("on_webhook"), int(time.time())
    headers, body = signed("secret", CHAMPION, now)
    assert module.is_signed(headers, body, "secret")
    assert module.is_signed({k.lower(): v for k, v in headers.items()}, body, "secret")
    assert not module.is_signed(headers, body, "another secret")
    assert not module.is_signed(headers, body + b" ", "secret")
    assert not module.is_signed({**headers, "X-MLflow-Delivery-Id": "d-2"}, body, "secret")
    assert not module.is_signed({}, body, "secret")
    assert not module.is_signed(*signed("secret", CHAMPION, now - 3600), "secret")
    assert module.names_a_champion(body, "dayfold-simulated")
    assert not module.names_a_champion(body, "another model")
    other = {**CHAMPION, "data": {**CHAMPION["data"], "alias": "previous"}}  # type: ignore[dict-item]
    assert not module.names_a_champion(json.dumps(other).encode(), "dayfold-simulated")


@pytest.mark.airflow
def test_another_teams_dag_pulls_a_release_once(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = loaded("pull_champion")
    (asset,) = [module.CHAMPION]
    assert asset.uri == "dayfold://simulated/champion"
    assert [task.task_id for task in module.dag.tasks] == ["pull"]
    release = tmp_path / "release"
    (release / "v7-abc").mkdir(parents=True)
    (release / "release.json").write_text(json.dumps({"etag": "e1"}))
    events = {asset: [SimpleNamespace(extra={"version": v}) for v in (6, 7)]}
    said = module.pull(events, release, tmp_path / "ours")
    assert said == "pulled e1, told of {'version': 7}"
    assert (tmp_path / "ours" / "e1" / "v7-abc").is_dir()
    assert module.pull(events, release, tmp_path / "ours") == "e1 is here already"
    assert [path.name for path in (tmp_path / "ours").iterdir()] == ["e1"]
    _check_a_change_meanwhile(module, events, release, tmp_path / "changed")


def _check_a_change_meanwhile(module: ModuleType, events: Any, release: Path, ours: Path) -> None:
    """A release that changes while it is copied lies under its own etag."""
    copy, copied = module.shutil.copytree, []

    def slowly(source: Path, target: Path, *more: Any) -> None:
        if Path(source) == release:
            if not copied:
                (release / "release.json").write_text(json.dumps({"etag": "e2"}))
            copied.append(target.name)
        copy(source, target, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.shutil, "copytree", slowly)
        assert module.pull(events, release, ours).startswith("pulled e2, ")
    assert copied == [".e1", ".e2"]
    assert [path.name for path in ours.iterdir()] == ["e2"]
    assert json.loads((ours / "e2" / "release.json").read_text()) == {"etag": "e2"}
