"""A release folder as tests write it, and its server as they ask it."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from training.light.release import RELEASE
from training.light.server import Server


def put(root: Path, weights: dict[str, float], pick: str = "sticky", etag: str = "1") -> None:
    """Write a release of folders that are there."""
    versions = [{"folder": name, "version": name, "weight": w} for name, w in weights.items()]
    content = {"etag": etag, "pick": pick, "versions": versions}
    fresh = root / "fresh"
    fresh.write_text(json.dumps(content))
    fresh.replace(root / RELEASE)


def ask(server: Server, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    raw = body if isinstance(body, bytes | None) else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, raw)
    answer = connection.getresponse()
    content = json.loads(answer.read() or "null")
    connection.close()
    return answer.status, content
