"""A training killed at any step goes on to the weights of an uninterrupted one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from tests.training.log_fixture import FIRST_DAY
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import save_scorer
from training.fitting.progress import load_progress

QUICK = TrainingSettings(
    batch_size=64,
    embedding_dim=4,
    hidden=(16, 8),
    bootstrap_epochs=3,
    negatives=8,
    save_every_seconds=0.0,
)
DS = shift(FIRST_DAY, 7)
_SAVED_EVERY = 3
_CHILD = """
import os, signal, sys
from pathlib import Path
from conf.training import TrainingSettings
from feature_store.lake import Lake
from tests.training.lake_fixture import small_dataset
import training.fitting.candidate as candidate
import training.fitting.learning as learning

root, kind, scorer, ds, path, settings, parent, killed_at, every = sys.argv[1:]
real, calls = learning.save_progress, 0

def save(*arguments):
    global calls
    calls += 1
    if calls % int(every) == 0:
        real(*arguments)
    if calls == int(killed_at):
        os.kill(os.getpid(), signal.SIGKILL)

learning.save_progress = save
lake = Lake(Path(root), small_dataset(kind))
settings = TrainingSettings.model_validate_json(settings)
head = (Path(parent), 1) if parent else (None, 0)
candidate.train_candidate(lake, settings, scorer, ds, *head, progress=Path(path))
"""


@pytest.mark.parametrize(
    ("seed", "scorer", "kind", "chosen"),
    [
        (1, "mlp", "impressions", {"sparse_rows": 20, "replay": "recent", "distillation": 0.5}),
        pytest.param(2, "two_tower", "sampled", {}, marks=pytest.mark.slow),
        pytest.param(3, "sequence", "impressions", {}, marks=pytest.mark.slow),
        pytest.param(4, "sequence_neighbours", "impressions", {}, marks=pytest.mark.slow),
        pytest.param(5, "mlp", "impressions", {"accumulate_batches": 3}, marks=pytest.mark.slow),
        pytest.param(6, "mlp", "impressions", {"start": "afresh"}, marks=pytest.mark.slow),
        pytest.param(
            7,
            "two_tower",
            "sampled",
            {"replay": "exemplars", "distillation": 0.5},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_killed_training_goes_on_to_the_same_weights(
    lake_of: Callable[[str], Lake],
    tmp_path: Path,
    seed: int,
    scorer: str,
    kind: str,
    chosen: dict[str, object],
) -> None:
    lake = lake_of(kind)
    settings = QUICK.model_copy(update={"seed": seed, "max_epochs": 3, **chosen})
    parent = tmp_path / "parent" if "distillation" in chosen else None
    if parent:
        first = train_candidate(lake, QUICK, scorer, shift(DS, -2))
        save_scorer(parent, first.checkpoint)
    head = (parent, 1 if parent else 0)
    whole = train_candidate(lake, settings, scorer, DS, *head)
    steps = len(whole.training_losses)
    saves = steps // settings.accumulate_batches
    killed_at = random.Random(seed).randint(_SAVED_EVERY, saves - 1)
    path = tmp_path / "mlp.progress"
    arguments = (lake.root, kind, scorer, DS, path, settings.model_dump_json(), parent or "")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = [sys.executable, "-c", _CHILD, *map(str, arguments)]
    killed = subprocess.run(
        [*child, str(killed_at), str(_SAVED_EVERY)], env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    begun = load_progress(path, whole.input_hash)
    assert begun is not None
    assert 0 < begun.step < steps
    resumed = train_candidate(lake, settings, scorer, DS, *head, progress=path)
    assert resumed.training_losses == whole.training_losses
    assert resumed.validation_losses == whole.validation_losses
    assert resumed.best_pass == whole.best_pass
    for one, other in (
        (resumed.checkpoint.net.state_dict(), whole.checkpoint.net.state_dict()),
        (resumed.checkpoint.moments, whole.checkpoint.moments),
    ):
        assert one.keys() == other.keys()
        for name, values in one.items():
            assert torch.equal(values, other[name]), name


def test_progress_of_other_inputs_is_not_gone_on_from(
    lake_of: Callable[[str], Lake], tmp_path: Path
) -> None:
    lake, path = lake_of("impressions"), tmp_path / "mlp.progress"
    train_candidate(lake, QUICK, "mlp", DS, progress=path)
    other = QUICK.model_copy(update={"learning_rate": 0.01})
    expected = train_candidate(lake, other, "mlp", DS)
    found = train_candidate(lake, other, "mlp", DS, progress=path)
    assert found.training_losses == expected.training_losses


def test_progress_that_was_cut_off_is_as_if_there_were_none(
    lake_of: Callable[[str], Lake], tmp_path: Path
) -> None:
    lake, path = lake_of("impressions"), tmp_path / "mlp.progress"
    whole = train_candidate(lake, QUICK, "mlp", DS, progress=path)
    for length in (0, 7, path.stat().st_size // 2):
        path.write_bytes(path.read_bytes()[:length])
        assert load_progress(path, whole.input_hash) is None
    again = train_candidate(lake, QUICK, "mlp", DS, progress=path)
    assert again.training_losses == whole.training_losses


def test_a_training_that_had_ended_gives_its_result_again(
    lake_of: Callable[[str], Lake], tmp_path: Path
) -> None:
    lake, path = lake_of("impressions"), tmp_path / "mlp.progress"
    first = train_candidate(lake, QUICK, "mlp", DS, progress=path)
    again = train_candidate(lake, QUICK, "mlp", DS, progress=path)
    assert again.training_losses == first.training_losses
    weights = first.checkpoint.net.state_dict()
    for name, values in again.checkpoint.net.state_dict().items():
        assert torch.equal(values, weights[name]), name
