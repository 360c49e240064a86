"""A small HTTP server for a release: JSON in, JSON out, no more than the standard library.

POST /recommend   a request -> {"request_id", "version", "items": [...]}; 400 names the field
GET  /release     what serves, with an ETag: If-None-Match answers 304
GET  /health      {"version": ...}
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TextIO

from .release import Release
from .request import RequestError, text_of

_MOST_BYTES = 4 << 20
_MOST_DIGITS = 9
_PSEUDONYM_DIGITS = 32
_KEY_BYTES = 32
_METHODS = "GET, HEAD or POST"
_PATHS = "expected POST /recommend, GET /release or GET /health"
_MOST_DRAINED = 64 << 20
_DRAIN_SECONDS = 5.0


@dataclass
class Service:
    """What the handlers share."""

    release: Release
    key: bytes | None = None
    """With it, user ids of requests are raw ids, and replaced by pseudonyms at once."""
    log: TextIO | None = None
    """One JSON line per answer: what the next day's metrics tell versions apart by."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Of the log."""
    turn: threading.Lock = field(default_factory=threading.Lock)
    """One request is answered at a time: threads that compute at once only hinder each other."""

    def answer(self, request: Any) -> dict[str, Any]:
        """The answer to one request.

        Raises:
            RequestError: a field is wrong.
        """
        given = request.get("user_id") if isinstance(request, dict) else None
        if self.key is not None and given is not None:
            # checked first: what is refused, or trimmed, is so before it becomes a pseudonym
            user = text_of("user_id", given).encode()
            mine = hmac.new(self.key, user, hashlib.sha256).hexdigest()[:_PSEUDONYM_DIGITS]
            request = {**request, "user_id": mine}
        with self.turn:
            picked = self.release.chosen(request)
            items = picked.recommend(request)
        answer = {"request_id": uuid.uuid4().hex, "version": picked.version, "items": items}
        if self.log is not None:
            try:
                self._note(request, answer)
            except OSError as error:  # a full disk costs lines of the log, not answers
                print(f"The answer was not logged: {error}", flush=True)
        return answer

    def _note(self, request: Any, answer: dict[str, Any]) -> None:
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "request_id": answer["request_id"],
            "user_id": request.get("user_id") if isinstance(request, dict) else None,
            "version": answer["version"],
            "items": [entry["item_id"] for entry in answer["items"]],
        }
        with self.lock:
            assert self.log is not None  # noqa: S101
            self.log.write(json.dumps(line) + "\n")
            self.log.flush()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60.0
    """Seconds that a client may keep silent; then its connection, and thread, end."""
    wbufsize = -1
    """Head and body leave in one packet."""
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        """Recommend."""
        if self.path != "/recommend":
            self._refuse(HTTPStatus.NOT_FOUND, f"{self.path}: {_PATHS}")
            return
        length = self.headers.get("Content-Length", "")
        sound = length.isdecimal() and "Transfer-Encoding" not in self.headers
        if not sound or len(length) > _MOST_DIGITS or int(length) > _MOST_BYTES:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if sound else HTTPStatus.BAD_REQUEST
            said = f"Content-Length: {length!r}, expected at most {_MOST_BYTES} bytes of JSON"
            self._refuse(status, said)
            return
        body = self.rfile.read(int(length))
        try:
            request = json.loads(body)
        except (ValueError, RecursionError) as error:
            self._send(HTTPStatus.BAD_REQUEST, {"error": f"request: no JSON ({error})"})
            return
        try:
            answer = self.server.service.answer(request)
        except RequestError as error:
            self._send(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return
        self._send(HTTPStatus.OK, answer)

    def do_GET(self) -> None:
        """Health, or the release."""
        body = self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        if body:
            self.close_connection = True  # it would be taken for the next request
        self._send(*self._state())
        if body:
            self._drain()

    def _state(self) -> tuple[HTTPStatus, Any, str | None]:
        """Status, content and ETag of what is said at `path`."""
        serving = self.server.service.release.serving
        versions = [one.version for one in serving.recommenders]
        if self.path == "/health":
            return HTTPStatus.OK, {"status": "ok", "version": versions}, None
        if self.path == "/release":
            etag = f'"{serving.etag}"'
            known = self.headers.get("If-None-Match", "").split(",")
            # a proxy that compresses makes an etag a weak one, W/"..."
            same = etag in [one.strip().removeprefix("W/") for one in known]
            status = HTTPStatus.NOT_MODIFIED if same else HTTPStatus.OK
            content = {"etag": serving.etag, "pick": serving.pick, "versions": versions}
            return status, None if same else content, etag
        said = {"error": f"{self.path}: {_PATHS}"}
        return HTTPStatus.NOT_FOUND, said, None

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses, in JSON like every other mistake."""
        del explain
        status = HTTPStatus(code)
        if status == HTTPStatus.NOT_IMPLEMENTED:
            message = f"{self.command}: no method here, expected {_METHODS}"
        self._refuse(status, message or status.phrase)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line per request would cost more than the answer."""

    def _refuse(self, status: HTTPStatus, said: str) -> None:
        """Answer a request whose body is not read, and end the connection."""
        # what follows may not be taken for the next request
        self.close_connection = True
        self._send(status, {"error": said})
        self._drain()

    def _drain(self) -> None:
        """Read what still comes, within bounds.

        A socket that is closed before resets the connection, and costs the client the answer.
        """
        until, left = time.monotonic() + _DRAIN_SECONDS, _MOST_DRAINED
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_DRAIN_SECONDS)
            while left > 0 and time.monotonic() < until:
                read = len(self.rfile.read1(1 << 16))
                left = left - read if read else 0

    def _send(self, status: HTTPStatus, content: Any, etag: str | None = None) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        if self.close_connection:
            self.send_header("Connection", "close")
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Serves a release until it is shut down."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        super().__init__(address, Handler)
        self.service = service


def read_key(path: Path) -> bytes:
    """The key of the user ids: 64 hex digits.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(
            f"{path} holds no key of user ids, expected {2 * _KEY_BYTES} hex digits. Next: give "
            "the file of the key that the version's users were named with."
        )
    return key
