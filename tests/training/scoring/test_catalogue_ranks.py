from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.stats import rankdata

from feature_store.days import ordinal
from feature_store.lake import Lake
from feature_store.tables import EVENTS, EXAMPLES
from training.features.reader import FeatureReader
from training.features.rows import Rows, Side
from training.scorers.trained import TrainedScorer
from training.scoring.catalogue_ranks import (
    Cascade,
    neutral_context,
    percentile_ranks,
    places,
    popularity_percentile_ranks,
    positives_by_day,
    ranks_within,
    reranked,
)

DS = "2026-01-10"


class ByItem(TrainedScorer):
    """A scorer whose logit is a fixed number per item: what it should say is known by hand."""

    def __init__(self, logit_of_item: dict[int, float], *, recalls: bool) -> None:
        self.name = "by_item"
        self._logits = np.vectorize(logit_of_item.__getitem__, otypes=[float])
        self._recalls = recalls

    @property
    def can_recall(self) -> bool:
        return self._recalls

    def logits(self, rows: Rows) -> np.ndarray:
        return self._logits(rows.item.index)

    def list_logits(
        self, users: Side, items: Side, listed: np.ndarray, context: np.ndarray
    ) -> np.ndarray:
        return self._logits(items.index[listed])

    def user_vectors(self, users: Side) -> np.ndarray:
        return np.ones((len(users), 1), dtype=np.float32)

    def item_vectors(self, items: Side) -> np.ndarray:
        return self._logits(items.index).astype(np.float32)[:, None]


@pytest.fixture
def examples(lake_of: Callable[[str], Lake]) -> pa.Table:
    return lake_of("sampled").read(EXAMPLES, [DS]).sort_by("example_id")


def logits_of_items() -> dict[int, float]:
    return {item: float(np.sin(item)) for item in range(200)}


@pytest.mark.parametrize("recalls", [True, False])
def test_the_percentile_rank_is_the_place_in_the_whole_catalogue(
    lake_of: Callable[[str], Lake], examples: pa.Table, recalls: bool
) -> None:
    lake = lake_of("sampled")
    reader = FeatureReader(lake, DS, DS)
    scorer = ByItem(logits_of_items(), recalls=recalls)
    cascade = Cascade(scorer, None, 100)
    found = percentile_ranks(cascade, reader, examples, lake.dataset)
    for row, rank in zip(examples.to_pylist(), found, strict=True):
        day = ordinal(row["event_ds"])
        catalogue = reader.catalogue(reader.start_of(day), day).tolist()
        if row["item_index"] not in catalogue:
            assert np.isnan(rank)
            continue
        own = np.float32(np.sin(row["item_index"]))
        worse = sum(np.float32(np.sin(item)) < own for item in catalogue)
        assert rank == pytest.approx(worse / (len(catalogue) - 1))
    assert (~np.isnan(found)).mean() > 0.9


def test_a_ranker_orders_what_was_recalled_and_the_rest_keeps_its_order(
    lake_of: Callable[[str], Lake], examples: pa.Table
) -> None:
    lake = lake_of("sampled")
    reader = FeatureReader(lake, DS, DS)
    retriever = ByItem(logits_of_items(), recalls=True)
    reverse = ByItem({item: -value for item, value in logits_of_items().items()}, recalls=False)
    found = percentile_ranks(Cascade(reverse, retriever, 5), reader, examples, lake.dataset)
    for row, rank in zip(examples.to_pylist(), found, strict=True):
        if np.isnan(rank):
            continue
        day = ordinal(row["event_ds"])
        catalogue = sorted(
            reader.catalogue(reader.start_of(day), day).tolist(), key=lambda item: -np.sin(item)
        )
        order = catalogue[:5][::-1] + catalogue[5:]
        expected = 1 - order.index(row["item_index"]) / (len(order) - 1)
        assert rank == pytest.approx(expected)


def test_a_ranker_that_agrees_with_the_retriever_changes_no_rank(
    lake_of: Callable[[str], Lake], examples: pa.Table
) -> None:
    lake = lake_of("sampled")
    reader = FeatureReader(lake, DS, DS)
    alone = ByItem(logits_of_items(), recalls=True)
    ranker = ByItem(logits_of_items(), recalls=False)
    np.testing.assert_allclose(
        percentile_ranks(Cascade(ranker, alone, 7), reader, examples, lake.dataset),
        percentile_ranks(Cascade(alone, None, 7), reader, examples, lake.dataset),
    )


def test_popularity_ranks_follow_the_positives_before_the_day(
    lake_of: Callable[[str], Lake], examples: pa.Table
) -> None:
    lake = lake_of("sampled")
    reader = FeatureReader(lake, DS, DS)
    found = popularity_percentile_ranks(reader, examples, half_life_days=7)
    events = lake.read(EVENTS, [day for day in lake.days(EVENTS) if day < DS])
    start = np.datetime64(DS, "us")
    ages = (start - events.column("event_timestamp").to_numpy()) / np.timedelta64(1, "D")
    items = np.array([int(item[1:]) for item in events.column("item_id").to_pylist()])
    sums = np.bincount(items, 0.5 ** (ages / 7), minlength=200)
    catalogue = reader.catalogue(reader.start_of(ordinal(DS)), ordinal(DS))
    expected = (rankdata(sums[catalogue]) - 1) / (len(catalogue) - 1)
    today = pc.equal(examples.column("event_ds"), DS).to_numpy()
    item = examples.column("item_index").to_numpy()
    known = today & np.isin(item, catalogue)
    at = np.searchsorted(catalogue, item[known])
    np.testing.assert_allclose(found[known], expected[at], atol=1e-9)


def test_positives_are_ranked_in_the_catalogue_of_their_own_day(
    lake_of: Callable[[str], Lake], examples: pa.Table
) -> None:
    reader = FeatureReader(lake_of("sampled"), DS, DS)
    days = list(positives_by_day(reader, examples))
    assert [day.day for day in days] == [ordinal(DS) - 1, ordinal(DS)]  # five in 100 arrive late
    assert sorted(np.concatenate([day.row for day in days])) == list(range(examples.num_rows))
    assert len(days[0].catalogue) <= len(days[1].catalogue)


def test_an_item_that_is_not_in_the_catalogue_has_no_place() -> None:
    catalogue = np.array([2, 5, 9], dtype=np.int32)
    assert places(np.array([9, 3, 2, 10], np.int32), catalogue).tolist() == [2, -1, 0, -1]
    assert places(np.array([3], np.int32), catalogue[:0]).tolist() == [-1]


def test_ties_share_their_middle_rank() -> None:
    scores = np.array([[1.0, 1.0, 0.0, 2.0]])
    assert ranks_within(scores, np.array([0])).tolist() == [0.5]


def test_recalled_items_stand_above_all_others() -> None:
    scores = np.array([[5.0, 4.0, 3.0, -1.0]], dtype=np.float32)
    final = reranked(scores, np.array([[0, 1]]), np.array([[-9.0, -7.0]]))
    assert np.argsort(-final[0]).tolist() == [1, 0, 2, 3]


def test_the_neutral_context_is_noon_of_the_weekday_with_nothing_else_known(
    lake_of: Callable[[str], Lake],
) -> None:
    monday = ordinal("2026-01-05")
    dataset = lake_of("sampled").dataset
    assert neutral_context(2, monday, dataset).tolist() == [[12, 0, 1], [12, 0, 1]]
