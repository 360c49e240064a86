"""What a CUDA GPU does with a training, beside the CPU: `make test-gpu`, on a machine that has one.

Sums on a GPU are made in any order, so that nothing here is equal to the bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from conf.errors import TrainingError
from conf.training import SCORER_NAMES, TEXT_SCORERS, TrainingSettings
from feature_store.lake import Lake
from tests.training.fitting.test_scaleout import DS, SETTINGS, torchrun
from tests.training.text.tiny_models import tiny_bert
from training.fitting import learning
from training.fitting.candidate import train_candidate
from training.fitting.hardware import gpu_seconds
from training.fitting.memory import remembers
from training.fitting.refused import explained

LakeOf = Callable[[str], Lake]
GPUS = torch.cuda.device_count()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not GPUS, reason="no CUDA GPU: found none by torch.cuda.device_count()"),
]
TRAINED = [name for name in SCORER_NAMES if not remembers(name)]
EXACT = SETTINGS.model_copy(update={"precision": "32-true"})


@pytest.fixture(autouse=True)
def _matrices_of_32_bits() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def test_a_training_says_for_how_long_it_held_a_gpu() -> None:
    assert gpu_seconds(2.5) == {"gpu_seconds": 2.5}


def losses(lake: Lake, settings: TrainingSettings, scorer: str) -> tuple[list[float], list[float]]:
    candidate = train_candidate(lake, settings, scorer, DS)
    assert all(p.device.type == "cpu" for p in candidate.checkpoint.net.parameters())
    return candidate.training_losses, candidate.validation_losses


def on_the_cpu(
    lake: Lake, settings: TrainingSettings, scorer: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[float], list[float]]:
    options = learning.trainer_options
    with monkeypatch.context() as patch:
        patch.setattr(learning, "trainer_options", lambda *a: options(*a) | {"accelerator": "cpu"})
        return losses(lake, settings, scorer)


@pytest.mark.parametrize("scorer", TRAINED)
def test_a_gpu_learns_what_a_cpu_learns(
    lake_of: LakeOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scorer: str
) -> None:
    kind = "impressions" if scorer in TEXT_SCORERS else "sampled"
    text = {"bert_model": tiny_bert(tmp_path / "bert"), "trained_layers": 1}
    made = {"made_layers": 1, "made_width": 16, "made_vocabulary": 300, "max_tokens": 12}
    settings = TrainingSettings.model_validate(EXACT.model_dump() | {"text": text | made})
    found = losses(lake_of(kind), settings, scorer)
    expected = on_the_cpu(lake_of(kind), settings, scorer, monkeypatch)
    np.testing.assert_allclose(found[0], expected[0], rtol=5e-3)
    np.testing.assert_allclose(found[1], expected[1], rtol=5e-3)


@pytest.mark.filterwarnings("ignore")  # what torch warns of while it compiles
@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16-mixed"},
        {"precision": "auto"},
        {"compile": "on"},
        {"sparse_rows": 20},
        {"accumulate_batches": 2},
    ],
)
def test_options_end_where_exact_numbers_end(
    lake_of: LakeOf, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | int]
) -> None:
    settings = EXACT.model_copy(update=changes)
    lake = lake_of("impressions")
    found = losses(lake, settings, "mlp")[1]
    alike = settings.model_copy(update={"precision": "32-true", "compile": "off"})
    np.testing.assert_allclose(found, on_the_cpu(lake, alike, "mlp", monkeypatch)[1], rtol=0.02)


def test_a_training_goes_on_from_what_a_gpu_kept(lake_of: LakeOf, tmp_path: Path) -> None:
    lake, kept = lake_of("impressions"), tmp_path / "kept.progress"

    def stop(report: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.fitting.report.EVERY_SECONDS", 0.02)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train_candidate(lake, EXACT, "mlp", DS, progress=kept, watch=stop)
    gone_on = train_candidate(lake, EXACT, "mlp", DS, progress=kept)
    whole = train_candidate(lake, EXACT, "mlp", DS)
    np.testing.assert_allclose(gone_on.training_losses, whole.training_losses, rtol=5e-3)


def test_a_full_gpu_says_what_to_lower(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        with (
            pytest.raises(TrainingError, match=r"ran out of memory.*training\.batch_size"),
            explained("mlp", DS, EXACT),
        ):
            train_candidate(lake, EXACT, "mlp", DS)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.skipif(GPUS < 2, reason=f"two processes need two GPUs: found {GPUS}")
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_gpus_learn_what_one_learns(lake_of: LakeOf, tmp_path: Path, strategy: str) -> None:
    lake, settings = lake_of("impressions"), EXACT.model_copy(update={"strategy": strategy})
    done = torchrun(lake, "impressions", "mlp", settings, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "losses-0").read_text())
    np.testing.assert_allclose(found[1], losses(lake, EXACT, "mlp")[1], rtol=5e-3)
