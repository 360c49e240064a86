"""What serves: picked by weight, loaded again while it serves, told apart by version."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from conf.pseudonym import pseudonym
from training.light.__main__ import main
from training.light.known import FormatError
from training.light.release import RELEASE, Release, poll
from training.light.server import Server, Service

USERS = [f"user {number}" for number in range(2_000)]


def put(root: Path, weights: dict[str, float], pick: str = "sticky", etag: str = "1") -> None:
    """Write a release of folders that are there."""
    versions = [{"folder": name, "version": name, "weight": w} for name, w in weights.items()]
    content = {"etag": etag, "pick": pick, "versions": versions}
    fresh = root / "fresh"
    fresh.write_text(json.dumps(content))
    fresh.replace(root / RELEASE)


@pytest.fixture
def released(composite: Path, tmp_path: Path) -> Path:
    """A release folder with the same model as versions `a` and `b`; `a` serves."""
    for name in ("a", "b"):
        shutil.copytree(composite / "light", tmp_path / name)
        path = tmp_path / name / "data" / "about.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "version": name}))
    put(tmp_path, {"a": 1.0})
    return tmp_path


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


# ---- the server ----------------------------------------------------------------------------------


@pytest.fixture
def served(released: Path) -> Iterator[tuple[Server, Path]]:
    with (released / "answers.log").open("a") as log:
        service = Service(Release(released), bytes(32), log)
        server = Server(("127.0.0.1", 0), service)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server, released
        server.shutdown()
        server.server_close()
        thread.join()


def ask(server: Server, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    raw = body if isinstance(body, bytes | None) else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, raw)
    answer = connection.getresponse()
    content = json.loads(answer.read() or "null")
    connection.close()
    return answer.status, content


def test_the_server_answers_and_names_mistakes(served: tuple[Server, Path]) -> None:
    server, _ = served
    status, answer = ask(server, "/recommend", {"user_id": "somebody", "top_n": 3})
    assert status == 200
    assert (answer["version"], len(answer["items"]), len(answer["request_id"])) == ("a", 3, 32)
    assert ask(server, "/recommend", {"top_n": "x"}) == (
        400,
        {"error": "top_n: 'x' (text), expected a whole number 1 to 1000"},
    )
    status, answer = ask(server, "/recommend", b"{")
    assert (status, answer["error"][:17]) == (400, "request: no JSON ")
    assert ask(server, "/recommend", b"\xff")[0] == 400
    assert ask(server, "/elsewhere", {})[0] == 404
    assert ask(server, "/health") == (200, {"status": "ok", "version": ["a"]})


def test_the_log_holds_version_and_pseudonym_and_never_a_raw_id(
    served: tuple[Server, Path],
) -> None:
    server, root = served
    answer = ask(server, "/recommend", {"user_id": "anna@example.org", "top_n": 2})[1]
    raw = (root / "answers.log").read_text()
    assert "anna" not in raw
    line = json.loads(raw)
    assert line["user_id"] == pseudonym(bytes(32), "anna@example.org")
    assert line["version"] == answer["version"]
    assert line["request_id"] == answer["request_id"]
    assert line["items"] == [entry["item_id"] for entry in answer["items"]]


@pytest.mark.parametrize("user", [0, 7, " 7 ", "7"])
def test_whatever_names_a_user_is_a_pseudonym_in_the_log(
    served: tuple[Server, Path], user: object
) -> None:
    server, root = served
    assert ask(server, "/recommend", {"user_id": user})[0] == 200
    line = json.loads((root / "answers.log").read_text())
    assert line["user_id"] == pseudonym(bytes(32), str(user).strip())


@pytest.mark.parametrize("user", [True, [1], {"a": "alice"}, 1.5, "\ud800"])
def test_what_is_no_users_id_is_refused_and_not_logged(
    served: tuple[Server, Path], user: object
) -> None:
    server, root = served
    status, answer = ask(server, "/recommend", {"user_id": user})
    assert status == 400
    assert answer["error"].startswith("user_id: ")
    assert not (root / "answers.log").read_text()


def test_no_body_is_taken_for_the_next_request(served: tuple[Server, Path]) -> None:
    server, _ = served
    inner = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner)
    with socket.create_connection(server.server_address[:2], timeout=5) as connection:
        connection.sendall(head + inner)
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert said.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"null", b"[1]", b'"x"', b"{}" * 2], ids=lambda body: str(body[:3])
)
def test_odd_bodies_are_400(served: tuple[Server, Path], body: bytes) -> None:
    assert ask(served[0], "/recommend", body)[0] == 400


def test_a_poll_is_told_only_of_changes(served: tuple[Server, Path]) -> None:
    server, root = served
    host, port = server.server_address[:2]
    url = f"http://{host!s}:{port}/release"
    found = poll(url, None)
    assert found is not None
    etag, content = found
    assert (etag, content["versions"]) == ("1", ["a"])
    assert poll(url, etag) is None
    put(root, {"b": 1.0}, etag="2")
    assert server.service.release.refresh()
    changed = poll(url, etag)
    assert changed is not None
    assert changed[1]["versions"] == ["b"]


@pytest.mark.parametrize(
    ("known", "status"), [('W/"1"', 304), ('"0", "1"', 304), ('"0"', 200), ("1", 200)]
)
def test_weak_etags_and_lists_of_them_are_known(
    served: tuple[Server, Path], known: str, status: int
) -> None:
    connection = http.client.HTTPConnection(*served[0].server_address[:2], timeout=10)
    connection.request("HEAD", "/release", headers={"If-None-Match": known})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["ETag"], answer.read()) == (status, '"1"', b"")
    # the connection goes on: no body was left in it
    connection.request("GET", "/health")
    assert json.loads(connection.getresponse().read())["status"] == "ok"
    connection.close()


def test_a_log_that_cannot_be_written_costs_no_answer(
    served: tuple[Server, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    server, _ = served
    full = Path("/dev/full").open("w")  # noqa: SIM115 - to close it fails, too
    server.service.log = full
    status, answer = ask(server, "/recommend", {"top_n": 2})
    server.service.log = None
    assert (status, len(answer["items"])) == (200, 2)
    assert "The answer was not logged" in capsys.readouterr().out
    with contextlib.suppress(OSError):
        full.close()


def test_a_new_release_under_load_fails_no_request_and_changes_once(
    served: tuple[Server, Path],
) -> None:
    server, root = served
    stop = threading.Event()

    def client(_: int) -> list[tuple[int, str]]:
        connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
        seen = []
        while not stop.is_set():
            connection.request("POST", "/recommend", json.dumps({"top_n": 1}))
            answer = connection.getresponse()
            seen.append((answer.status, json.loads(answer.read())["version"]))
        connection.close()
        return seen

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(client, number) for number in range(4)]
        put(root, {"b": 1.0}, etag="2")
        server.service.release.refresh()
        threading.Event().wait(0.3)
        stop.set()
        answers = [one.result() for one in asked]
    for seen in answers:
        assert {status for status, _ in seen} == {200}
        names = [version for _, version in seen]
        assert names == sorted(names)  # all a, then all b
        assert names[-1] == "b"


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
