"""score_day and recommend run again, and with other days after them, write the same rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from feature_store.tables import (
    DAILY_METRICS,
    ENCODED_ITEMS,
    EVENTS,
    EXAMPLES,
    ITEM_STATS,
    RECOMMENDATIONS,
    SCORES,
    SKETCHES,
    USER_SEQUENCES,
    USER_STATS,
    USERS,
)
from tests.training.log_fixture import LINEAGE
from tests.training.promoted_home import LATER, SCORED, Home, copied
from training import recommend, score_day


def written(home: Home) -> dict[str, list[dict[str, object]]]:
    tables = (SCORES, SKETCHES, DAILY_METRICS, RECOMMENDATIONS)
    return {table.name: home.rows(table, SCORED) for table in tables}


@pytest.fixture(params=["impressions", "sampled"])
def home(request: pytest.FixtureRequest, promoted: Callable[[str], Home], tmp_path: Path) -> Home:
    """A home whose day has been scored; the test may write to it."""
    return copied(promoted(request.param), tmp_path)


def test_a_second_run_writes_the_same_rows(home: Home) -> None:
    recommend.run(home.context(SCORED))
    before = written(home)
    score_day.run(home.context(SCORED))
    recommend.run(home.context(SCORED))
    np.testing.assert_equal(written(home), before)  # NaN equals NaN


def test_what_comes_after_the_day_changes_nothing(home: Home) -> None:
    recommend.run(home.context(SCORED))
    before = written(home)
    for table in (EVENTS, EXAMPLES, USERS, ENCODED_ITEMS, USER_STATS, ITEM_STATS, USER_SEQUENCES):
        for ds in LATER:
            home.lake.replace(table, {"ds": ds}, home.lake.read(table, [ds]).slice(0, 0), LINEAGE)
    score_day.run(home.context(SCORED))
    recommend.run(home.context(SCORED))
    np.testing.assert_equal(written(home), before)  # NaN equals NaN
