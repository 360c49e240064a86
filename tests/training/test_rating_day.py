"""A data set of ratings through the training half of a day, from the gate to what goes out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import root_mean_squared_error

from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.online import open_online_store
from feature_store.tables import DRIFT, EXAMPLES, RECOMMENDATIONS, SCORES, SKETCHES
from tests.training.promoted_home import SCORED, promoted_home
from training import check_drift, promote, publish, recommend


def test_a_day_of_ratings_is_scored_checked_recommended_and_published(
    own_lake_of: Callable[[str], Lake], settings: Settings
) -> None:
    home = promoted_home(own_lake_of("rating"), settings)
    context, lake = home.context(SCORED), home.lake
    for step in (check_drift, promote, recommend):
        step.run(context)
    summary = publish.run(context).summary

    given = lake.read(EXAMPLES, [SCORED]).sort_by("example_id").column("value").to_numpy()
    scored = lake.read(SCORES, [SCORED]).sort_by("example_id")
    predicted = 1 + 4 * expit(scored.column("logit").to_numpy())
    metrics = home.metrics(SCORED)
    rmse = root_mean_squared_error(given, predicted)
    assert metrics["champion.rmse"] == (pytest.approx(rmse), len(given))
    constant = root_mean_squared_error(given, np.full(len(given), given.mean()))
    assert metrics["mean_rating.rmse"] == (pytest.approx(constant), len(given))
    assert "champion.auc" not in metrics

    sketch = lake.read(SKETCHES, [SCORED])
    sketch = sketch.filter([kind == "all" for kind in sketch.column("slice").to_pylist()])
    assert sum(sketch.column("n").to_pylist()) == len(given)
    assert sum(sketch.column("clicks").to_pylist()) == pytest.approx(((given - 1) / 4).sum())
    assert lake.read(DRIFT, [SCORED]).column("decision").to_pylist() == ["not_enough_data"]

    lists = lake.read(RECOMMENDATIONS, [SCORED]).to_pylist()
    users = {row["user_id"] for row in lists}
    assert summary.startswith(f"published {len(users) - 1} lists by version")
    user = next(user for user in users if user != "*")
    found = open_online_store(home.settings).read_list(user)
    assert found is not None
    assert [item.item_id for item in found.items] == [
        row["item_id"] for row in sorted(lists, key=lambda r: r["rank"]) if row["user_id"] == user
    ]
