"""A user's traces are found in every declared table, by its columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.dataset import load_dataset
from feature_store.lake import Lake
from feature_store.schema import arrow_schema
from feature_store.tables import EXAMPLES, QUARANTINE, TABLES, VOCABULARIES, Table, columns_of
from feature_store.traces import (
    Person,
    person_of,
    persons_traces,
    searched_columns,
    traces_in,
    without,
)

DATASET = load_dataset("simulated")
ANNA = Person("a1" * 16, frozenset({17}))
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def neutral(kind: pa.DataType) -> Any:
    """A value of a type that is nobody's."""
    if pa.types.is_list(kind):
        return [neutral(kind.value_type)]
    if pa.types.is_map(kind):
        return [("device", "phone")]
    if pa.types.is_timestamp(kind):
        return NOON
    if pa.types.is_boolean(kind):
        return False
    return "x" if pa.types.is_string(kind) else kind.to_pandas_dtype()(5)


def rows_of(table: Table, changed: dict[str, Any] | None = None) -> pa.Table:
    """Three rows of nobody; the second one has the `changed` values."""
    schema = arrow_schema(table, DATASET)
    nobody = {field.name: neutral(field.type) for field in schema}
    return pa.Table.from_pylist([nobody, nobody | (changed or {}), nobody], schema)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_a_column_that_is_declared_to_hold_a_user_is_searched(table: Table) -> None:
    searched = searched_columns(arrow_schema(table, DATASET))
    for column in columns_of(table, DATASET):
        of_users = "pseudonym" in column.doc or "vocabulary id of user_id" in column.doc
        if of_users or column.name.startswith("user_"):
            assert column.name in searched, f"{table.key}.{column.name}: end it in user_index"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_a_row_that_names_the_user_in_any_of_its_columns_is_found(table: Table) -> None:
    schema = arrow_schema(table, DATASET)
    planted: dict[str, Any] = {
        "string": f"r-{ANNA.user_id}-1",
        "list<element: string>": ["x", ANNA.user_id],
        "map<string, string>": [("device", "phone"), ("who", ANNA.user_id)],
    }
    places = {f.name: planted[str(f.type)] for f in schema if str(f.type) in planted}
    if "user_index" in schema.names:
        places["user_index"] = 17
    for name, value in places.items():
        found = traces_in(rows_of(table, {name: value}), ANNA)
        assert found.to_pylist() == [False, True, False], name


def test_the_same_number_as_an_id_of_something_else_is_nobodys_trace() -> None:
    table = next(table for table in TABLES if table.key == "examples.examples")
    rows = rows_of(table, {"item_index": 17, "position": 17, "hour": 17})
    assert traces_in(rows, ANNA).to_pylist() == [False] * 3


def test_a_word_keeps_its_id_under_a_neutral_value() -> None:
    rows = rows_of(VOCABULARIES, {"field": "user_id", "value": ANNA.user_id, "id": 17})
    once = without(rows, VOCABULARIES, ANNA)
    assert once.to_pylist()[1] == {
        "ds": "x",
        "field": "user_id",
        "value": "forgotten.17",
        "id": 17,
        "born_on": "x",
    }
    assert once.to_pylist()[0] == rows.to_pylist()[0]
    assert traces_in(once, ANNA).to_pylist() == [False] * 3


def test_an_item_with_the_users_number_stays_in_the_vocabulary() -> None:
    rows = rows_of(VOCABULARIES, {"field": "item_id", "value": "i17", "id": 17})
    assert without(rows, VOCABULARIES, ANNA) == rows


def test_a_rejected_line_stays_as_a_row_without_its_text() -> None:
    rows = rows_of(QUARANTINE, {"masked_line": f'{{"request_id":"{ANNA.user_id}"}}'})
    left = without(rows, QUARANTINE, ANNA).column("masked_line").to_pylist()
    assert left == ["x", "", "x"]


def test_lists_of_users_would_be_found_too() -> None:
    lists = pa.table(
        {"similar_user_indices": pa.array([[1], [17, 3], None, []], pa.list_(pa.int32()))}
    )
    assert traces_in(lists, ANNA).to_pylist() == [False, True, False, False]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", DATASET)


def write_words(lake: Lake, value: str, index: int) -> None:
    word = {"field": ["user_id"], "value": [value], "id": pa.array([index], pa.int32())}
    word["born_on"] = [ds := "2026-01-05"]
    lake.replace(VOCABULARIES, {"ds": ds}, pa.table(word), {"step": "test"})


def test_what_only_earlier_versions_or_killed_steps_hold_is_found_as_files(lake: Lake) -> None:
    write_words(lake, ANNA.user_id, 17)
    write_words(lake, "b2" * 16, 18)
    assert person_of(lake, ANNA.user_id) == ANNA
    staged = lake.staging(VOCABULARIES) / "ds=2026-01-05" / "part-0.parquet"
    staged.parent.mkdir(parents=True)
    pq.write_table(rows_of(VOCABULARIES, {"value": ANNA.user_id}), staged)
    half = staged.with_name("part-1.parquet")
    half.write_bytes(staged.read_bytes()[:-20])
    others = staged.with_name("part-2.parquet")
    pq.write_table(rows_of(VOCABULARIES), others)
    (found,) = persons_traces(lake, ANNA)
    assert found.rows == {}
    assert {staged, half} < set(found.leftovers)
    assert len(found.leftovers) == 3


def test_an_id_that_is_another_users_now_is_not_the_persons(lake: Lake) -> None:
    write_words(lake, ANNA.user_id, 17)
    write_words(lake, "b2" * 16, 17)
    assert person_of(lake, ANNA.user_id) == Person(ANNA.user_id, frozenset())


def test_an_example_of_before_the_user_had_an_id_is_found_by_its_event() -> None:
    person = replace(ANNA, event_ids=frozenset({"e77"}))
    rows = rows_of(EXAMPLES, {"example_id": "e77", "user_index": 0})
    assert traces_in(rows, person).to_pylist() == [False, True, False]
    assert not any(traces_in(rows, ANNA).to_pylist())
