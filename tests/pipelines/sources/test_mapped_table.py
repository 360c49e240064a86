from __future__ import annotations

import gzip
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from conf.errors import ConfigError, SourceError
from pipelines.sources.mapped_table import import_table
from pipelines.sources.mapping import Mapping

Rows = Callable[[Path, str, str], list[dict[str, Any]]]

LOG = """\
zeit;kunde;artikel;aktion;menge;platz;geraet;unbenutzt
02.03.2026 00:10:00;007;a1;geklickt;;2;phone;x
01.03.2026 23:50:00;007;a1;gesehen;;2;phone;x
01.03.2026 23:50:00;;a2;gesehen;;3;phone;x
01.03.2026 23:55:00;8;a2;gescrollt;;;phone;x
01.03.2026 23:56:00;8;a2;gewunken;viel;;phone;x
morgen;8;a2;gesehen;;;phone;x
zu;wenige
"""
EVENTS = """\
events:
  path: logs/shop-*.csv.gz
  format: csv
  delimiter: ";"
  time_format: "%d.%m.%Y %H:%M:%S"
  time_zone: Europe/Vienna
  columns:
    event_timestamp: zeit
    user_id: kunde
    item_id: artikel
    event_type: aktion
    value: menge
    position: platz
  event_types: {gesehen: impression, geklickt: click, gescrollt: null}
  context: {device: geraet}
"""
ITEMS = """\
items:
  path: catalogue.parquet
  format: parquet
  columns: {item_id: sku, title: name, tags: words, available_from: since}
  tags_separator: ","
  attributes:
    price: {column: preis, kind: numeric}
    colours: {column: farben, kind: multi}
"""
PROFILES = """\
profiles:
  path: customers.csv
  format: csv
  columns: {user_id: kunde, updated_at: stand}
  attributes:
    age: {column: alter, kind: numeric}
    interests: {column: interessen, kind: multi, separator: "/"}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with somebody's log, catalogue and customers; the mapping is shop.yaml."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "shop-1.csv.gz").write_bytes(gzip.compress(LOG.encode()))
    catalogue = pa.table(
        {
            "sku": ["a1", "a2", "a3"],
            "name": ["Tasse", None, "Nie gesehen"],
            "words": ["rot, blau", "", None],
            "since": [datetime(2026, 1, 1, tzinfo=UTC), None, None],
            "preis": [3.5, float("nan"), 1.0],
            "farben": [["rot", "blau"], [], None],
        }
    )
    pq.write_table(catalogue, tmp_path / "catalogue.parquet")
    (tmp_path / "customers.csv").write_text(
        "kunde,stand,alter,interessen\n"
        '007,2026-02-01T10:00:00Z,44,"tee/kaffee"\n'
        "007,2026-03-02T10:00:00Z,old,\n"
        ",2026-03-02T10:00:00Z,1,\n"
    )
    (tmp_path / "shop.yaml").write_text(EVENTS + ITEMS + PROFILES)
    return tmp_path


def _edit(shop: Path, old: str, new: str) -> Path:
    mapping = shop / "shop.yaml"
    text = mapping.read_text()
    assert old in text
    mapping.write_text(text.replace(old, new, 1))
    return mapping


def test_events_are_mapped_and_ordered_and_land_on_their_local_day(
    shop: Path, rows_of: Rows
) -> None:
    raw = shop / "raw"
    summary = import_table(shop / "shop.yaml", raw, None, None)
    assert (summary.days, summary.events) == (2, 4)
    first, without_user, waved = rows_of(raw, "events", "2026-03-01")
    assert first == {
        "event_timestamp": "2026-03-01T23:50:00+01:00",
        "event_type": "impression",
        "user_id": "007",
        "item_id": "a1",
        "value": None,
        "position": 2,
        "device": "phone",
    }
    assert without_user["user_id"] is None
    assert (waved["event_type"], waved["value"]) == ("gewunken", None)
    (click,) = rows_of(raw, "events", "2026-03-02")
    assert click["event_type"] == "click"


def test_what_cannot_be_mapped_is_counted_by_reason(shop: Path) -> None:
    summary = import_table(shop / "shop.yaml", shop / "raw", None, None)
    assert summary.skipped == {
        "events_of_type_gescrollt_left_out": 1,
        "events_time_not_readable": 1,
        "events_wrong_number_of_fields": 1,
        "items_never_in_an_event": 1,
        "profiles_without_id": 1,
    }
    assert summary.emptied == {"events_value_not_a_number": 1, "profiles_age_not_a_number": 1}


def test_items_come_from_parquet_with_lists_numbers_and_nothing_as_null(
    shop: Path, rows_of: Rows
) -> None:
    import_table(shop / "shop.yaml", shop / "raw", None, None)
    cup, nameless = rows_of(shop / "raw", "items", "2026-03-01")
    assert cup == {
        "item_id": "a1",
        "title": "Tasse",
        "tags": ["rot", "blau"],
        "available_from": "2026-01-01T00:00:00+00:00",
        "price": 3.5,
        "colours": ["rot", "blau"],
        "updated_at": "2026-03-01T23:50:00+01:00",
    }
    assert (nameless["title"], nameless["tags"], nameless["price"]) == (None, [], None)


def test_profiles_with_a_time_land_on_it_and_older_ones_on_the_first_day(
    shop: Path, rows_of: Rows
) -> None:
    import_table(shop / "shop.yaml", shop / "raw", None, None)
    (before,) = rows_of(shop / "raw", "profiles", "2026-03-01")
    assert before == {
        "user_id": "007",
        "age": 44.0,
        "interests": ["tee", "kaffee"],
        "updated_at": "2026-02-01T11:00:00+01:00",
    }
    (changed,) = rows_of(shop / "raw", "profiles", "2026-03-02")
    assert (changed["age"], changed["interests"]) == (None, [])


def test_a_log_of_one_type_with_whole_float_ids_in_parquet(tmp_path: Path, rows_of: Rows) -> None:
    log = pa.table({"t": [1_772_323_200_000], "u": [17850.0], "i": [22]})
    pq.write_table(log, tmp_path / "log.parquet")
    (tmp_path / "m.yaml").write_text(
        "events: {path: log.parquet, format: parquet, time_format: epoch_ms, "
        "event_type_value: purchase, "
        "columns: {event_timestamp: t, user_id: u, item_id: i}}"
    )
    import_table(tmp_path / "m.yaml", tmp_path / "raw", None, None)
    assert rows_of(tmp_path / "raw", "events", "2026-03-01") == [
        {
            "event_timestamp": "2026-03-01T00:00:00+00:00",
            "event_type": "purchase",
            "user_id": "17850",
            "item_id": "22",
        }
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("user_id: kunde", "user_id: kunden", "events.columns.user_id: kunden: no such column"),
        ("device: geraet", "device: Geraet", "events.context.device: Geraet: no such column"),
        ('delimiter: ";"', 'delimiter: ","', "which has ['zeit;kunde;artikel"),
        ("column: preis", "column: cost", "items.attributes.price.column: cost: no such column"),
        ("logs/shop-*", "log/shop-*", "key events.path: expected files at"),
        ("time_zone: Europe/Vienna", "time_zone: Vienna", "events.time_zone: "),
        ("%d.%m.%Y %H:%M:%S", "dd.mm.yyyy", "events.time_format: "),
        ("  delimiter:", "  colour: red\n  delimiter:", "events.colour: no such key"),
        ("kind: numeric", "kind: number", "items.attributes.price.kind: "),
        ("event_type: aktion", "event_id: aktion", "either columns.event_type or event_type_value"),
        ("{device: geraet}", "{value: geraet}", "context: ['value'] are fields of their own"),
    ],
)
def test_a_wrong_mapping_names_file_and_key(shop: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        import_table(_edit(shop, old, new), shop / "raw", None, None)
    assert str(shop / "shop.yaml") in str(error.value)
    assert expected in str(error.value)
    assert not (shop / "raw" / "events").exists()


def test_a_file_of_another_format_is_named(shop: Path) -> None:
    mapping = _edit(shop, "path: catalogue.parquet", "path: customers.csv")
    with pytest.raises(SourceError, match=r"customers\.csv: expected parquet \(items\.format in"):
        import_table(mapping, shop / "raw", None, None)


def test_a_missing_mapping_file_says_where_an_example_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Expected a mapping file at .*docs/raw-zone\.md"):
        import_table(tmp_path / "none.yaml", tmp_path / "raw", None, None)


def test_the_example_in_the_docs_is_a_valid_mapping() -> None:
    page = (Path(__file__).parents[3] / "docs" / "raw-zone.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    mapping = Mapping.model_validate(yaml.safe_load(textwrap.dedent(example)))
    assert mapping.items is not None
    assert mapping.profiles is not None
