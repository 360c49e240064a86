"""A small HTTP server for a release: JSON in, JSON out, no more than the standard library.

POST /recommend   a request -> {"request_id", "version", "items": [...]}; 400 names the field
GET  /release     what serves, with an ETag: If-None-Match answers 304
GET  /health      {"version": ...}
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
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
            items = self.release.recommend(request)
        version = items[0]["version"] if items else self.release.serving.recommenders[0].version
        answer = {"request_id": uuid.uuid4().hex, "version": version, "items": items}
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
        # the body that follows is not read: nothing else may be taken for a request
        self.close_connection = True
        if self.path != "/recommend":
            self._send(HTTPStatus.NOT_FOUND, {"error": f"{self.path}: expected /recommend"})
            return
        length = self.headers.get("Content-Length", "")
        whole = length.isdecimal() and len(length) <= _MOST_DIGITS and int(length) <= _MOST_BYTES
        if not whole or "Transfer-Encoding" in self.headers:
            said = f"Content-Length: {length!r}, expected at most {_MOST_BYTES} bytes of JSON"
            self._send(HTTPStatus.BAD_REQUEST, {"error": said})
            return
        body = self.rfile.read(int(length))
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
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
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body would be taken for the next request
        serving = self.server.service.release.serving
        versions = [one.version for one in serving.recommenders]
        if self.path == "/health":
            self._send(HTTPStatus.OK, {"status": "ok", "version": versions})
        elif self.path == "/release":
            etag = f'"{serving.etag}"'
            known = self.headers.get("If-None-Match", "").split(",")
            # a proxy that compresses makes an etag a weak one, W/"..."
            same = etag in [one.strip().removeprefix("W/") for one in known]
            status = HTTPStatus.NOT_MODIFIED if same else HTTPStatus.OK
            content = {"etag": serving.etag, "pick": serving.pick, "versions": versions}
            self._send(status, None if same else content, etag)
        else:
            self._send(HTTPStatus.NOT_FOUND, {"error": f"{self.path}: expected /release, /health"})

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line per request would cost more than the answer."""

    def _send(self, status: HTTPStatus, content: Any, etag: str | None = None) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
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
        return bytes.fromhex(path.read_text().strip())
    except ValueError as error:
        raise ValueError(f"{path} holds no key, expected 64 hex digits") from error
