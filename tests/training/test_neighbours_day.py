"""A day whose ranker is a memory: trained, tested, gated, registered, and asked for lists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conf.settings import Settings
from conf.training import TrainingSettings
from feature_store.lake import Lake
from feature_store.tables import EVALUATIONS, RECOMMENDATIONS
from tests.training.answers import answers
from tests.training.promoted_home import TRAINED, promoted_home
from training.registry.registry import Registry
from training.registry.serving import load_version
from training.registry.versions import registered_versions


def test_a_memory_goes_through_the_day_and_its_version_serves(
    own_lake_of: Callable[[str], Lake], settings: Settings
) -> None:
    training = TrainingSettings(
        scorers=("two_tower", "neighbours"), batch_size=128, embedding_dim=4, bootstrap_epochs=1
    )
    lake = own_lake_of("sampled")
    home = promoted_home(lake, settings.model_copy(update={"training": training}))
    tested = {(row["scorer"], row["metric"]): row for row in home.rows(EVALUATIONS, TRAINED)}
    assert 0.5 < float(str(tested["neighbours", "mean_percentile_rank"]["value"])) < 1.0
    registry = Registry(home.settings, lake.id)
    versions = [v.version for v in registered_versions(registry, lake.id)]
    rankers = {v: load_version(lake, home.settings, v).ranker for v in versions}
    version = next(v for v, ranker in rankers.items() if ranker.name == "neighbours")
    assert rankers[version].net.state_dict()["sequences"].any()
    user = home.rows(RECOMMENDATIONS, TRAINED)[0]["user_id"]
    asked = [{"user_id": who, "top_n": 5} for who in (user, "a stranger")]
    answer = answers(registry.version_directory(version), asked)
    assert answer.groupby("user_id").size().tolist() == [5, 5]
    assert np.isfinite(answer["score"]).all()
