"""Three simulated days end to end: what the lake, the registry and the command line say after."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sqlite3
from contextlib import closing
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from dayfold.run import REFERENCE_DAYS
from feature_store.days import days_between, shift
from feature_store.tables import (
    EVENTS,
    EXAMPLES,
    GATES,
    PROMOTIONS,
    QUARANTINE,
    RECOMMENDATIONS,
    STEP_RUNS,
    VOCABULARIES,
)
from tests.e2e.conftest import FIRST, HISTORY_FROM, LAST, Shop
from tests.key_search import files_with, forms_of
from tests.pipelines.workbench import KEY

pytestmark = [pytest.mark.spark, pytest.mark.airflow]
DAYS = list(days_between(FIRST, LAST))


def test_every_day_is_closed_and_its_raw_rows_are_accounted_for(shop: Shop) -> None:
    days = shop.days()
    assert [days[ds]["state"] for ds in DAYS] == ["published"] * 3
    assert set(days) == set(days_between(HISTORY_FROM, LAST))
    for ds, day in days.items():
        raw = (shop.raw / "events" / f"ds={ds}").glob("part-*")
        lines = sum(len(_lines(path)) for path in raw)
        assert day["rows_in"] == lines == day["clean"] + sum(day["quarantined"].values()), ds
    quarantined = shop.lake.read(QUARANTINE, DAYS).to_pylist()
    events = [row for row in quarantined if row["stream"] == "events"]
    assert len(events) == sum(sum(days[ds]["quarantined"].values()) for ds in DAYS)


def test_a_champion_serves_and_the_first_one_came_from_history(shop: Shop) -> None:
    days = shop.days()
    assert days[shift(FIRST, -1)]["champion"]["version"] >= 1
    for ds in DAYS:
        assert days[ds]["champion"] is not None
        assert days[ds]["decision"] in {"skip", "watch", "retrain", "not_enough_data"}
        assert days[ds]["reason"]


def test_a_promotion_is_told_as_an_event_of_the_champions_asset(shop: Shop) -> None:
    rows = shop.lake.read(PROMOTIONS, DAYS).to_pylist()
    promoted = {row["ds"]: row["champion_version"] for row in rows if row["promoted"]}
    query = (
        "select asset.uri, asset_event.extra from asset_event join asset "
        "on asset.id = asset_event.asset_id order by asset_event.id"
    )
    with closing(sqlite3.connect(shop.home / "airflow" / "airflow.db")) as database:
        told = database.execute(query).fetchall()
    assert {uri for uri, _ in told} <= {"dayfold://simulated/champion"}
    extras = [json.loads(extra) for _, extra in told]
    assert {extra["ds"]: extra["version"] for extra in extras} == promoted
    assert {extra["dataset"] for extra in extras} <= {"simulated"}


def test_airflow_says_how_long_a_run_took(shop: Shop) -> None:
    query = "select (julianday(end_date) - julianday(start_date)) * 86400 from dag_run"
    with closing(sqlite3.connect(shop.home / "airflow" / "airflow.db")) as database:
        took = [seconds for (seconds,) in database.execute(query)]
    assert len(took) >= len(DAYS)
    assert all(1 < seconds < 3_600 for seconds in took)


def test_the_runs_of_the_first_candidates_of_a_history_say_what_became_of_them(shop: Shop) -> None:
    cut = shift(FIRST, -1 - REFERENCE_DAYS)
    (first,), gates = (shop.lake.read(t, [cut]).to_pylist() for t in (PROMOTIONS, GATES))
    tags = shop.tags_of_runs(cut)
    assert (tags[""]["promoted"], tags[""]["version"]) == ("yes", str(first["champion_version"]))
    assert tags.keys() - {""} == {gate["scorer"] for gate in gates}
    for gate in gates:
        said, version = tags[gate["scorer"]], str(gate["version"] or "")
        named = f"{gate['outcome'].capitalize()}{version and f', version {version}'}"
        assert said.get("version", "") == version
        assert said["mlflow.note.content"].startswith(f"**{named}**: ")


def test_a_planted_fall_of_the_click_rate_is_found_and_trained_on(shop: Shop) -> None:
    days = shop.days()
    after = [ds for ds in DAYS if ds >= "2026-02-01"]
    assert any(days[ds]["decision"] == "retrain" for ds in after)
    assert any(days[ds]["trained"] for ds in after)


def test_every_active_user_has_a_list_without_repeats(shop: Shop) -> None:
    lists = shop.lake.read(RECOMMENDATIONS, [LAST])
    query = """
        select user_id, count(*) n, count(distinct item_id) items, min("rank") low, max("rank") high
        from lists group by user_id
    """
    found = duckdb.sql(query).fetchall()
    assert len(lists) > 0
    assert len(found) > 100
    assert all(n == items == high and low == 1 for _, n, items, low, high in found)
    assert any(user == "*" for user, *_ in found)


def test_no_raw_user_id_is_stored_anywhere(shop: Shop) -> None:
    raw = re.compile(r"\bu\d{6}\b")
    raw_lines = (shop.home / "raw").rglob("events/*/*.gz")
    assert raw.search(gzip.decompress(next(raw_lines).read_bytes()).decode(errors="replace"))
    for path in (shop.home / "lake").rglob("*.parquet"):
        found = raw.search(repr(pq.read_table(path).to_pylist()))
        assert found is None, (path, found)


def test_no_file_of_the_home_holds_the_key_after_days_of_runs(shop: Shop) -> None:
    names = {path.name for path in shop.home.rglob("*") if path.is_file()}
    assert {"mlflow.db", "users.json", "lake.json"} <= names
    assert list((shop.home / "logs").rglob("*.log"))
    assert files_with(shop.home, forms_of(KEY)) == []


def test_an_id_is_born_once(shop: Shop) -> None:
    words = shop.lake.read(VOCABULARIES, shop.lake.days(VOCABULARIES))
    query = """
        with born as (select * from words where ds = born_on),
        known as (select distinct field, value, id, born_on from words)
        select count(*), count(distinct (field, value)), count(distinct (field, id)) from born
        union
        select count(*), count(distinct (field, value)), count(distinct (field, id)) from known
    """
    assert words.num_rows
    ((rows, values, ids),) = duckdb.sql(query).fetchall()
    assert rows == values == ids > 0


def test_labels_are_those_of_an_independent_query(shop: Shop) -> None:
    lake = shop.lake
    relations = {
        "events": lake.read(EVENTS, lake.days(EVENTS)),
        "examples": lake.read(EXAMPLES, [LAST], ["example_id", "label"]),
    }
    query = """
        with late as (select * from events where ds <= $last),
        shown as (select * from late where event_type = 'impression'),
        wanted as (select * from late where event_type in ('click', 'favourite', 'purchase'))
        select e.example_id, max(e.label), count(w.event_id) > 0 as clicked
        from examples e join shown s on s.event_id = e.example_id
        left join wanted w on w.user_id = s.user_id and w.item_id = s.item_id
            and (w.request_id = s.request_id or w.request_id is null or s.request_id is null)
            and w.event_timestamp >= s.event_timestamp
            and w.event_timestamp <= s.event_timestamp + interval 60 minutes
        group by 1
    """
    database = duckdb.connect()
    for name, rows in relations.items():
        database.register(name, rows)
    found = database.execute(query, {"last": LAST}).fetchall()
    assert len(found) == len(relations["examples"]) > 500
    assert all((label == 1) == clicked for _, label, clicked in found)


def test_a_closed_day_is_not_run_again_without_being_asked(shop: Shop) -> None:
    version = shop.lake.version(STEP_RUNS)
    said = shop.run("run", "--from", FIRST, "--to", FIRST).stdout
    assert "--force" in said
    assert shop.lake.version(STEP_RUNS) == version


def test_a_list_is_shown_with_titles(shop: Shop) -> None:
    shown = shop.run("recommend", "--user", "u000001").stdout
    assert "List of u000001" in shown
    assert "(no title)" not in shown


def test_a_table_and_a_model_lead_back_to_the_raw_files(shop: Shop) -> None:
    (part,) = (shop.raw / "events" / f"ds={LAST}").glob("part-*")
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    line = f"events/ds={LAST}/{part.name} {part.stat().st_size:,} bytes, sha256 {digest[:12]}"
    shown = shop.run("lineage", "examples.examples", "--ds", LAST).stdout
    assert f"examples.examples ds={LAST}" in shown
    assert shown.count(line) == 1
    versions = [row["champion_version"] for row in shop.lake.read(PROMOTIONS, [LAST]).to_pylist()]
    of_model = shop.run("lineage", "--model", str(versions[0])).stdout
    assert f"version {versions[0]}: " in of_model
    assert "reports.candidates" in of_model
    refused = shop.run("lineage", "clean.nothing", "--ds", LAST, check=False)
    assert refused.returncode == 2
    assert "examples.examples" in refused.stderr


def test_a_version_names_the_tables_that_it_was_made_of(shop: Shop) -> None:
    with sqlite3.connect(shop.home / "mlflow.db") as database:
        tags = database.execute(
            "select version, value from model_version_tags where key = 'table_versions'"
        ).fetchall()
    assert {version for version, _ in tags} == {
        registered[1] for registered in shop.registered() if registered[0] == "dayfold-simulated"
    }
    for _, value in tags:
        named = json.loads(value)
        assert {"examples.examples", "encoded.vocabularies", "reports.candidates"} <= set(named)
        days = shop.lake.days(EXAMPLES)
        assert shop.lake.read(EXAMPLES, days, ["ds"], named["examples.examples"]).num_rows
    upkeep = shop.run("upkeep", "--dry-run").stdout
    assert "examples.examples" in upkeep


def test_the_report_opens_without_network(shop: Shop) -> None:
    out = shop.home / "report.html"
    shop.run("report", "--out", str(out))
    page = out.read_text()
    assert page.count("data:image/png;base64,") == 5
    assert "http://" not in page
    assert "https://" not in page


def _lines(path: Any) -> list[bytes]:
    lines = gzip.decompress(path.read_bytes()).split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines
