"""A real Redis server for tests: on a free loopback port, ended by whoever started it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

PASSWORD = "hunter2"  # noqa: S105


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URI of a server that asks for a password; skips the test where there is no program."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian, Ubuntu: apt-get install redis-server)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--requirepass", PASSWORD]
    options += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    uri = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    with (folder / "redis.log").open("w") as log:
        process = subprocess.Popen([program, *options], stdout=log, stderr=log)
        try:
            _wait(uri, process)
            yield uri
        finally:
            process.terminate()
            process.wait(10)


def _wait(uri: str, process: subprocess.Popen[bytes]) -> None:
    with redis.Redis.from_url(uri) as client:
        until = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < until:
            try:
                client.ping()
            except redis.ConnectionError:
                time.sleep(0.05)
            else:
                return
    raise RuntimeError("redis-server did not come up")
