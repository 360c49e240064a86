"""Users who are new on a day are measured with what their profile alone would have given them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from feature_store.champion import standing_after
from feature_store.days import ordinal
from feature_store.tables import EVENTS, VOCABULARIES
from tests.training.promoted_home import SCORED, TRAINED, Home
from training.features.reader import FeatureReader
from training.features.rows import Rows
from training.measures.cold_start import _lists, measure_cold_start
from training.registry.serving import load_version
from training.scoring.catalogue_ranks import neutral_context, same_moment
from training.scoring.composite import Composite

RECALLED = 12


@pytest.fixture(scope="module")
def home(promoted: Callable[[str], Home]) -> Home:
    return promoted("impressions")


@pytest.fixture(scope="module")
def composite(home: Home) -> Composite:
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    return load_version(home.lake, home.settings, standing.version)


def born(home: Home, field: str, until: str) -> dict[str, int]:
    days = [day for day in home.lake.days(VOCABULARIES) if day <= until]
    rows = home.lake.read(VOCABULARIES, days).to_pylist()
    return {row["value"]: row["id"] for row in rows if row["field"] == field}


def best_by_hand(home: Home, composite: Composite, users: list[str]) -> dict[str, list[str]]:
    """The ten best items of each user, one by one, from an unknown user with their attributes."""
    lake, reader, day = home.lake, FeatureReader(home.lake, SCORED, SCORED), ordinal(SCORED)
    ids = born(home, "user_id", SCORED)
    at = reader.start_of(day)
    catalogue = np.sort(reader.catalogue(at, day))
    names = {number: name for name, number in born(home, "item_id", SCORED).items()}
    items = reader.items(catalogue, *same_moment(len(catalogue), at, day))
    vectors = composite.retriever.item_vectors(items)
    nobody = reader.users(np.zeros(1, np.int32), *same_moment(1, at, day))
    found = {}
    for user in users:
        index = np.array([ids.get(user, 0)], np.int32)
        own = reader.users(index, *same_moment(1, reader.at_end_of(SCORED)[0], day))
        side = replace(nobody, categorical=own.categorical, multi=own.multi)
        scores = vectors @ composite.retriever.user_vectors(side)[0]
        recalled = np.argsort(-scores, kind="stable")[:RECALLED]
        many = side.take(np.zeros(len(recalled), dtype=np.int64))
        context = neutral_context(len(recalled), day, lake.dataset)
        logits = composite.ranker.logits(Rows(many, items.take(recalled), context))
        best = recalled[np.argsort(-logits, kind="stable")[:10]]
        found[user] = [names[int(catalogue[place])] for place in best]
    return found


def test_a_list_by_profile_is_that_of_an_unknown_user_with_these_attributes(
    home: Home, composite: Composite
) -> None:
    users = [*list(born(home, "user_id", TRAINED))[:40], "never seen"]
    reader = FeatureReader(home.lake, SCORED, SCORED)
    listed, names = _lists(composite, reader, home.lake, SCORED, RECALLED, pa.array(users))
    expected = best_by_hand(home, composite, users)
    for user, places in zip(users, listed, strict=True):
        assert names.take(pa.array(places)).to_pylist() == expected[user]
    assert len({tuple(items) for items in expected.values()}) > 5


def test_new_users_are_measured_on_what_they_took(home: Home, composite: Composite) -> None:
    lake, known = home.lake, born(home, "user_id", TRAINED)
    taken: dict[str, set[str]] = {}
    for row in lake.read(EVENTS, [SCORED]).to_pylist():
        new = row["user_id"] not in known
        if new and row["event_type"] in lake.dataset.positive and str(row["event_ds"]) >= SCORED:
            taken.setdefault(row["user_id"], set()).add(row["item_id"])
    shown = best_by_hand(home, composite, list(taken))
    pairs = sum(map(len, taken.values()))
    hits = sum(len(taken[user] & set(shown[user])) for user in taken)
    reader = FeatureReader(lake, SCORED, SCORED)
    found = {
        metric.name: metric
        for metric in measure_cold_start(composite, reader, lake, SCORED, RECALLED)
    }
    assert found["recall_at_10_new_users"].n == pairs > 0
    assert found["recall_at_10_new_users"].value == pytest.approx(hits / pairs)
    assert found.keys() == {
        f"{name}_at_10_new_users" for name in ("recall", "hit_rate", "ndcg", "mrr")
    }


def test_the_day_is_scored_with_it(home: Home) -> None:
    metrics = home.metrics(SCORED)
    names = {name for name in metrics if name.endswith("recall_at_10_new_users")}
    assert {"profile.recall_at_10_new_users", "popularity_7d.recall_at_10_new_users"} <= names
    assert (
        metrics["profile.recall_at_10_new_users"][1]
        == (metrics["popularity_7d.recall_at_10_new_users"][1])
    )
