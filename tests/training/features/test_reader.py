"""As-of reads against brute-force oracles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.dataset import Attribute
from conf.errors import TrainingError
from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES, ITEM_STATS, MISSING, USER_SEQUENCES, USERS
from tests.training.lake_fixture import small_dataset, small_lake
from tests.training.log_fixture import FIRST_DAY
from training.features.as_of import DailyState, Dimension, Totals
from training.features.numbers import PRIOR_CLICKS, PRIOR_IMPRESSIONS
from training.features.reader import (
    ITEM_NUMERIC,
    FeatureReader,
)
from training.features.rows import PADDING, concatenate_sides

LakeOf = Callable[[str], Lake]
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUIET
@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=30, unique=True),
    asked=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 11)), min_size=1, max_size=20),
)
def test_a_state_read_is_the_latest_row_strictly_before_the_day(
    rows: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    entity, day = (np.array([r[k] for r in rows], dtype=np.int64) for k in (0, 1))
    state = DailyState.of(entity, day)
    found, written = state.before(
        np.array([a[0] for a in asked], np.int32), np.array([a[1] for a in asked], np.int64)
    )
    for (e, d), row, on in zip(asked, found, written, strict=True):
        earlier = [(rows[k][1], k) for k in range(len(rows)) if rows[k][0] == e and rows[k][1] < d]
        assert row == (max(earlier)[1] if earlier else -1)
        assert not earlier or on == max(earlier)[0]


@QUIET
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 9)),
        max_size=25,
        unique_by=lambda r: (r[0], r[1]),  # one row per entity and day
    ),
    asked=st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 10)), min_size=1, max_size=20),
)
def test_attributes_are_those_valid_at_the_instant_and_a_tie_goes_to_the_later_day(
    rows: list[tuple[int, int, int]], asked: list[tuple[int, int]]
) -> None:
    base = np.datetime64("2026-01-01", "us")
    hours = np.array([r[2] for r in rows], dtype="timedelta64[h]")
    table = pa.table(
        {
            "ds": pa.array([shift("2026-01-01", r[1]) for r in rows], pa.string()),
            "e": pa.array([r[0] for r in rows], pa.int32()),
            "valid_from": pa.array(base + hours, pa.timestamp("us", tz="UTC")),
            "c": pa.array(range(10, 10 + len(rows)), pa.int32()),
            "m": pa.array([[k] * (k % 3) for k in range(len(rows))], pa.list_(pa.int32())),
        }
    )
    dimension = Dimension.of(table, "e", ["c"], ["m"], missing=1)
    at = base + np.array([a[1] for a in asked], dtype="timedelta64[h]")
    found = dimension.at(np.array([a[0] for a in asked], np.int32), at)
    for (e, hour), row in zip(asked, found, strict=True):
        valid = [(r[2], r[1], k) for k, r in enumerate(rows) if r[0] == e and r[2] <= hour]
        expected = max(valid)[2] if valid else None
        assert dimension.categorical[row, 0] == (1 if expected is None else 10 + expected)
        values = [v for v in dimension.multi[0][row] if v != PADDING]
        assert values == ([] if expected is None else [expected] * (expected % 3))


@QUIET
@given(data=st.data())
def test_totals_are_the_sum_of_every_entitys_latest_state(data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(
            st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=30, unique=True
        )
    )
    values = np.array([[data.draw(st.floats(0, 10)), 1.0] for _ in rows])
    half_lives = np.array([1.0, 7.0])
    entity, day = (np.array([r[k] for r in rows], dtype=np.int64) for k in (0, 1))
    totals = Totals.of(DailyState.of(entity, day), values, half_lives, 4, 12)
    for asked in range(5, 14):
        expected = np.zeros(2)
        for e in set(entity.tolist()):
            known = [(d, k) for k, (other, d) in enumerate(rows) if other == e and d < asked]
            if known:
                written, k = max(known)
                expected += values[k] * 0.5 ** ((asked - 1 - written) / half_lives)
        np.testing.assert_allclose(totals.before(np.array([asked]))[0], expected, atol=1e-9)


def test_features_equal_a_row_by_row_recomputation(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    first, last = shift(FIRST_DAY, 5), shift(FIRST_DAY, 8)
    examples = lake.read(EXAMPLES, [first, last])
    rows = FeatureReader(lake, first, last).rows(examples)
    stats = lake.read(ITEM_STATS, lake.days(ITEM_STATS)).to_pylist()
    sequences = lake.read(USER_SEQUENCES, lake.days(USER_SEQUENCES)).to_pylist()
    users = lake.read(USERS, lake.days(USERS)).to_pylist()
    for row in range(0, examples.num_rows, 37):
        example = examples.slice(row, 1).to_pylist()[0]
        day = example["event_ds"]
        known = [s for s in stats if s["item_index"] == example["item_index"] and s["ds"] < day]
        latest = max(known, key=lambda s: s["ds"]) if known else None
        age = ordinal(day) - 1 - ordinal(latest["ds"]) if latest else 0
        h1 = latest["positive_h1"] * 0.5**age if latest else 0.0
        assert rows.item.numeric[row, 0] == pytest.approx(math.log1p(h1) / 2, rel=1e-5, abs=1e-7)
        assert rows.item.numeric[row, ITEM_NUMERIC.index("known")] == (latest is not None)
        taken = [s for s in sequences if s["user_index"] == example["user_index"] and s["ds"] < day]
        history = max(taken, key=lambda s: s["ds"])["item_indices"][::-1] if taken else []
        assert rows.user.history[row, : len(history)].tolist() == history
        assert not rows.user.history[row, len(history) :].any()
        profiles = [
            u
            for u in users
            if u["user_index"] == example["user_index"]
            and u["valid_from"] <= example["event_timestamp"]
        ]
        profile = max(profiles, key=lambda u: (u["valid_from"], u["ds"]))
        expected = [profile["attr_age"], profile["attr_city"]]
        assert rows.user.categorical[row].tolist() == expected


def test_yesterday_is_the_weight_that_the_last_day_added(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    ds = shift(FIRST_DAY, 6)
    reader = FeatureReader(lake, ds, ds)
    at, day = reader.at_end_of(ds)
    items = reader.catalogue(at, day)
    side = reader.items(items, np.full(len(items), at), np.full(len(items), day))
    added = np.expm1(side.numeric[:, ITEM_NUMERIC.index("yesterday")] * 2)
    rows = lake.read(ITEM_STATS, lake.days(ITEM_STATS)).to_pylist()

    def h30(item: int, until: str) -> float:
        known = [r for r in rows if r["item_index"] == item and r["ds"] <= until]
        if not known:
            return 0.0
        latest = max(known, key=lambda r: r["ds"])
        age = ordinal(until) - ordinal(latest["ds"])
        return float(latest["positive_h30"] * 0.5 ** (age / 30))

    for item, found in zip(items, added, strict=True):
        expected = h30(item, ds) - h30(item, shift(ds, -1)) * 0.5 ** (1 / 30)
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_serving_at_the_end_of_a_day_reads_what_the_next_days_events_read(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    ds = shift(FIRST_DAY, 6)
    serving, training = FeatureReader(lake, ds, ds), FeatureReader(lake, ds, shift(ds, 3))
    at, day = serving.at_end_of(ds)
    items = serving.catalogue(at, day)
    same = np.full(len(items), at), np.full(len(items), day)
    np.testing.assert_array_equal(
        serving.items(items, *same).numeric, training.items(items, *same).numeric
    )
    assert np.datetime64(shift(ds, 1), "us") == at
    assert training.start_of(day) == at


def test_rows_of_later_days_change_nothing(own_lake_of: LakeOf) -> None:
    lake = own_lake_of("impressions")
    ds = shift(FIRST_DAY, 6)
    examples = lake.read(EXAMPLES, [ds])
    before = FeatureReader(lake, ds, ds).rows(examples)
    for table in (ITEM_STATS, USER_SEQUENCES, USERS):
        for day in [d for d in lake.days(table) if d > ds]:
            lake.replace(table, {"ds": day}, lake.read(table, []), {"step": "test", "ds": day})
    after = FeatureReader(lake, ds, ds).rows(examples)
    np.testing.assert_array_equal(before.user.numeric, after.user.numeric)
    np.testing.assert_array_equal(before.item.numeric, after.item.numeric)
    np.testing.assert_array_equal(before.user.history, after.user.history)
    np.testing.assert_array_equal(before.user.categorical, after.user.categorical)


def test_unknown_entities_read_as_nothing_known(lake_of: LakeOf) -> None:
    reader = FeatureReader(lake_of("impressions"), shift(FIRST_DAY, 3), shift(FIRST_DAY, 3))
    at, day = reader.at_end_of(shift(FIRST_DAY, 3))
    side = reader.users(np.array([0, 9999], np.int32), np.full(2, at), np.full(2, day))
    assert side.categorical.tolist() == [[1, 1], [1, 1]]
    assert (side.multi[0] == PADDING).all()
    assert not side.history.any()
    assert not side.numeric.any()


def test_a_reader_asked_for_days_it_did_not_load_says_so(lake_of: LakeOf) -> None:
    reader = FeatureReader(lake_of("impressions"), shift(FIRST_DAY, 8), shift(FIRST_DAY, 9))
    day, at = np.array([ordinal("2026-01-02")]), np.array(["2026-01-02"], "datetime64[us]")
    with pytest.raises(TrainingError, match="2026-01-02 were asked for"):
        reader.users(np.array([2], np.int32), at, day)


def test_the_catalogue_leaves_out_what_is_not_available(lake_of: LakeOf) -> None:
    reader = FeatureReader(lake_of("impressions"), shift(FIRST_DAY, 6), shift(FIRST_DAY, 6))
    early, late = (reader.catalogue(*reader.at_end_of(shift(FIRST_DAY, n))) for n in (4, 6))
    assert set(early) < set(late)


def test_concatenated_sides_pad_lists_to_the_widest(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    ds = shift(FIRST_DAY, 6)
    items = FeatureReader(lake, ds, ds).rows(lake.read(EXAMPLES, [ds])).item
    cut = items.take(slice(0, 3))
    narrow = replace(cut, multi=tuple(lists[:, :1] for lists in cut.multi))
    wide = concatenate_sides([narrow, items])
    assert len(wide) == len(items) + 3
    assert items.multi[0].shape[1] > 1
    np.testing.assert_array_equal(wide.multi[0][3:], items.multi[0])
    np.testing.assert_array_equal(wide.multi[0][:3, 0], items.multi[0][:3, 0])
    assert (wide.multi[0][:3, 1:] == PADDING).all()


def _berlin_lake(root: Path) -> Lake:
    """An item first seen on 20 March, with a state at the end of 28 March."""
    lake = Lake(root, small_dataset().model_copy(update={"time_zone": "Europe/Berlin"}))
    sums = {column.name: 0.0 for column in ITEM_STATS.columns if column.type == "double"}
    sums |= {"positive_h1": 2.0, "positive_h7": 7.0, "positive_h30": 15.0}
    sums |= {"impression_h1": 20.0, "impression_h7": 70.0, "impression_h30": 100.0}
    row = {
        "ds": "2026-03-28",
        "item_index": 5,
        "first_event_timestamp": datetime(2026, 3, 20, 12, tzinfo=UTC),
        "last_event_timestamp": datetime(2026, 3, 28, 12, tzinfo=UTC),
    }
    rows = pa.Table.from_pylist([row | sums], lake.schema(ITEM_STATS))
    lake.replace(ITEM_STATS, {"ds": row["ds"]}, rows, {"step": "test", "ds": row["ds"]})
    return lake


def test_age_trend_and_rate_are_those_of_the_local_day(tmp_path: Path) -> None:
    reader = FeatureReader(_berlin_lake(tmp_path), "2026-03-29", "2026-03-30")
    days = np.array([ordinal("2026-03-29"), ordinal("2026-03-30")])
    at = np.full(2, np.datetime64("2026-03-29T08:00", "us"))
    features = reader.items(np.array([5, 5], np.int32), at, days).numeric
    found = dict(zip(ITEM_NUMERIC, features.T, strict=True))
    # 29 March begins at 23:00 UTC the day before, 30 March 23 hours later.
    ages = np.array([8 + 11 / 24, 9 + 10 / 24])
    np.testing.assert_allclose(found["age_days"], np.log1p(ages) / 3, rtol=1e-6)
    # The sums of 28 March, and a day later: each decayed by its half-life.
    decay = np.array([[1.0, 1.0, 1.0], [2**-1, 2 ** (-1 / 7), 2 ** (-1 / 30)]])
    per_day = np.array([2.0, 7.0, 15.0]) * decay / np.array([1, 7, 30])
    levels = np.log(per_day + 0.1)
    np.testing.assert_allclose(found["slope_1_7"], (levels[:, 0] - levels[:, 1]) / 2, rtol=1e-5)
    np.testing.assert_allclose(found["slope_7_30"], (levels[:, 1] - levels[:, 2]) / 2, rtol=1e-5)
    # One click in ten impressions before there is evidence.
    rate = (np.array([2.0, 7.0, 15.0]) + 1) / (np.array([20.0, 70.0, 100.0]) + 10)
    first = [found[f"rate_h{h}"][0] for h in (1, 7, 30)]
    np.testing.assert_allclose(first, np.log(rate / 0.1), rtol=1e-5)


def test_a_rate_without_evidence_is_the_priors(tmp_path: Path) -> None:
    reader = FeatureReader(_berlin_lake(tmp_path), "2026-03-29", "2026-03-29")
    at = np.full(1, np.datetime64("2026-03-29T08:00", "us"))
    numeric = reader.items(np.array([77], np.int32), at, np.array([ordinal("2026-03-29")])).numeric
    found = dict(zip(ITEM_NUMERIC, numeric[0], strict=True))
    assert [found[f"rate_h{h}"] for h in (1, 7, 30)] == [0.0, 0.0, 0.0]
    assert (PRIOR_CLICKS, PRIOR_IMPRESSIONS) == (1.0, 10.0)


def test_what_is_declared_later_was_missing_before(tmp_path: Path) -> None:
    small_lake(tmp_path / "lake", days=4)
    declared = small_dataset()
    added = Attribute(name="brand", kind="categorical")
    colours = Attribute(name="colours", kind="multi")
    later = declared.model_copy(
        update={
            "context": (*declared.context, "place"),
            "item_attributes": (*declared.item_attributes, added, colours),
        }
    )
    lake = Lake(tmp_path / "lake", later)
    ds = shift(FIRST_DAY, 2)
    rows = FeatureReader(lake, ds, ds).rows(lake.read(EXAMPLES, [ds]))
    assert set(rows.context[:, -1]) == {MISSING}
    assert set(rows.item.categorical[:, -1]) == {MISSING}
    assert set(rows.item.multi[-1].ravel()) == {PADDING}
    assert (rows.context >= 0).all()
