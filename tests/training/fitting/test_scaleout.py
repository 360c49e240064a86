"""Two processes that train one scorer together, started by torchrun, beside one process alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from conf.processes import ALONE, Processes, started_together
from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from tests.training.log_fixture import FIRST_DAY
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import load_checkpoint

LakeOf = Callable[[str], Lake]
DS = shift(FIRST_DAY, 7)
LOSS_TOLERANCE = 2e-4
"""Largest difference of a loss, relative: sums are made in another order."""
TOLERANCE = 1e-3
"""Largest difference of a weight, the learning rate: a bias before a BatchNorm moves nothing, its
gradient is rounding alone, and AdamW makes a step of its sign."""
LISTS_TOLERANCE = 5e-3
"""The same of lists: an item that both processes read counts twice in a norm's statistics."""
SETTINGS = TrainingSettings(
    batch_size=128,
    embedding_dim=4,
    hidden=(16, 8),
    max_epochs=1,
    bootstrap_epochs=2,
    negatives=8,
    dropout=0.0,
    learning_rate=1e-3,
    save_every_seconds=0.0,
)
_PROCESS = """
import json, os, signal, sys, time
from pathlib import Path
from conf.errors import TrainingError
from conf.processes import started_together
from conf.training import TrainingSettings
from feature_store.lake import Lake
from tests.training.lake_fixture import small_dataset
from training.fitting import learning
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import save_scorer
from training.fitting.refused import explained
from training.fitting.sharding import own_rows

root, kind, scorer, ds, settings, out, dies = sys.argv[1:]
together = started_together()
real, calls = learning.ScorerModule.training_step, 0

def step(self, batch, batch_idx):
    global calls
    calls += 1
    held = sum(own_rows(values).numel() for values in self.net.parameters())
    (out / f"held-{together.rank}").write_text(str(held))
    if calls == int(dies) and together.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, batch, batch_idx)

learning.ScorerModule.training_step = step
settings, out = TrainingSettings.model_validate_json(settings), Path(out)
try:
    with explained(scorer, ds, settings, together):
        candidate = train_candidate(
            Lake(Path(root), small_dataset(kind)), settings, scorer, ds,
            progress=out / "kept.progress", processes=together,
        )
except TrainingError as error:
    (out / f"error-{together.rank}").write_text(str(error))
    sys.exit(1)
save_scorer(out / str(together.rank), candidate.checkpoint)
(out / f"losses-{together.rank}").write_text(
    json.dumps([candidate.training_losses, candidate.validation_losses])
)
"""


def torchrun(
    lake: Lake, kind: str, scorer: str, settings: TrainingSettings, out: Path, dies: int = 0
) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine, on loopback."""
    out.mkdir(exist_ok=True)
    program = out / "process.py"
    program.write_text(_PROCESS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-addr", "127.0.0.1", "--master-port", str(port), str(program)]
    arguments = (lake.root, kind, scorer, DS, settings.model_dump_json(), out, dies)
    path = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    environment["GLOO_SOCKET_IFNAME"] = "lo"
    return subprocess.run(
        [*command, *map(str, arguments)],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder).net.state_dict()


def assert_close(
    found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], tolerance: float = TOLERANCE
) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("kind", "scorer", "changes", "tolerance"),
    [
        ("impressions", "mlp", {"sparse_rows": 20}, TOLERANCE),
        ("impressions", "mlp", {"sparse_rows": 20, "strategy": "fsdp"}, TOLERANCE),
        pytest.param("sampled", "two_tower", {}, LISTS_TOLERANCE, marks=pytest.mark.slow),
        pytest.param(
            "sampled", "sequence", {"strategy": "fsdp"}, LISTS_TOLERANCE, marks=pytest.mark.slow
        ),
        pytest.param(
            "sampled", "mlp", {"accumulate_batches": 2}, TOLERANCE, marks=pytest.mark.slow
        ),
    ],
)
def test_two_processes_learn_what_one_learns(
    lake_of: LakeOf,
    tmp_path: Path,
    kind: str,
    scorer: str,
    changes: dict[str, int | str],
    tolerance: float,
) -> None:
    lake, settings = lake_of(kind), SETTINGS.model_copy(update=changes)
    done = torchrun(lake, kind, scorer, settings, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    alone = train_candidate(lake, settings, scorer, DS)
    losses = [json.loads((tmp_path / "out" / f"losses-{r}").read_text()) for r in (0, 1)]
    assert losses[0] == losses[1]
    np.testing.assert_allclose(losses[0][0], alone.training_losses, rtol=LOSS_TOLERANCE)
    np.testing.assert_allclose(losses[0][1], alone.validation_losses, rtol=LOSS_TOLERANCE)
    first, second = (weights_of(tmp_path / "out" / str(rank)) for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert_close(first, alone.checkpoint.net.state_dict(), tolerance)
    held = [int((tmp_path / "out" / f"held-{rank}").read_text()) for rank in (0, 1)]
    parameters = sum(values.numel() for values in alone.checkpoint.net.parameters())
    shared = settings.strategy == "fsdp"
    assert sum(held) == (parameters if shared else 2 * parameters)
    assert max(held) < (0.6 if shared else 1.1) * parameters


@pytest.mark.parametrize("strategy", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_a_dead_process_ends_the_job_and_one_alone_goes_on_from_there(
    lake_of: LakeOf, tmp_path: Path, strategy: str
) -> None:
    lake, out = lake_of("impressions"), tmp_path / "out"
    begun = time.monotonic()
    together = SETTINGS.model_copy(update={"strategy": strategy})
    done = torchrun(lake, "impressions", "mlp", together, out, dies=20)
    assert done.returncode != 0
    assert time.monotonic() - begun < 120
    assert not (out / "0").exists()
    message = (out / "error-0").read_text()
    assert message.startswith(f"mlp of {DS}: another of the 2 processes died, and process 0")
    assert "the same torchrun command" in message
    assert "Signal 9" in done.stderr or str(-signal.SIGKILL) in done.stderr
    kept = out / "kept.progress"
    assert kept.exists()
    alone = train_candidate(lake, SETTINGS, "mlp", DS)
    gone_on = train_candidate(lake, SETTINGS, "mlp", DS, progress=kept)
    assert len(gone_on.training_losses) == len(alone.training_losses)
    assert gone_on.training_losses[:5] != alone.training_losses[:5]  # they are those of the two
    assert_close(gone_on.checkpoint.net.state_dict(), alone.checkpoint.net.state_dict())


def test_what_one_began_two_go_on_with(lake_of: LakeOf, tmp_path: Path) -> None:
    lake, out = lake_of("impressions"), tmp_path / "out"
    out.mkdir()

    class Stopped(Exception):
        pass

    def stop(report: object) -> None:
        raise Stopped

    from training.fitting import report

    patch = pytest.MonkeyPatch()
    patch.setattr(report, "EVERY_SECONDS", 0.02)
    with pytest.raises(Stopped):
        train_candidate(lake, SETTINGS, "mlp", DS, progress=out / "kept.progress", watch=stop)
    patch.undo()
    done = torchrun(lake, "impressions", "mlp", SETTINGS, out)
    assert done.returncode == 0, done.stderr
    alone = train_candidate(lake, SETTINGS, "mlp", DS)
    assert_close(weights_of(out / "0"), alone.checkpoint.net.state_dict())


def test_processes_find_themselves_by_torchruns_variables() -> None:
    assert started_together({}) == ALONE
    assert started_together({"RANK": "1", "WORLD_SIZE": "2"}) == ALONE  # not of torchrun
    found = {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    assert started_together(found) == Processes(3, 4, 2)
    assert not started_together(found).first
