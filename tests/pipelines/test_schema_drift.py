"""Fields of the raw files that are new, gone or of another kind."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.cleaning import Cleaning, SchemaDrift
from conf.errors import CheckFailed
from feature_store.days import shift
from feature_store.raw_fields import all_fields_in, fields_in
from feature_store.tables import EVENTS, INTAKE
from pipelines.schema_drift import field_changes
from tests.pipelines.workbench import MONDAY, Workbench, event

Bench = Callable[..., Workbench]
TUESDAY = shift(MONDAY, 1)


def files(ds: str, **fields: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"ds": ds, "stream": "events", "file": file, "fields": kinds}
        for file, kinds in fields.items()
    ]


def changes(*args: Any, declared: tuple[str, ...] = ()) -> set[str]:
    return {str(change) for change in field_changes(*args, {"events": declared})}


def test_kinds_are_those_of_the_first_rows(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": "x", "c": None, "d": True}, {"a": 2.5, "b": 3, "e": [1], "f": {}}]
    lines = [json.dumps(row).encode() for row in rows]
    content = b"\n".join([lines[0], b"{not json", b"[1]", lines[1]])
    expected = {
        "a": "number",
        "b": "number|text",
        "c": "null?",
        "d": "boolean?",
        "e": "list?",
        "f": "object?",
    }
    (tmp_path / "part-0.jsonl.gz").write_bytes(gzip.compress(content))
    with pa.output_stream(str(tmp_path / "part-1.jsonl.zst"), compression="zstd") as file:
        file.write(content)
    for name in ("part-0.jsonl.gz", "part-1.jsonl.zst"):
        assert all_fields_in(tmp_path / name) == expected
    with (tmp_path / "part-2.csv").open("w") as text:
        csv.writer(text).writerows([["x", " y "], [1, 2]])
    assert all_fields_in(tmp_path / "part-2.csv") == {"x": "any?", "y": "any?"}
    columns = {"at": [datetime.now(UTC)], "n": [1], "t": ["x"], "l": [["x"]]}
    pq.write_table(pa.table(columns), tmp_path / "part-3.parquet")
    assert all_fields_in(tmp_path / "part-3.parquet") == {
        "at": "time?",
        "n": "number?",
        "t": "text?",
        "l": "list?",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        gzip.compress(b'{"user_id":1}\n' * 999, mtime=0)[:-9],
        b"no gzip",
        gzip.compress(b"[" * 200_000, mtime=0),
        gzip.compress(b'{"alice@example.com": 1}', mtime=0),
    ],
)
def test_a_file_that_says_nothing_of_its_fields_is_no_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "part-0.jsonl.gz"
    path.write_bytes(content)
    assert fields_in(path) == {}


def test_what_looks_like_data_is_no_field(tmp_path: Path) -> None:
    (tmp_path / "part-0.csv").write_text("alice@example.com,i77\nbert@example.com,i78\n")
    assert fields_in(tmp_path / "part-0.csv") == {}
    (tmp_path / "part-1.csv").write_text(f"user_id,alice@example.com,{'x' * 200_000}\n")
    assert fields_in(tmp_path / "part-1.csv") == {}
    row = b'{"user_id": "u1", "\\ud800x": 1, "alice@example.com": 2, "\xc3\xa9": 3}'
    (tmp_path / "part-2.jsonl").write_bytes(row)
    assert fields_in(tmp_path / "part-2.jsonl") == {"user_id": "text"}
    by_user = [{"user_id": "u1", "u2": 1}, {"user_id": "u2", "u1": 2, "n": 3}]
    (tmp_path / "part-3.jsonl").write_text("\n".join(map(json.dumps, by_user)))
    assert fields_in(tmp_path / "part-3.jsonl") == {"user_id": "text", "n": "number?"}


def test_changes_are_told_apart_from_what_comes_and_goes() -> None:
    before = files(MONDAY, one={"id": "text", "n": "number", "x": "text?"}) + files(
        shift(MONDAY, -1), two={"id": "text", "n": "number?"}
    )
    assert changes(files(TUESDAY, one={"id": "text"}), before) == set()
    assert changes(files(TUESDAY, one={"id": "text|number", "n": "number"}), before) == set()
    assert changes(files(TUESDAY, one={"id": "any?"}), before) == set()
    assert changes(files(TUESDAY, one={}), before) == set()
    assert changes(files(TUESDAY, one={"id": "null?", "x": "null?"}), before) == set()
    assert changes(files(TUESDAY, one={"id": "text"}), []) == set()
    assert changes(files(TUESDAY, one={"n": "text", "new": "list?"}), before) == {
        f"new (list) is new in events/ds={TUESDAY}/one",
        f"n is text in events/ds={TUESDAY}/one, was number",
        f"id (text) is gone from events/ds={TUESDAY}/one",
    }
    expected = {"device": "text", "request_id": "text"}
    first_time = files(TUESDAY, one={"id": "text", **expected})
    assert changes(first_time, before, declared=("device",)) == set()
    declared = ("x", "never")
    assert changes(files(TUESDAY, one={"id": "text"}), before, declared=declared) == {
        f"x (text) is gone from events/ds={TUESDAY}/one",
        f"never is declared, but no row of events/ds={TUESDAY}/one has it",
    }
    other_file_has_it = files(TUESDAY, one={"id": "text"}, two={"id": "text", "x": "text"})
    assert changes(other_file_has_it, before, declared=("x",)) == set()


@pytest.mark.spark
def test_the_policy_says_what_follows_and_bulk_says_it_too(bench: Bench) -> None:
    quiet = SchemaDrift(never_delivered="ignore")
    strict = SchemaDrift(never_delivered="ignore", new_field="fail")
    with_junk = event(f"{TUESDAY} 10:00", "u1", "i1", session="s1", value="3")
    said = f"WARNING {TUESDAY}: session (text) is new in events/ds={TUESDAY}/part-0.jsonl"
    for name, days in (("daily", [[MONDAY], [TUESDAY]]), ("bulk", [[MONDAY, TUESDAY]])):
        shop = bench(name, cleaning=Cleaning(schema_drift=quiet))
        shop.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", "i1", value=3)])
        shop.write(TUESDAY, [with_junk])
        summaries = [shop.run("clean_events", *ds).said for ds in days]
        assert said in summaries[-1]
        assert f"value is text in events/ds={TUESDAY}/part-0.jsonl, was number" in summaries[-1]
        assert len(shop.rows(EVENTS)) == 2
    refusing = bench("refusing", cleaning=Cleaning(schema_drift=strict))
    refusing.write(MONDAY, [event(f"{MONDAY} 10:00", "u1", "i1", value=3)])
    refusing.write(TUESDAY, [with_junk])
    assert "WARNING" not in refusing.run("clean_events", MONDAY).said
    with pytest.raises(CheckFailed, match=r"session \(text\) is new.*schema_drift.new_field"):
        refusing.run("clean_events", TUESDAY)
    assert {row["ds"] for row in refusing.rows(INTAKE)} == {MONDAY}
