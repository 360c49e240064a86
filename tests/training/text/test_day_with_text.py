"""A text scorer through a day: trained, gated, promoted, scored with, recommended, registered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from conf.settings import Settings
from conf.training import TextSettings, TrainingSettings
from feature_store.champion import standing_after
from feature_store.lake import Lake
from feature_store.tables import EVALUATIONS, RECOMMENDATIONS, SCORES
from tests.training.answers import answers
from tests.training.lake_fixture import small_dataset
from tests.training.promoted_home import SCORED, TRAINED, promoted_home
from tests.training.text.tiny_models import tiny_bert
from training.registry.registry import Registry
from training.text.kept import KEPT


def test_a_day_with_bert_is_trained_gated_promoted_scored_and_served(
    lake_of: Callable[[str], Lake], settings: Settings, tmp_path: Path
) -> None:
    shutil.copytree(lake_of("sampled").root, tmp_path / "lake")
    lake = Lake(tmp_path / "lake", small_dataset("sampled"))
    text = TextSettings(bert_model=tiny_bert(tmp_path / "bert"), pairs_per_day=200)
    training = TrainingSettings(
        scorers=("two_tower", "bert"),
        batch_size=128,
        embedding_dim=4,
        hidden=(16, 8),
        bootstrap_epochs=1,
        negatives=8,
        text=text,
    )
    home = promoted_home(lake, settings.model_copy(update={"training": training}))
    KEPT.keep_in(None, 64)
    assert "bert" in {row["scorer"] for row in home.rows(EVALUATIONS, TRAINED)}
    standing = standing_after(lake, TRAINED)
    assert standing is not None
    version = standing.heads["bert"]
    directory = Registry(home.settings, lake.id).version_directory(version)
    assert sum(path.stat().st_size for path in directory.rglob("*.safetensors")) < 1_000_000
    answer = answers(directory, [{"user_id": who} for who in ("u00005", "nobody")])
    assert answer.groupby("user_id").size().to_dict() == {"nobody": 10, "u00005": 10}
    assert np.isfinite(answer["score"].to_numpy()).all()
    assert list(home.settings.path(home.settings.home).glob("texts/*/*.safetensors"))
    assert home.rows(SCORES, SCORED)
    assert home.rows(RECOMMENDATIONS, TRAINED)
