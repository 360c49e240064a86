"""open_day: complete, and in order."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from conf.errors import OrderError, SourceError
from dayfold.launch import may_begin
from feature_store.days import shift
from feature_store.ledger import close_day, closed_days, reopen_days
from feature_store.raw_files import fingerprints
from feature_store.raw_zone import RawZone
from feature_store.tables import INTAKE, RAW_FILES, STEP_RUNS, VOCABULARIES
from tests.feature_store.one_row import put
from tests.pipelines.workbench import MONDAY, Workbench, dataset, event

TUESDAY, WEDNESDAY = shift(MONDAY, 1), shift(MONDAY, 2)


@pytest.fixture
def shop(tmp_path: Path) -> Workbench:
    made = Workbench(tmp_path, dataset())
    made.write(MONDAY, [event(f"{MONDAY} 10:00", "u", "i")])
    return made


def test_a_complete_day_may_run(shop: Workbench) -> None:
    assert shop.run("open_day", MONDAY).summary == "1 day(s) complete, 1 event file(s)"


def test_a_stream_that_was_not_delivered_is_named(shop: Workbench) -> None:
    shop.folder("profiles", MONDAY).joinpath("part-0.jsonl").unlink()
    assert "WARNING" not in shop.run("open_day", MONDAY).said
    shutil.rmtree(shop.folder("profiles", MONDAY))
    said = shop.run("open_day", MONDAY).said
    assert f"WARNING {MONDAY}: no folder of profiles: taken as empty" in said


def test_a_day_without_its_mark_may_not_run(shop: Workbench) -> None:
    with pytest.raises(OrderError, match=r"expected .*_SUCCESS") as raised:
        shop.run("open_day", TUESDAY)
    assert TUESDAY in str(raised.value)


def test_of_several_days_each_must_be_complete(shop: Workbench) -> None:
    with pytest.raises(OrderError, match=f"the first is {TUESDAY}"):
        shop.run("open_day", MONDAY, TUESDAY)


def test_an_open_day_before_stops_the_next(shop: Workbench) -> None:
    shop.write(TUESDAY)
    with pytest.raises(OrderError, match=f"the first is {MONDAY}"):
        shop.run("open_day", TUESDAY)
    close_day(shop.lake, MONDAY, "published", "done", {"step": "publish", "ds": MONDAY})
    shop.run("open_day", TUESDAY)


def test_a_closed_day_may_run_again_and_is_open_until_it_is_published(shop: Workbench) -> None:
    shop.write(TUESDAY)
    close_day(shop.lake, MONDAY, "published", "done", {"step": "publish", "ds": MONDAY})
    shop.run("open_day", MONDAY)
    with pytest.raises(OrderError, match=f"the first is {MONDAY}"):
        shop.run("open_day", TUESDAY)


@pytest.mark.spark
def test_a_file_that_changes_after_it_was_read_is_noticed(shop: Workbench) -> None:
    first = event(f"{MONDAY} 10:00", "u", "i")
    shop.write(MONDAY, [first], name="part-1.jsonl")
    shop.run("clean_events", MONDAY)
    close_day(shop.lake, MONDAY, "published", "done", {"step": "publish", "ds": MONDAY})
    shop.write(TUESDAY)
    assert "WARNING" not in shop.run("open_day", TUESDAY).said
    folder = shop.folder("events", MONDAY)
    before = (folder / "part-0.jsonl").stat().st_size
    with (folder / "part-0.jsonl").open("ab") as file:
        file.write(b"{}\n")
    (folder / "part-1.jsonl").unlink()
    (folder / "part-2.jsonl").write_bytes(b"{}\n")
    said = shop.run("open_day", TUESDAY).said
    assert f"WARNING {TUESDAY}: 3 raw file(s)" in said
    assert f"events/ds={MONDAY}/part-0.jsonl had {before} bytes and has {before + 3}" in said
    assert f"events/ds={MONDAY}/part-1.jsonl is gone" in said
    assert f"events/ds={MONDAY}/part-2.jsonl is new" in said
    assert "`dayfold run --from D --to D --cascade`" in said
    # Read again, the day is as it is.
    with pytest.raises(OrderError, match="one step alone does not take them in"):
        shop.run("clean_events", MONDAY)
    shop.run("open_day", MONDAY)
    shop.run("clean_events", MONDAY)
    close_day(shop.lake, MONDAY, "published", "done", {"step": "publish", "ds": MONDAY})
    assert "WARNING" not in shop.run("open_day", TUESDAY).said


def test_the_files_of_a_day_are_known_by_their_hashes(shop: Workbench) -> None:
    content = (shop.folder("events", MONDAY) / "part-0.jsonl").read_bytes()
    rows = fingerprints(RawZone(shop.root / "raw"), MONDAY).to_pylist()
    events = [row for row in rows if row["stream"] == "events"]
    fields = dict(events[0].pop("fields"))
    assert (fields["user_id"], fields["event_timestamp"]) == ("text", "text")
    assert events == [
        {
            "stream": "events",
            "file": "part-0.jsonl",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    ]


def test_a_day_is_waited_for_only_while_somebody_seems_to_write_it(shop: Workbench) -> None:
    raw = str(shop.root / "raw")
    assert may_begin(raw, MONDAY)
    # The day after a complete one is expected; the one after that, not yet.
    assert not may_begin(raw, TUESDAY)
    assert may_begin(raw, shift(MONDAY, 2))
    shop.folder("events", shift(MONDAY, 2))
    assert not may_begin(raw, shift(MONDAY, 2))


def test_without_a_raw_zone_the_message_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="dayfold simulate"):
        Workbench(tmp_path, dataset()).run("open_day", MONDAY)


def test_files_under_other_names_are_told(shop: Workbench) -> None:
    shop.write(MONDAY, [event(f"{MONDAY} 10:00", "a", "x")], name="events-0.jsonl")
    (shop.folder("events", MONDAY) / ".being-written.jsonl").touch()
    said = shop.run("open_day", MONDAY).said
    names = "profiles/events-0.jsonl, items"
    assert f"WARNING {MONDAY}: 3 file(s) are not read: events/events-0.jsonl, {names}" in said


def published(shop: Workbench, ds: str) -> None:
    """`ds` as a run leaves it, as far as open_day looks."""
    lineage = {"step": "publish", "ds": ds}
    put(shop.lake, INTAKE, {"ds": ds}, stream="events", outcome="read", rows=1)
    files = fingerprints(RawZone(shop.root / "raw"), ds)
    shop.lake.replace(RAW_FILES, {"ds": ds}, files, lineage)
    close_day(shop.lake, ds, "published", "done", lineage)


def test_a_day_that_comes_after_later_ones_were_built_is_refused(shop: Workbench) -> None:
    published(shop, MONDAY)
    shop.write(WEDNESDAY, [event(f"{WEDNESDAY} 10:00", "u", "i")])
    published(shop, WEDNESDAY)
    shop.write(TUESDAY, [event(f"{TUESDAY} 10:00", "u", "i")])
    way_on = f"Next: `dayfold run --from {TUESDAY} --to {TUESDAY} --cascade`"
    with pytest.raises(OrderError, match=f"not there when 1 later day.*{way_on}"):
        shop.run("open_day", TUESDAY)
    close_day(shop.lake, TUESDAY, "waived", "", {}, {})
    with pytest.raises(OrderError, match=f"was waived when 1 later.*{way_on}"):
        shop.run("open_day", TUESDAY)
    reopen_days(shop.lake, [TUESDAY, WEDNESDAY], {})
    shop.run("open_day", TUESDAY)


def test_other_raw_files_of_a_day_that_later_ones_were_built_on_are_refused(
    shop: Workbench,
) -> None:
    for ds in (TUESDAY, WEDNESDAY):
        shop.write(ds, [event(f"{ds} 10:00", "u", "i")])
        published(shop, ds)
    published(shop, MONDAY)
    shop.run("open_day", MONDAY)  # the same files
    published(shop, MONDAY)
    part = shop.folder("events", MONDAY) / "part-0.jsonl"
    content = part.read_bytes()
    part.write_bytes(content.replace(b"10:00", b"11:00"))
    with pytest.raises(OrderError, match=f"{TUESDAY} to {WEDNESDAY},.*part-0.jsonl has another"):
        shop.run("open_day", MONDAY)
    assert MONDAY in closed_days(shop.lake)
    part.write_bytes(content)
    shop.run("open_day", MONDAY)
    part.write_bytes(content.replace(b"10:00", b"11:00"))
    with pytest.raises(OrderError, match="another content"):
        shop.run("clean_events", MONDAY)  # they changed after open_day looked


def test_a_day_of_the_history_is_not_run_by_itself(shop: Workbench) -> None:
    shop.write(TUESDAY)
    for ds in (MONDAY, TUESDAY):
        close_day(shop.lake, ds, "history", "", {}, {})
    command = f"dayfold run --history-from {MONDAY} --from {WEDNESDAY} --to {WEDNESDAY}"
    with pytest.raises(OrderError, match=f"is history.*`dayfold day reopen {TUESDAY}`.*{command}"):
        shop.run("open_day", TUESDAY)


def test_later_days_that_are_open_begin_anew(shop: Workbench) -> None:
    put(shop.lake, STEP_RUNS, {"ds": TUESDAY, "step": "encode_profiles"}, table_versions="{}")
    word = {"field": "item_id", "value": "i", "id": 2, "born_on": TUESDAY}
    put(shop.lake, VOCABULARIES, {"ds": TUESDAY}, **word)
    shop.run("open_day", MONDAY)
    assert shop.lake.days(STEP_RUNS) == shop.lake.days(VOCABULARIES) == []
