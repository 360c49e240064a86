"""What serves: picked by weight, loaded again while it serves, told apart by version."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.training.light.released import put
from training.light.__main__ import main
from training.light.known import FormatError
from training.light.release import RELEASE, Release

USERS = [f"user {number}" for number in range(2_000)]


def versions(release: Release, users: list[str | None]) -> list[str]:
    return [release.serving.chosen(user).version for user in users]


def test_a_user_gets_the_same_version_in_every_process(released: Path) -> None:
    put(released, {"a": 3.0, "b": 1.0})
    first, second = versions(Release(released), USERS), versions(Release(released), USERS)
    assert first == second
    assert Counter(first)["b"] / len(USERS) == pytest.approx(0.25, abs=0.04)


def test_more_weight_moves_users_to_a_version_and_none_away(released: Path) -> None:
    put(released, {"a": 0.9, "b": 0.1})
    before = versions(Release(released), USERS)
    put(released, {"a": 0.5, "b": 0.5})
    after = versions(Release(released), USERS)
    assert all(now == "b" for then, now in zip(before, after, strict=True) if then == "b")
    assert Counter(after)["b"] > Counter(before)["b"]


def test_a_random_pick_draws_for_each_request(released: Path) -> None:
    put(released, {"a": 1.0, "b": 1.0}, pick="random")
    drawn = Counter(versions(Release(released), [USERS[0]] * 2_000))
    assert drawn["a"] / 2_000 == pytest.approx(0.5, abs=0.06)


def test_a_version_alone_is_a_release(composite: Path) -> None:
    release = Release(composite / "light")
    assert release.recommend({"top_n": 1})[0]["version"] == release.serving.etag
    assert not release.refresh()


def test_a_release_without_weight_is_refused(released: Path) -> None:
    put(released, {"a": 0.0})
    with pytest.raises(FormatError, match="names no version with a weight above 0"):
        Release(released)


def test_a_release_that_cannot_be_read_keeps_what_serves(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release, stop = Release(released), threading.Event()
    put(released, {"gone": 1.0}, etag="2")
    (released / "gone" / "data").mkdir(parents=True)
    for file in (released / "a" / "data").iterdir():
        (released / "gone" / "data" / file.name).write_bytes(file.read_bytes())
    (released / "gone" / "data" / "items.npz").write_bytes(b"PK half of a file")
    watcher = threading.Thread(target=release.watch, args=(0.01, stop))
    watcher.start()
    threading.Event().wait(0.1)
    stop.set()
    watcher.join()
    assert release.recommend({"top_n": 1})[0]["version"] == "a"
    assert "The release was not read again: " in capsys.readouterr().out


def test_the_command_names_what_it_cannot_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "holds no about.json" in capsys.readouterr().err


def test_a_port_in_use_is_named(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        assert main([str(released), f"--port={port}"]) == 2
    said = capsys.readouterr().err
    assert (
        f"cannot listen on 127.0.0.1:{port}: Address already in use. Next: another --port" in said
    )


def test_a_log_that_cannot_be_written_is_named(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "none" / "answers.jsonl"
    assert main([str(released), "--port=0", f"--log={log}"]) == 2
    assert f"--log {log}: No such file or directory. Next: a file that" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["99999", "-1", "x"])
def test_a_port_that_is_none_is_named(
    released: Path, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(released), f"--port={port}"])
    assert ended.value.code == 2
    assert f"'{port}', expected a whole number 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("poll", ["0", "-1", "nan", "inf", "1e9", "x", ""])
def test_a_pause_between_looks_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], poll: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), f"--poll={poll}"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"argument --poll: {poll!r}, expected seconds, 0.1 to 86,400; without it" in said


ONE = {"folder": "a", "version": "a", "weight": 1.0}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        "[]",
        "3",
        json.dumps({"etag": "1", "pick": "sticky"}),
        json.dumps({"etag": "1", "pick": "sticky", "versions": [{**ONE, "weight": "x"}]}),
        json.dumps({"etag": "1", "pick": "sticky", "versions": [{**ONE, "folder": 3}]}),
        json.dumps({"etag": None, "pick": "sticky", "versions": [ONE]}),
    ],
)
def test_a_file_that_is_no_release_is_named(
    released: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (released / RELEASE).write_text(content)
    assert main([str(released)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"dayfold_light: {released / RELEASE} is no release (")
    assert "expected etag, pick and versions" in said


@pytest.mark.parametrize("file", ["users.npz", "items.npz", "vectors.npz", "users.json"])
def test_a_damaged_version_is_named(
    released: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    path = released / "a" / "data" / file
    path.write_bytes(path.read_bytes()[:200])
    assert main([str(released)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"dayfold_light: {path.parent} cannot be read (")
    assert "expected a version's whole folder. Next: " in said


@pytest.mark.parametrize("file", ["ranker.onnx", "user_tower.onnx"])
@pytest.mark.parametrize("left", [0, 200, -200], ids=["nothing", "a beginning", "an end less"])
def test_a_damaged_graph_is_named(
    released: Path, capsys: pytest.CaptureFixture[str], file: str, left: int
) -> None:
    path = released / "a" / "data" / file
    path.write_bytes(path.read_bytes()[:left])
    assert main([str(released), "--engine=onnxruntime"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"dayfold_light: {path} cannot be loaded (")
    assert "expected a graph that ONNX Runtime reads. Next: copy the version's folder" in said


def test_a_graph_that_is_not_there_is_named(released: Path) -> None:
    path = released / "a" / "data" / "ranker.onnx"
    path.unlink()
    with pytest.raises(FormatError, match=f"{path} cannot be loaded "):
        Release(released, "onnxruntime")


@pytest.mark.parametrize("key", ["", "ab", "ab" * 31, "ab" * 33, "x" * 64])
def test_a_key_file_without_a_whole_key_is_refused(
    released: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    (released / "key").write_text(key)
    assert main([str(released), "--key-file", str(released / "key")]) == 2
    said = capsys.readouterr().err
    assert f"{released / 'key'} holds no key of user ids, expected 64 hex digits. Next: " in said
