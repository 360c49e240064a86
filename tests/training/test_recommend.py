"""recommend with a real champion: what a list must hold, and what it must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conf.dataset import RecommendRules
from conf.settings import RecommendSettings, Settings
from feature_store.lake import Lake
from feature_store.tables import (
    ENCODED_ITEMS,
    EVENTS,
    EXAMPLES,
    RECOMMENDATIONS,
    VOCABULARIES,
)
from tests.training.lake_fixture import small_dataset
from tests.training.log_fixture import FIRST_DAY, LINEAGE
from tests.training.promoted_home import SCORED, TRAINED, Home, copied
from training import recommend
from training.scoring.metrics import logit_of


def lists_on(home: Home, ds: str) -> dict[str, list[dict[str, object]]]:
    lists: dict[str, list[dict[str, object]]] = {}
    for row in home.rows(RECOMMENDATIONS, ds):
        lists.setdefault(str(row["user_id"]), []).append(row)
    return lists


def positives_until(home: Home, ds: str) -> set[tuple[str, str]]:
    events = home.lake.read(EVENTS, [day for day in home.lake.days(EVENTS) if day <= ds])
    return {
        (row["user_id"], row["item_id"])
        for row in events.to_pylist()
        if row["event_type"] in home.lake.dataset.positive
    }


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_lists_are_full_ordered_and_new_to_their_users(
    promoted: Callable[[str], Home], kind: str
) -> None:
    home = promoted(kind)
    taken = positives_until(home, TRAINED)
    born = {
        row["value"]
        for row in home.lake.read(
            VOCABULARIES, [d for d in home.lake.days(VOCABULARIES) if d <= TRAINED]
        ).to_pylist()
        if row["field"] == "item_id"
    }
    lists = lists_on(home, TRAINED)
    for user, rows in lists.items():
        items = [row["item_id"] for row in rows]
        open_ = born - {item for owner, item in taken if owner == user}
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert len(set(items)) == len(items) == min(10, len(open_))
        assert set(items) <= open_
        scores = [row["score"] for row in rows if row["source"] == "model"]
        assert scores == sorted(scores, reverse=True)
        sources = [row["source"] for row in rows]
        assert sources == sorted(sources)  # model before popularity
    model = Counter(row["source"] for rows in lists.values() for row in rows)["model"]
    assert model > 100
    assert len(lists["*"]) == min(10, len(born))


def test_everyone_active_has_a_list(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    events = home.lake.read(EVENTS, [d for d in home.lake.days(EVENTS) if d <= TRAINED])
    everyone = set(events.column("user_id").to_pylist())
    assert set(lists_on(home, TRAINED)) == everyone | {"*"}
    few = RecommendSettings(active_days=1)
    home = replace(home, settings=home.settings.model_copy(update={"recommend": few}))
    recommend.run(home.context("2026-01-08"))
    expected = {
        row["user_id"]
        for row in events.to_pylist()
        if row["ds"] <= "2026-01-08" and row["event_ds"] >= "2026-01-08"
    }
    assert set(lists_on(home, "2026-01-08")) == expected | {"*"}


def test_what_the_model_lists_lies_above_the_base_rate(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    labels = home.lake.read(
        EXAMPLES, [d for d in home.lake.days(EXAMPLES) if "2026-01-03" <= d <= TRAINED]
    ).column("label")
    threshold = logit_of(pc.mean(labels).as_py())
    rows = [row for rows in lists_on(home, TRAINED).values() for row in rows]
    assert all(row["score"] > threshold for row in rows if row["source"] == "model")


def test_the_category_cap_holds_in_every_list(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    rules = RecommendRules(exclude_taken=False, category_attribute="category", category_cap=2)
    dataset = home.lake.dataset.model_copy(update={"recommend": rules})
    capped = replace(home, lake=Lake(home.lake.root, dataset))
    recommend.run(capped.context(SCORED))
    lists = lists_on(capped, SCORED)
    for rows in lists.values():
        # The fixture's category is the item's number modulo 4.
        counts = Counter(int(str(row["item_id"])[1:]) % 4 for row in rows)
        assert set(counts.values()) == {2}
    assert len(lists["*"]) == 8


def test_an_item_that_is_not_available_when_the_day_ends_is_not_listed(
    promoted: Callable[[str], Home], tmp_path: Path
) -> None:
    home = copied(promoted("impressions"), tmp_path)
    items = home.lake.read(ENCODED_ITEMS, [FIRST_DAY])
    end = datetime(2026, 1, 11, tzinfo=UTC)  # the instant at which SCORED ends
    until = pa.array([end] * 5 + [None] * (items.num_rows - 5), pa.timestamp("us", tz="UTC"))
    changed = items.set_column(
        items.column_names.index("available_until"), "available_until", until
    )
    home.lake.replace(ENCODED_ITEMS, {"ds": FIRST_DAY}, changed, LINEAGE)
    gone = {f"i{index:05}" for index in items.column("item_index").to_pylist()[:5]}
    for ds, listed in (("2026-01-09", True), (SCORED, False)):
        recommend.run(home.context(ds))
        found = {row["item_id"] for rows in lists_on(home, ds).values() for row in rows}
        assert bool(found & gone) is listed


def test_without_a_champion_popularity_fills_the_lists(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    recommend.run(home.context("2026-01-05"))
    lists = lists_on(home, "2026-01-05")
    assert len(lists) > 20
    assert {row["source"] for rows in lists.values() for row in rows} == {"popularity"}
    assert {row["model_version"] for rows in lists.values() for row in rows} == {0}


def test_a_lake_without_a_single_event_publishes_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", small_dataset())
    home = Home(lake, Settings(home=str(tmp_path), dataset="small"))
    result = recommend.run(home.context(FIRST_DAY))
    assert home.rows(RECOMMENDATIONS, FIRST_DAY) == []
    assert result.facts["users"] == result.facts["items"] == 0
