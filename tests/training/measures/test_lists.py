from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from conf.dataset import RecommendRules
from feature_store.lake import Lake
from feature_store.tables import EVENTS, RECOMMENDATIONS, VOCABULARIES
from tests.training.lake_fixture import small_dataset
from tests.training.log_fixture import FIRST_DAY, LINEAGE
from tests.training.taken_fixture import put_taken
from training.measures.lists import measure_lists, measure_spread

DS = "2026-02-10"
Event = tuple[str, str, str]
"""user, item, event type."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", small_dataset())


def put_events(lake: Lake, ds: str, events: Sequence[Event], event_ds: str | None = None) -> None:
    happened = event_ds or ds
    rows = [
        {
            "event_id": f"{ds}-{happened}-{position}",
            "event_timestamp": datetime.fromisoformat(f"{happened}T12:00:00").replace(tzinfo=UTC),
            "event_ds": happened,
            "user_id": user,
            "item_id": item,
            "event_type": kind,
            "value": None,
            "request_id": None,
            "position": None,
            "context": [],
        }
        for position, (user, item, kind) in enumerate(events)
    ]
    schema = lake.schema(EVENTS)
    table = pa.Table.from_pylist(rows, pa.schema([f for f in schema if f.name != "ds"]))
    old = lake.read(EVENTS, [ds], table.column_names)
    lake.replace(EVENTS, {"ds": ds}, pa.concat_tables([old, table]), LINEAGE)
    put_taken(lake, ds)


def put_lists(lake: Lake, ds: str, lists: dict[str, list[str]]) -> None:
    rows = [
        {
            "user_id": user,
            "rank": rank,
            "item_id": item,
            "score": math.nan,
            "source": "model",
            "reason": "because it is popular",
            "model_version": 1,
        }
        for user, items in lists.items()
        for rank, item in enumerate(items, start=1)
    ]
    schema = pa.schema([f for f in lake.schema(RECOMMENDATIONS) if f.name != "ds"])
    lake.replace(RECOMMENDATIONS, {"ds": ds}, pa.Table.from_pylist(rows, schema), LINEAGE)


def clicks(*pairs: str) -> list[Event]:
    """`ann:x` = user ann clicks item x."""
    return [(*pair.split(":"), "click") for pair in pairs]  # type: ignore[misc]


def measured(lake: Lake, ds: str = DS) -> dict[str, tuple[float, int]]:
    return {f"{m.subject}.{m.name}": (m.value, m.n) for m in measure_lists(lake, ds)}


def test_recall_is_over_pairs_that_are_new_to_the_user(lake: Lake) -> None:
    put_events(lake, "2026-02-01", clicks("ann:old"))
    put_lists(lake, "2026-02-09", {"ann": ["old", "x"], "bob": ["x"]})
    put_events(lake, DS, clicks("ann:old", "ann:x", "ann:x", "ann:y", "bob:z"))
    # New pairs: ann:x (listed), ann:y, bob:z.
    assert measured(lake)["lists.recall_at_10"] == (pytest.approx(1 / 3), 3)


def test_only_positive_events_are_pairs(lake: Lake) -> None:
    put_lists(lake, "2026-02-09", {"ann": ["x"]})
    put_events(lake, DS, [("ann", "x", "impression")])
    assert measured(lake) == {}


def test_a_user_without_a_list_gets_the_list_for_everybody(lake: Lake) -> None:
    put_lists(lake, "2026-02-09", {"ann": ["x"], "*": ["y"]})
    put_events(lake, DS, clicks("ann:y", "bob:y"))
    assert measured(lake)["lists.recall_at_10"] == (pytest.approx(1 / 2), 2)


def test_the_lists_are_those_of_the_last_day_before(lake: Lake) -> None:
    put_lists(lake, "2026-02-05", {"ann": ["x"]})
    put_lists(lake, "2026-02-07", {"ann": ["y"]})
    put_lists(lake, DS, {"ann": ["z"]})
    put_lists(lake, "2026-02-11", {"ann": ["z"]})
    put_events(lake, DS, clicks("ann:x", "ann:y", "ann:z"))
    assert measured(lake)["lists.recall_at_10"][0] == pytest.approx(1 / 3)
    assert measured(lake)["lists.mrr_at_10"][0] == 1


def test_only_the_first_ten_ranks_count(lake: Lake) -> None:
    put_lists(lake, "2026-02-09", {"ann": [f"i{k}" for k in range(12)]})
    put_events(lake, DS, clicks("ann:i9", "ann:i10"))
    found = measured(lake)
    assert found["lists.recall_at_10"] == (pytest.approx(1 / 2), 2)
    assert found["lists.mrr_at_10"] == (pytest.approx(1 / 10), 1)
    best = 1 + 1 / math.log2(3)
    assert found["lists.ndcg_at_10"] == (pytest.approx(1 / math.log2(11) / best), 1)


def test_without_published_lists_only_popularity_is_measured(lake: Lake) -> None:
    put_events(lake, "2026-02-09", clicks("bob:x"))
    put_events(lake, DS, clicks("ann:x"))
    found = measured(lake)
    assert not any(name.startswith("lists") for name in found)
    assert found["popularity_7d.recall_at_10"] == (1, 1)


def test_late_arrivals_are_no_pairs_of_the_day(lake: Lake) -> None:
    put_lists(lake, "2026-02-09", {"ann": ["x"]})
    put_events(lake, DS, clicks("ann:y"))
    put_events(lake, DS, [("bob", "z", "click")], event_ds="2026-02-09")
    assert measured(lake)["lists.recall_at_10"][1] == 1


def test_popularity_moves_up_past_what_the_user_took(lake: Lake) -> None:
    # 11 items, i00 most popular; only ann took i00, so i10 is her tenth and bob's eleventh.
    crowd = [f"c{n}:i{k:02}" for k in range(11) for n in range(20 - k)]
    put_events(lake, "2026-02-08", clicks(*crowd, "ann:i00"))
    put_events(lake, DS, clicks("ann:i10", "bob:i10"))
    assert measured(lake)["popularity_7d.recall_at_10"] == (pytest.approx(1 / 2), 2)


def test_popularity_forgets_after_seven_days_and_decays_within_28(lake: Lake) -> None:
    put_events(lake, "2026-02-02", clicks(*(f"c{n}:old" for n in range(50))))
    put_events(lake, "2026-02-03", clicks("c1:seven"))
    put_events(lake, DS, clicks("ann:old", "ann:seven"))
    found = measured(lake)
    assert found["popularity_7d.mrr_at_10"] == (1, 1)  # `seven` stands first, `old` is not there
    assert found["popularity_7d.recall_at_10"][0] == pytest.approx(1 / 2)
    assert found["popularity_decayed.recall_at_10"][0] == 1


def test_an_item_that_nobody_knew_is_a_miss(lake: Lake) -> None:
    put_events(lake, "2026-02-09", clicks("bob:x"))
    put_events(lake, DS, clicks("ann:x", "ann:born_today"))
    assert measured(lake)["popularity_decayed.recall_at_10"] == (pytest.approx(1 / 2), 2)


def test_where_repeats_are_allowed_all_pairs_count_and_new_ones_apart(tmp_path: Path) -> None:
    dataset = small_dataset().model_copy(update={"recommend": RecommendRules(exclude_taken=False)})
    lake = Lake(tmp_path / "lake", dataset)
    put_events(lake, "2026-02-09", clicks("ann:x", "ann:y"))
    put_lists(lake, "2026-02-09", {"ann": ["x"]})
    put_events(lake, DS, clicks("ann:x", "ann:y", "ann:z"))
    found = measured(lake)
    assert found["lists.recall_at_10"] == (pytest.approx(1 / 3), 3)
    assert found["lists.recall_at_10_new"] == (0, 1)
    assert found["popularity_7d.recall_at_10"] == (pytest.approx(2 / 3), 3)
    assert found["popularity_7d.recall_at_10_new"] == (0, 1)


def test_days_after_the_day_change_nothing(own_lake_of: Callable[[str], Lake]) -> None:
    lake = own_lake_of("impressions")
    put_lists(lake, "2026-01-07", {"*": [f"i{k:05}" for k in range(2, 12)]})
    before = measured(lake, "2026-01-08")
    for day in ("2026-01-09", "2026-01-10"):
        put_events(lake, day, clicks(*(f"u00002:i{k:05}" for k in range(2, 40))))
    assert measured(lake, "2026-01-08") == before
    assert before["lists.recall_at_10"][1] > 20


def test_an_empty_day_has_no_metrics(lake: Lake) -> None:
    assert measured(lake, FIRST_DAY) == {}


def test_the_spread_of_yesterdays_lists_by_hand(lake: Lake) -> None:
    put_events(lake, "2026-02-09", clicks("ann:x", "bob:x", "cid:x", "cid:y"))
    put_lists(lake, "2026-02-09", {"ann": ["y", "z"], "bob": ["z"], "*": ["x"]})
    put_lists(lake, DS, {"ann": ["x"]})
    found = {m.name: (m.value, m.n) for m in measure_spread(lake, DS, 4)}
    assert found["coverage"] == (
        pytest.approx(2 / 4),
        3,
    )  # what nobody in particular got is no list
    # Four positives: y had one, z none twice.
    bits = (math.log2(5 / 2) + 2 * math.log2(5)) / 3
    assert found["novelty"] == (pytest.approx(bits), 3)
    assert measure_spread(lake, "2026-02-09", 4) == []


def put_words(lake: Lake, ds: str, *words: str) -> None:
    """`user_id:ann` = ann got her id on `ds`."""
    rows = [
        {"field": field, "value": value, "id": n, "born_on": ds}
        for n, (field, value) in enumerate((word.split(":") for word in words), start=2)
    ]
    schema = pa.schema([f for f in lake.schema(VOCABULARIES) if f.name != "ds"])
    lake.replace(VOCABULARIES, {"ds": ds}, pa.Table.from_pylist(rows, schema), LINEAGE)


def test_users_and_items_without_an_id_the_evening_before_are_told_apart(lake: Lake) -> None:
    put_words(lake, "2026-02-09", "user_id:ann", "user_id:cid", "item_id:x", "item_id:y")
    put_words(lake, DS, "user_id:bob", "item_id:z")
    put_lists(lake, "2026-02-09", {"ann": ["y", "x"], "*": ["z", "y"]})
    put_events(lake, DS, clicks("ann:x", "ann:z", "bob:y", "bob:z"))
    found = measured(lake)
    assert found["lists.recall_at_10"] == (pytest.approx(3 / 4), 4)
    assert found["lists.recall_at_10_seen_users"] == (pytest.approx(1 / 2), 2)
    assert found["lists.recall_at_10_new_users"] == (1, 2)
    assert found["lists.recall_at_10_seen_items"] == (1, 2)
    assert found["lists.recall_at_10_new_items"] == (pytest.approx(1 / 2), 2)
    assert found["lists.mrr_at_10_seen_users"] == (pytest.approx(1 / 2), 1)
    assert found["lists.hit_rate_at_10_new_items"] == (pytest.approx(1 / 2), 2)
    assert found["popularity_7d.recall_at_10_new_users"] == (0, 2)
