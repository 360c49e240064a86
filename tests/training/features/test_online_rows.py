"""Train/serve skew: what is read online equals, bit for bit, what an example is trained with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conf.settings import Settings
from feature_store.days import end_of_day, shift
from feature_store.lake import Lake
from feature_store.online import OnlineDay, OnlineStore, open_online_store
from feature_store.tables import ENCODED_ITEMS, EVENTS, EXAMPLES, USERS
from tests.redis_fixture import redis_server
from tests.training.lake_fixture import small_lake
from tests.training.log_fixture import FIRST_DAY
from training.features.online_rows import side_of, vectors_of_day
from training.features.population import names_of
from training.features.reader import ITEM_NUMERIC, USER_NUMERIC, FeatureReader
from training.features.rows import PADDING, Int32, Side

LakeOf = Callable[[str], Lake]
D = shift(FIRST_DAY, 7)


@pytest.fixture(scope="module")
def redis_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as uri:
        yield uri


def published(lake: Lake, settings: Settings, ds: str, active_days: int = 90) -> OnlineStore:
    users, items = vectors_of_day(lake, FeatureReader(lake, ds, ds), ds, active_days)
    one = {
        "user_id": "*",
        "rank": 1,
        "item_id": "i",
        "score": 1.0,
        "source": "model",
        "reason": ".",
    }
    lists = pa.Table.from_pylist([one | {"model_version": 1}])
    store = open_online_store(settings)
    assert store.write(OnlineDay(ds, lists, users, items))
    return store


def changed_meanwhile(lake: Lake, examples: pa.Table, ds: str) -> np.ndarray:
    """Examples before whose event, but after `ds`, an attribute of their user or item changed."""
    end = end_of_day(ds, lake.dataset.zone)
    changed = np.zeros(examples.num_rows, bool)
    for table, entity in ((USERS, "user_index"), (ENCODED_ITEMS, "item_index")):
        rows = lake.read(table, lake.days(table), [entity, "valid_from"]).to_pylist()
        news: dict[int, list[object]] = {}
        for row in rows:
            if row["valid_from"] >= end:
                news.setdefault(row[entity], []).append(row["valid_from"])
        for place, example in enumerate(examples.to_pylist()):
            since = news.get(example[entity], [])
            changed[place] |= any(at <= example["event_timestamp"] for at in since)  # type: ignore[operator]
    return changed


def filled(lists: Int32) -> list[list[int]]:
    return [[int(v) for v in row if v != PADDING] for row in lists]


def assert_equal(online: Side, trained: Side, known: np.ndarray) -> None:
    """Every value is the same; the id of who was born meanwhile (not `known`) is 0 online."""
    np.testing.assert_array_equal(online.index, np.where(known, trained.index, 0))
    assert online.numeric.dtype == np.float32
    np.testing.assert_array_equal(online.numeric, trained.numeric)
    np.testing.assert_array_equal(online.categorical, trained.categorical)
    np.testing.assert_array_equal(online.history, trained.history)
    for mine, other in zip(online.multi, trained.multi, strict=True):
        assert filled(mine) == filled(other)
    assert (online.neighbours is None) == (trained.neighbours is None)
    if online.neighbours is not None and trained.neighbours is not None:
        np.testing.assert_array_equal(online.neighbours, trained.neighbours)
        np.testing.assert_array_equal(online.affinity, trained.affinity)  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["sqlite", "redis"])
@pytest.mark.parametrize("kind", ["impressions", "threshold", "sampled"])
def test_what_is_read_online_is_what_the_next_days_examples_are_trained_with(
    lake_of: LakeOf, kind: str, where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lake = lake_of(kind)
    settings = Settings(home=str(tmp_path), dataset="small")
    if where == "redis":
        uri = request.getfixturevalue("redis_uri")
        settings = Settings(dataset=f"small-{kind}", online_store=uri)
    store = published(lake, settings, D)
    # Examples of D + 1, as a training of days later reads them; some arrived a day late.
    later = [shift(D, n) for n in (1, 2, 3)]
    examples = lake.read(EXAMPLES, later)
    examples = examples.filter(pa.compute.equal(examples.column("event_ds"), shift(D, 1)))
    examples = examples.filter(pa.array(~changed_meanwhile(lake, examples, D)))
    assert examples.num_rows > 50
    trained = FeatureReader(lake, D, later[-1]).rows(examples)
    users, items = names_of(lake, later[-1], trained.user.index, trained.item.index)
    of_users = [store.read_user(name) for name in users.to_pylist()]
    of_items = store.read_items(items.to_pylist())
    assert {vector.ds for vector in of_items} == {D}
    assert all(vector is not None and vector.ds == D for vector in of_users)
    online = side_of([vector for vector in of_users if vector is not None])
    known = np.array([vector is not None and vector.entity_id != "*" for vector in of_users])
    assert known.sum() > 50
    assert_equal(online, trained.user, known)
    known = np.array([vector.entity_id != "*" for vector in of_items])
    assert_equal(side_of(of_items), trained.item, known)


def test_a_day_later_the_values_are_others(lake_of: LakeOf, tmp_path: Path) -> None:
    lake = lake_of("impressions")
    stores = [
        published(lake, Settings(home=str(tmp_path / ds), dataset="small"), ds)
        for ds in (D, shift(D, 1))
    ]
    before, after = (side_of(store.read_items(["i00002", "i00003"])) for store in stores)
    assert (before.index == after.index).all()
    assert (before.numeric != after.numeric).any(axis=1).all()


def test_a_layout_names_every_number(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    users, items = vectors_of_day(lake, FeatureReader(lake, D, D), D, 90)
    fields = {section.name: section.fields for section in users.layout}
    assert fields["categorical"] == ("age", "city")
    assert fields["numeric"] == USER_NUMERIC
    assert "multi.interests" in fields
    assert next(s.fields for s in items.layout if s.name == "numeric") == ITEM_NUMERIC


def test_users_are_those_with_an_event_or_a_new_profile_lately(tmp_path: Path) -> None:
    lake = small_lake(tmp_path, days=5, users=800, per_day=60)
    ds = shift(FIRST_DAY, 3)
    reader = FeatureReader(lake, ds, ds)
    lately, always = (set(vectors_of_day(lake, reader, ds, days)[0].ids) for days in (1, 90))
    events = lake.read(EVENTS, [d for d in lake.days(EVENTS) if d <= ds]).to_pylist()
    since = end_of_day(shift(ds, -1), lake.dataset.zone)
    seen = {event["user_id"] for event in events if event["event_timestamp"] >= since}
    new = {f"u{i:05d}" for i in lake.read(USERS, [ds]).column("user_index").to_pylist()}
    assert lately == seen | new | {"*"}
    assert len(always) > len(lately) > len(new) + 1
