"""A scorer's folder of which a file was cut off, by a full disk say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conf.errors import RegistryError
from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from tests.training.log_fixture import FIRST_DAY
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import ABOUT, OPTIMIZER, WEIGHTS, load_checkpoint, save_scorer

SETTINGS = TrainingSettings(embedding_dim=4, hidden=(8,), bootstrap_epochs=1)


@pytest.mark.parametrize("name", [ABOUT, WEIGHTS, OPTIMIZER])
def test_a_file_that_was_cut_off_is_named_with_what_to_do(
    lake_of: Callable[[str], Lake], tmp_path: Path, name: str
) -> None:
    made = train_candidate(lake_of("impressions"), SETTINGS, "ncf", shift(FIRST_DAY, 5))
    save_scorer(tmp_path / "scorer", made.checkpoint)
    path = tmp_path / "scorer" / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RegistryError, match=rf"{name} cannot be read.*Next: train the day"):
        load_checkpoint(tmp_path / "scorer")
