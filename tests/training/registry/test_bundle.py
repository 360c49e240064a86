"""The bundle that serves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from feature_store.champion import standing_after
from feature_store.tables import (
    RECOMMENDATIONS,
)
from tests.training.answers import answers
from tests.training.promoted_home import TRAINED, Home
from training.registry.registry import Registry


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_what_is_served_gives_the_scores_that_were_published(
    promoted: Callable[[str], Home], kind: str
) -> None:
    home = promoted(kind)
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    registry = Registry(home.settings, home.lake.id)
    published = {
        (row["user_id"], row["item_id"]): row["score"]
        for row in home.rows(RECOMMENDATIONS, TRAINED)
        if row["source"] == "model"
    }
    users = sorted({user for user, _ in published})
    asked = [{"user_id": user, "top_n": 50} for user in users]
    served = answers(registry.version_directory(standing.version), asked)
    compared = [
        (row.score, published[row.user_id, row.item_id])
        for row in served.itertuples()
        if (row.user_id, row.item_id) in published
    ]
    assert len(compared) >= len(published) / 2 > 0
    np.testing.assert_allclose(*zip(*compared, strict=True), rtol=1e-4, atol=1e-4)
