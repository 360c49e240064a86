from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.sources.raw_zone import STREAMS, begin_day, is_complete, write_day

DS = "2026-01-31"
LINES = [b'{"n":%d}' % n for n in range(25)]
DIES_IN_THE_MIDDLE = """
import sys, time
from pathlib import Path
from pipelines.sources.raw_zone import write_day

def lines():
    for n in range(17):
        yield b'{"n":%d}' % n
    print("in the middle", flush=True)
    time.sleep(600)

write_day(Path(sys.argv[1]), "events", "2026-01-31", lines(), rows_per_file=10)
"""


def _content(part: Path) -> list[bytes]:
    return gzip.decompress(part.read_bytes()).splitlines()


def test_a_big_day_has_several_files_and_all_rows_in_order(tmp_path: Path) -> None:
    assert write_day(tmp_path, "events", DS, LINES, rows_per_file=10) == 25
    parts = sorted((tmp_path / "events" / f"ds={DS}").glob("part-*"))
    assert [part.name for part in parts] == [f"part-0000{n}.jsonl.gz" for n in range(3)]
    assert [len(_content(part)) for part in parts] == [10, 10, 5]
    assert [line for part in parts for line in _content(part)] == LINES


def test_a_day_without_rows_is_complete_and_has_no_file(tmp_path: Path) -> None:
    assert write_day(tmp_path, "items", DS, []) == 0
    assert [path.name for path in (tmp_path / "items" / f"ds={DS}").iterdir()] == ["_SUCCESS"]


def test_the_bytes_depend_on_the_lines_alone(
    tmp_path: Path, tree_of: Callable[[Path], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_day(tmp_path / "one", "events", DS, LINES)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    write_day(tmp_path / "two", "events", DS, LINES)
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")


def test_a_smaller_second_run_leaves_nothing_of_the_first(
    tmp_path: Path, tree_of: Callable[[Path], dict[str, bytes]]
) -> None:
    write_day(tmp_path / "twice", "events", DS, LINES, rows_per_file=5)
    write_day(tmp_path / "twice", "events", DS, LINES[:7], rows_per_file=5)
    write_day(tmp_path / "once", "events", DS, LINES[:7], rows_per_file=5)
    assert tree_of(tmp_path / "twice") == tree_of(tmp_path / "once")


def test_a_source_that_fails_leaves_the_day_incomplete(tmp_path: Path) -> None:
    write_day(tmp_path, "events", DS, LINES)

    def broken() -> object:
        yield b"{}"
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="disk"):
        write_day(tmp_path, "events", DS, broken())  # type: ignore[arg-type]
    assert not is_complete(tmp_path, "events", DS)


def test_a_day_written_again_is_not_complete_until_its_events_are(tmp_path: Path) -> None:
    for stream in STREAMS:
        write_day(tmp_path, stream, DS, LINES)
    begin_day(tmp_path, DS)
    for stream in STREAMS:
        assert not is_complete(tmp_path, "events", DS)
        write_day(tmp_path, stream, DS, LINES)
    assert is_complete(tmp_path, "events", DS)


def test_a_killed_writer_leaves_no_half_file_and_the_next_run_repairs_the_day(
    tmp_path: Path, tree_of: Callable[[Path], dict[str, bytes]]
) -> None:
    raw = tmp_path / "killed"
    write_day(raw, "events", DS, [b'{"old":1}'] * 50, rows_per_file=10)
    with subprocess.Popen(
        [sys.executable, "-c", DIES_IN_THE_MIDDLE, str(raw)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"in the middle\n"
        writer.kill()
    folder = raw / "events" / f"ds={DS}"
    assert not is_complete(raw, "events", DS)
    assert _content(folder / "part-00000.jsonl.gz") == LINES[:10]
    assert _content(folder / "part-00001.jsonl.gz") == [b'{"old":1}'] * 10
    assert any(path.name.startswith(".part-00001") for path in folder.iterdir())

    write_day(raw, "events", DS, LINES, rows_per_file=10)
    write_day(tmp_path / "unharmed", "events", DS, LINES, rows_per_file=10)
    assert tree_of(raw) == tree_of(tmp_path / "unharmed")
