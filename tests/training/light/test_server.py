"""The light server: what it answers, logs and refuses, also while the release changes."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conf.pseudonym import pseudonym
from tests.training.light.released import ask, put
from training.light.release import poll
from training.light.server import Server


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
    expected = "expected POST /recommend, GET /release or GET /health"
    assert ask(server, "/elsewhere", {}) == (404, {"error": f"/elsewhere: {expected}"})
    assert ask(server, "/recommend") == (404, {"error": f"/recommend: {expected}"})
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


def raw(server: Server, sent: bytes) -> bytes:
    """All that comes back until the server closes."""
    with socket.create_connection(server.server_address[:2], timeout=5) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_a_connection_that_ends_says_so(served: tuple[Server, Path]) -> None:
    said = raw(served[0], b"POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    assert said.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nConnection: close\r\n" in said


def test_a_client_of_http_1_0_is_answered_and_left(served: tuple[Server, Path]) -> None:
    said = raw(served[0], b"POST /recommend HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
    assert b" 200 OK\r\n" in said
    assert b"\r\nConnection: close\r\n" in said


def test_a_body_that_is_too_large_is_answered_though_it_is_not_taken(
    served: tuple[Server, Path],
) -> None:
    status, answer = ask(served[0], "/recommend", b" " * (24 << 20))
    assert status == 413
    assert answer["error"] == "Content-Length: '25165824', expected at most 4194304 bytes of JSON"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_other_methods_are_refused_in_json(served: tuple[Server, Path], method: str) -> None:
    connection = http.client.HTTPConnection(*served[0].server_address[:2], timeout=10)
    connection.request(method, "/recommend", b"{}")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Type"]) == (501, "application/json")
    expected = f"{method}: no method here, expected GET, HEAD or POST"
    assert json.loads(answer.read()) == {"error": expected}
    assert answer.headers["Connection"] == "close"
    connection.close()


def test_an_answer_without_items_names_the_version_that_was_picked(
    served: tuple[Server, Path],
) -> None:
    server, root = served
    put(root, {"a": 1.0, "b": 1.0}, etag="2")
    server.service.release.refresh()
    named = set()
    for number in range(20):
        asked = {"user_id": f"user {number}", "top_n": 1}
        picked = ask(server, "/recommend", asked)[1]["version"]
        answer = ask(server, "/recommend", {**asked, "candidates": []})[1]
        assert (answer["version"], answer["items"]) == (picked, [])
        named.add(picked)
    assert named == {"a", "b"}
    lines = [json.loads(line) for line in (root / "answers.log").read_text().splitlines()]
    for one, none in zip(lines[::2], lines[1::2], strict=True):
        assert none["version"] == one["version"]


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
