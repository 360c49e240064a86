"""What is seen of a training while it runs, and how it ends when it cannot go on."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from conf.errors import TrainingError
from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.step import StepContext
from feature_store.tables import CANDIDATES
from tests.training.home_fixture import fresh_home
from tests.training.log_fixture import FIRST_DAY
from training import train
from training.fitting import report
from training.fitting.candidate import train_candidate
from training.fitting.refused import explained
from training.fitting.report import Report
from training.registry.curve import LiveCurve
from training.registry.registry import Registry

LakeOf = Callable[[str], Lake]
QUICK = TrainingSettings(
    batch_size=128,
    embedding_dim=4,
    hidden=(16, 8),
    bootstrap_epochs=3,
    save_every_seconds=0.0,
)
DS = shift(FIRST_DAY, 6)


def context_of(lake: Lake, home: Path, **changes: object) -> StepContext:
    training = QUICK.model_copy(update=changes)
    settings = fresh_home(home).model_copy(update={"training": training})
    return StepContext((DS,), lake, lake.dataset, settings, "mlp")


def test_reports_say_how_far_a_training_is(
    lake_of: LakeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "EVERY_SECONDS", 0.0)
    heard: list[tuple[Report, str]] = []
    candidate = train_candidate(
        lake_of("impressions"), QUICK, "mlp", DS, watch=lambda r: heard.append((r, str(r)))
    )
    steps = [said.step for said, _ in heard]
    assert steps == list(range(1, len(candidate.training_losses) + 1))
    last, line = heard[-1]
    assert last.new_losses == 1
    assert line.startswith(f"step {last.step} of {last.steps}, loss {last.training_losses[-1]:.4f}")
    assert "validation loss" in line
    assert line.endswith("left")
    assert candidate.samples_per_second > 0
    assert heard[0][0].seconds_left > 0


def test_a_short_training_says_nothing_before_its_end(lake_of: LakeOf) -> None:
    heard: list[Report] = []
    train_candidate(lake_of("impressions"), QUICK, "mlp", DS, watch=heard.append)
    assert not heard


_CHILD = """
import os, signal, sys
from pathlib import Path
from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.step import StepContext
from tests.training.lake_fixture import small_dataset
from training import train
from training.fitting import report

root, settings, ds, killed_at = sys.argv[1:]
report.EVERY_SECONDS = 0.0
real, calls = train.LiveCurve.add, 0

def add(self, points):
    global calls
    real(self, points)
    calls += 1
    if calls == int(killed_at):
        os.kill(os.getpid(), signal.SIGKILL)

train.LiveCurve.add = add
lake = Lake(Path(root), small_dataset("impressions"))
settings = Settings.model_validate_json(settings)
train.run(StepContext((ds,), lake, lake.dataset, settings, "mlp"))
"""


def test_a_killed_training_leaves_its_curve_and_the_next_try_goes_on_with_it(
    own_lake_of: LakeOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(own_lake_of("impressions"), tmp_path / "home")
    lake, settings = context.lake, context.settings
    arguments = (lake.root, settings.model_dump_json(), DS, 9)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, *map(str, arguments)],
        check=False,
        env=environment,
        capture_output=True,
        timeout=120,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    registry = Registry(settings, lake.id)
    run_id = registry.scorer_run(DS, "mlp")
    client = MlflowClient(tracking_uri=registry.tracking_uri)
    assert client.get_run(run_id).info.status == "RUNNING"
    begun = client.get_metric_history(run_id, "train_loss")
    assert [point.step for point in begun] == list(range(9))
    assert not lake.read(CANDIDATES, [DS]).num_rows

    monkeypatch.setattr(report, "EVERY_SECONDS", 0.0)
    train.run(context)
    row = lake.read(CANDIDATES, [DS]).to_pylist()[0]
    assert row["run_id"] == run_id
    curve = client.get_metric_history(run_id, "train_loss")
    steps = [point.step for point in curve]
    assert sorted(steps) == list(range(len(steps)))
    assert len(steps) > 9
    assert {p.step: p.value for p in begun}.items() <= {p.step: p.value for p in curve}.items()
    params = client.get_run(run_id).data.params
    assert {"parent_version", "first_day", "last_day", "vocabulary_day", "replay_digest"} <= {
        *params
    }


def test_a_tracking_server_that_is_away_does_not_stop_a_training(
    lake_of: LakeOf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = lake_of("impressions")
    curve = LiveCurve(Registry(fresh_home(tmp_path / "home"), lake.id), "no-such-run")
    with caplog.at_level(logging.WARNING, "dayfold"):
        curve.add({"train_loss": {0: 0.5}})
    assert "MLflow did not take it" in caplog.text


def test_a_loss_that_explodes_names_the_setting_and_leaves_nothing(
    own_lake_of: LakeOf, tmp_path: Path
) -> None:
    context = context_of(own_lake_of("impressions"), tmp_path / "home", learning_rate=1e30)
    with pytest.raises(TrainingError) as raised:
        train.run(context)
    message = str(raised.value)
    assert message.startswith(f"mlp of {DS}: the loss is")
    assert "training.learning_rate 1e+30" in message
    assert f"dayfold step train --ds {DS} --scorer mlp" in message
    assert not context.lake.read(CANDIDATES, [DS]).num_rows


_GREEDY = """
import resource, sys
import torch
from conf.errors import TrainingError
from conf.training import TrainingSettings
from training.fitting.refused import explained

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
try:
    with explained("mlp", "2026-01-07", TrainingSettings()):
        torch.zeros(100_000, 10_000) if sys.argv[1] == "torch" else bytearray(4_000_000_000)
except TrainingError as error:
    print(error)
"""


@pytest.mark.parametrize("who", ["torch", "python"])
def test_memory_that_runs_out_is_told_with_what_to_lower(who: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _GREEDY, who], check=True, capture_output=True, text=True, timeout=60
    )
    assert child.stdout.startswith("mlp of 2026-01-07 ran out of memory: ")
    assert "training.batch_size (1024)" in child.stdout
    assert "dayfold step train --ds 2026-01-07 --scorer mlp" in child.stdout


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), explained("mlp", DS, QUICK):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
