"""How much lists change and show, by models whose lists are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from feature_store.lake import Lake
from tests.training.promoted_home import SCORED
from training.features.reader import FeatureReader
from training.features.rows import Side
from training.scoring.list_change import AT, list_changes, megabytes


class Orders:
    """A model that ranks by a rule of users and items."""

    def __init__(self, rule: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self._rule = rule

    def list_logits(
        self, users: Side, items: Side, listed: np.ndarray, context: np.ndarray
    ) -> np.ndarray:
        index = items.index.astype(np.int64)
        return self._rule(users.index.astype(np.int64)[:, None], index[listed]).astype(np.float64)


def by_chance(salt: int) -> Orders:
    return Orders(lambda _, item: np.random.default_rng(salt).random(item.shape))


FIRST = Orders(lambda user, item: -item + 0 * user)
LAST = Orders(lambda user, item: item + 0 * user)
"""Everybody's list holds the first, or the last, items of the catalogue."""


@pytest.fixture(scope="module")
def measured(lake_of: Callable[[str], Lake]) -> Callable[[Orders, Orders], tuple[float, ...]]:
    lake = lake_of("impressions")
    reader = FeatureReader(lake, SCORED, SCORED)
    users = np.arange(2, 60, dtype=np.int32)
    return lambda mine, head: list_changes(mine, head, reader, users, SCORED, lake.dataset)  # type: ignore[arg-type]


def test_the_same_lists_change_nothing(measured: Callable[..., tuple[float, ...]]) -> None:
    churn, shown, before = measured(by_chance(1), by_chance(1))
    assert churn == 0.0
    assert shown == before > 0.5


def test_other_items_are_a_whole_change(measured: Callable[..., tuple[float, ...]]) -> None:
    churn, shown, before = measured(FIRST, LAST)
    assert churn == 1.0
    assert shown == before


def test_lists_by_chance_share_what_chance_gives(
    measured: Callable[..., tuple[float, ...]],
) -> None:
    churn, shown, before = measured(by_chance(1), by_chance(2))
    # 58 lists of ten draw about everything of a small catalogue; they share 10 of its items in I
    items = AT / measured(FIRST, FIRST)[1]
    assert churn == pytest.approx(1 - AT / items, abs=0.08)
    assert min(shown, before) > 0.9


def test_a_collapse_on_a_few_items_shows_in_the_coverage(
    measured: Callable[..., tuple[float, ...]],
) -> None:
    _, shown, before = measured(FIRST, by_chance(2))
    assert shown < 0.35 * before


def test_the_size_is_that_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "weights").write_bytes(b"x" * 1_500_000)
    (tmp_path / "b").write_bytes(b"x" * 500_000)
    assert megabytes(tmp_path) == 2.0
