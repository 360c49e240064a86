"""What there is to read of items and profiles, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import ENCODED_ITEMS, EXAMPLES, Table
from tests.training.log_fixture import FIRST_DAY, LINEAGE
from training.features.reader import FeatureReader
from training.features.rows import Rows
from training.features.texts import HISTORY_TEXTS, LakeTexts
from training.features.words import NO_TEXT, Words, number_of

LakeOf = Callable[[str], Lake]
DS, RENAMED = shift(FIRST_DAY, 7), shift(FIRST_DAY, 5)


def read(lake: Lake, ds: str, last: str) -> tuple[Rows, Words]:
    reader = FeatureReader(lake, ds, last, with_text=True)
    assert reader.texts is not None
    return reader.rows(lake.read(EXAMPLES, [ds]).sort_by("example_id")), reader.texts.words


def rename(lake: Lake, ds: str, item: int, text: str, hour: int) -> None:
    """Let the items of `ds` say another text from `hour` on."""
    row = lake.read(ENCODED_ITEMS, lake.days(ENCODED_ITEMS)).to_pylist()[0]
    moment = (np.datetime64(ds, "us") + np.timedelta64(hour, "h")).item().replace(tzinfo=UTC)
    row |= {"ds": ds, "item_index": item, "text": text, "valid_from": moment}
    rows = [*lake.read(ENCODED_ITEMS, [ds]).to_pylist(), row]
    changed = pa.Table.from_pylist(rows, lake.schema(ENCODED_ITEMS))
    lake.replace(ENCODED_ITEMS, {"ds": ds}, changed.drop_columns(["ds"]), LINEAGE)


def test_a_number_is_the_same_in_every_process_and_none_of_nothing() -> None:
    assert number_of("") == NO_TEXT
    # echo -n lamp | sha256sum: the first 16 hex digits, without the last bit
    assert number_of("lamp") == 0xC98E85F249002F03 >> 1
    words = Words(["lamp"])
    assert words.text(number_of("lamp")) == "lamp"


def test_an_item_renamed_later_keeps_its_old_text_in_earlier_examples(
    own_lake_of: LakeOf,
) -> None:
    lake = own_lake_of("impressions")
    before, words = read(lake, RENAMED, RENAMED)
    of_item = np.flatnonzero(before.item.index == 2)
    assert len(of_item) > 1
    assert before.item.text is not None
    assert {words.text(int(n)) for n in before.item.text[of_item, 0]} == {"Item 2. y"}
    rename(lake, RENAMED, 2, "Brand new. q", hour=12)
    for last in (RENAMED, DS):  # nor does it matter what is known by the time of reading
        after, words = read(lake, RENAMED, last)
        examples = lake.read(EXAMPLES, [RENAMED]).sort_by("example_id")
        noon = np.datetime64(RENAMED, "us") + np.timedelta64(12, "h")
        late = examples.column("event_timestamp").to_numpy() >= noon
        assert after.item.text is not None
        said = np.array([words.text(int(n)) for n in after.item.text[:, 0]])
        assert set(said[of_item][late[of_item]]) == {"Brand new. q"}
        assert set(said[of_item][~late[of_item]]) == {"Item 2. y"}
        others = after.item.index != 2
        np.testing.assert_array_equal(after.item.text[others], before.item.text[others])
    later, words = read(lake, DS, DS)
    assert later.item.text is not None
    numbers = later.item.text[later.item.index == 2, 0]
    assert {words.text(int(n)) for n in numbers} == {"Brand new. q"}


def test_a_users_texts_are_those_of_the_last_items_then_the_profiles_words(
    lake_of: LakeOf,
) -> None:
    lake = lake_of("impressions")
    rows, words = read(lake, DS, DS)
    assert rows.user.text is not None
    city, interests = {2: "a", 3: "b", 4: "c"}, {2: "w", 3: "x", 4: "y", 5: "z"}
    age = {2: "age below 18", 3: "age 18 to 40", 4: "age 40 or more"}
    for row in range(0, len(rows), 7):
        text = [words.text(int(n)) if n else "" for n in rows.user.text[row]]
        taken = [int(i) for i in rows.user.history[row, :HISTORY_TEXTS]]
        assert [t.split(".")[0] for t in text[:HISTORY_TEXTS]] == [
            f"Item {i}" if i else "" for i in taken
        ]
        several = [f"interests {interests[i]}" for i in rows.user.multi[0][row] if i >= 2]
        first, second = rows.user.categorical[row]
        profile = [age.get(first, ""), f"city {city[second]}" if second in city else ""]
        assert [t for t in text[HISTORY_TEXTS:] if t] == [*filter(None, profile), *several]


def test_whoever_reads_no_text_pays_for_none(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    reader = FeatureReader(lake, DS, DS)
    rows = reader.rows(lake.read(EXAMPLES, [DS]))
    assert reader.texts is None
    assert rows.user.text is None
    assert rows.item.words is None


def test_days_before_the_last_base_day_are_not_read(
    lake_of: LakeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, read = lake_of("impressions"), Lake.read
    asked: list[list[str]] = []

    def noted(self: Lake, table: Table, days: list[str], *more: Any, **named: Any) -> pa.Table:
        if table == ENCODED_ITEMS:
            asked.append(days)
        return read(self, table, days, *more, **named)

    monkeypatch.setattr(Lake, "read", noted)
    LakeTexts(lake, DS, DS)
    assert asked == [[*lake.state_days(ENCODED_ITEMS, shift(DS, -1)), DS]]
