"""The same rows in every format of the raw zone; files and lines by name."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import SourceError
from feature_store.tables import EVENTS, PROFILES, QUARANTINE
from pipelines import raw_reader
from tests.pipelines.workbench import MONDAY, Row, Workbench, assert_same_rows, by, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]

EVENTS_OF_THE_DAY = [
    event(f"{MONDAY} 10:00", "u1", "i1", event_id="a", value=1.5, device="phone"),
    event(f"{MONDAY} 11:00", "u2", "i,2", event_id="b", position=3),
    event(f"{MONDAY} 12:00", "u3", 'i"3', "hover", event_id="c"),
    event(f"{MONDAY} 13:00", "u4", "ï4", "purchase", event_id="d", request_id="r1"),
]
COLUMNS = [
    *("event_timestamp", "user_id", "item_id", "event_type", "event_id"),
    *("value", "position", "request_id", "device"),
]


def _csv(rows: list[Row], columns: list[str], mark: bool = False) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return ("\ufeff" * mark + text.getvalue()).encode()


def _parquet(rows: list[Row]) -> pa.Table:
    typed = [
        {**row, "event_timestamp": datetime.fromisoformat(row["event_timestamp"])} for row in rows
    ]
    columns = {name: [row.get(name) for row in typed] for name in COLUMNS}
    return pa.table(columns | {"event_timestamp": pa.array(columns["event_timestamp"])})


def _packed(content: bytes, suffix: str) -> bytes:
    if suffix.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    return zstd(content) if suffix.endswith(".zst") else content


def zstd(content: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(content)
    return bytes(packed.getvalue())


@pytest.mark.parametrize(
    "suffix", [".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz", ".csv.zst", ".parquet"]
)
def test_every_format_gives_the_rows_of_json_lines(bench: Bench, suffix: str) -> None:
    plain, other = bench("plain"), bench("other")
    plain.write(MONDAY, EVENTS_OF_THE_DAY)
    other.write(MONDAY, name="part-9.jsonl")
    path = other.folder("events", MONDAY) / f"part-0{suffix}"
    if suffix == ".parquet":
        pq.write_table(_parquet(EVENTS_OF_THE_DAY), path)
    elif suffix.startswith(".jsonl"):
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in EVENTS_OF_THE_DAY)
        path.write_bytes(_packed(lines, suffix))
    else:
        path.write_bytes(_packed(_csv(EVENTS_OF_THE_DAY, COLUMNS, mark=True), suffix))
    plain.run("clean_events", MONDAY)
    other.run("clean_events", MONDAY)
    assert len(plain.rows(EVENTS)) == 3
    assert_same_rows(other.rows(EVENTS), plain.rows(EVENTS))
    (rejected,) = other.rows(QUARANTINE)
    assert (rejected["reason"], rejected["file"]) == ("unknown_event_type", path.name)
    assert rejected["line"] == (4 if ".csv" in suffix else 3)  # its first line is the header


def test_files_of_several_formats_and_headers_make_up_one_day(bench: Bench) -> None:
    shop = bench()
    a, b, c, d = EVENTS_OF_THE_DAY
    shop.write(MONDAY, [a])
    folder = shop.folder("events", MONDAY)
    (folder / "part-1.csv").write_bytes(_csv([b], COLUMNS))
    (folder / "part-2.csv").write_bytes(_csv([d], [*reversed(COLUMNS), "unheard_of"]))
    (folder / "part-3.csv").write_bytes(_csv([], COLUMNS))
    (folder / "part-4.csv.gz").write_bytes(b"")
    pq.write_table(_parquet([c]), folder / "part-5.parquet")
    shop.run("clean_events", MONDAY)
    assert {row["event_id"] for row in shop.rows(EVENTS)} == {"a", "b", "d"}
    assert [row["file"] for row in shop.rows(QUARANTINE)] == ["part-5.parquet"]


def test_a_csv_row_with_too_many_or_too_few_cells_is_malformed(bench: Bench) -> None:
    shop = bench()
    shop.write(MONDAY)
    header, row = _csv(EVENTS_OF_THE_DAY[:1], COLUMNS).splitlines()
    lines = [header, row, row + b",secret", b"secret,u1", b"", b"\xff" + row]
    (shop.folder("events", MONDAY) / "part-1.csv").write_bytes(b"\n".join(lines) + b"\n")
    shop.run("clean_events", MONDAY)
    reasons = {line: r["reason"] for line, r in by(shop.rows(QUARANTINE), "line").items()}
    assert reasons == {3: "malformed", 4: "malformed", 5: "blank_line", 6: "invalid_utf8"}
    assert all("secret" not in r["masked_line"] for r in shop.rows(QUARANTINE))
    assert len(shop.rows(EVENTS)) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("part-1.csv", b"user_id,user_id\na,b\n", "unique column names"),
        ("part-1.csv", b"\nuser_id,item_id\nu1,i1\n", r"unique column names, found \[\]"),
        ("part-1.csv.gz", b"user_id,item_id\nu1,i1\n", r"part-1\.csv\.gz cannot be read"),
        (
            "part-1.csv.gz",
            gzip.compress(b"user_id,item_id\n" * 99, mtime=0)[:-9],
            r"/part-1\.csv\.gz cannot be read: Truncated",
        ),
        ("part-1.csv.zst", b"user_id,item_id\nu1,i1\n", r"part-1\.csv\.zst cannot be read"),
        ("part-1.jsonl.zst", b'{"user_id": 1}\n', r"/part-1\.jsonl\.zst is cut off or damaged"),
        (
            "part-1.jsonl.zst",
            zstd(json.dumps([str(n) for n in range(9999)]).encode())[:-90],
            r"/part-1\.jsonl\.zst is cut off or damaged",
        ),
    ],
)
def test_a_csv_without_a_readable_header_is_refused(
    bench: Bench, name: str, content: bytes, said: str
) -> None:
    shop = bench()
    shop.write(MONDAY)
    (shop.folder("events", MONDAY) / name).write_bytes(content)
    with pytest.raises(SourceError, match=said):
        shop.run("clean_events", MONDAY)
    assert shop.rows(EVENTS) == []


def test_a_list_in_csv_is_separated_by_bars(bench: Bench) -> None:
    shop = bench()
    shop.write(MONDAY)
    rows = [
        {"user_id": "u1", "updated_at": f"{MONDAY}T00:00:00Z", "interests": "a| b |", "age": "30"},
        {"user_id": "u2", "updated_at": f"{MONDAY}T00:00:00Z", "interests": '["c","d"]'},
        {"user_id": "u3", "updated_at": f"{MONDAY}T00:00:00Z", "interests": "[broken"},
    ]
    content = _csv(rows, ["user_id", "updated_at", "interests", "age"])
    (shop.folder("profiles", MONDAY) / "part-1.csv").write_bytes(content)
    shop.run("clean_events", MONDAY)
    lists = sorted(row["attr_interests"] for row in shop.rows(PROFILES))
    assert lists == [["a", "b"], ["c", "d"]]
    assert [row["reason"] for row in shop.rows(QUARANTINE)] == ["bad_value"]


def test_a_parquet_time_keeps_its_microseconds(bench: Bench) -> None:
    shop = bench()
    shop.write(MONDAY)
    at = datetime(2026, 1, 5, 10, 0, 0, 123_456, tzinfo=UTC)
    table = _parquet(EVENTS_OF_THE_DAY[:1]).set_column(0, "event_timestamp", pa.array([at]))
    pq.write_table(table, shop.folder("events", MONDAY) / "part-1.parquet")
    shop.run("clean_events", MONDAY)
    assert [row["event_timestamp"] for row in shop.rows(EVENTS)] == [at]


def test_a_file_that_several_tasks_read_has_its_lines_in_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = bench()
    bad = {n: event(f"{MONDAY} 10:00", "u1", "i1", f"x{n}") for n in range(1, 301)}
    shop.write(MONDAY, bad.values())
    size = (shop.folder("events", MONDAY) / "part-0.jsonl").stat().st_size
    monkeypatch.setattr(raw_reader, "SPLIT_BYTES", size // 5)
    shop.run("clean_events", MONDAY)
    found = {r["line"]: json.loads(r["masked_line"])["event_type"] for r in shop.rows(QUARANTINE)}
    assert found == {n: f"x{n}" for n in range(1, 301)}


def test_text_that_parquet_declares_as_bytes_is_text(bench: Bench) -> None:
    shop = bench()
    text = _parquet(EVENTS_OF_THE_DAY)
    ids = [text.schema.get_field_index(name) for name in ("user_id", "item_id")]
    for place in ids:
        name = text.column_names[place]
        text = text.set_column(place, name, text.column(name).cast(pa.binary()))
    shop.write(MONDAY, EVENTS_OF_THE_DAY)
    shop.run("clean_events", MONDAY)
    expected = [(row["user_id"], row["item_id"]) for row in shop.rows(EVENTS)]
    folder = shop.folder("events", MONDAY)
    (folder / "part-0.jsonl").unlink()
    pq.write_table(text, folder / "part-0.parquet")
    shop.run("clean_events", MONDAY)
    assert [(row["user_id"], row["item_id"]) for row in shop.rows(EVENTS)] == expected
