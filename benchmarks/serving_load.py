"""Servers on loopback, and the load that `wrk` puts on them."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving_environment import Environment

_WAIT_SECONDS = 120.0
_RELOAD_CONNECTIONS = 4
_LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{body}]==]
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function done(summary, latency, requests)
  local e = summary.errors
  print(string.format("RESULT %d %d %d %d %d %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status,
    e.connect + e.read + e.write + e.timeout))
end
"""
_RESULT = re.compile(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)")


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    url: str
    cold_start_seconds: float
    """From the start of the process to its first answer."""


@contextlib.contextmanager
def light_server(environment: Environment, model: Path) -> Iterator[Server]:
    """`python -m dayfold_light` with the version in `model`."""
    light = model / "data" / "composite" / "light"
    with _served(environment, [str(light)], light) as server:
        yield server


@contextlib.contextmanager
def _served(environment: Environment, arguments: list[str], code: Path) -> Iterator[Server]:
    port = _free_port()
    command = [str(environment.python), "-m", "dayfold_light", *arguments, "--port", str(port)]
    with _running(command, {**environment.variables, "PYTHONPATH": str(code)}) as begun:
        url = f"http://127.0.0.1:{port}"
        _first_answer(f"{url}/recommend", {"top_n": 1})
        yield Server(f"{url}/recommend", time.monotonic() - begun)


@contextlib.contextmanager
def full_server(environment: Environment, model: Path) -> Iterator[Server]:
    """`mlflow models serve` with the version in `model`, in its environment as it is."""
    port = _free_port()
    command = [str(environment.python), "-m", "mlflow", "models", "serve", "-m", str(model)]
    command += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port), "-w", "1"]
    # the server starts uvicorn by its name
    path = f"{environment.python.parent}:{environment.variables['PATH']}"
    with _running(command, {**environment.variables, "PATH": path}) as begun:
        url = f"http://127.0.0.1:{port}/invocations"
        _first_answer(url, {"dataframe_records": [{"top_n": 1}]})
        yield Server(url, time.monotonic() - begun)


def load_of(url: str, body: dict[str, Any], connections: int, seconds: float) -> dict[str, float]:
    """What `wrk` measures when so many connections ask one after the other.

    Raises:
        RuntimeError: a request failed.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_LUA.format(body=json.dumps(body)))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        run = subprocess.run(  # noqa: S603
            [*command, "-s", script.name, url], capture_output=True, text=True, check=True
        )
    found = _RESULT.search(run.stdout)
    if found is None:
        raise RuntimeError(run.stdout)
    requests, microseconds, p50, p99, status, broken = map(int, found.groups())
    if status or broken:
        raise RuntimeError(f"{status} answers other than 200 and {broken} broken: {run.stdout}")
    rate = requests / microseconds * 1e6
    return {"requests": requests, "requests_per_s": rate, "p50_ms": p50 / 1e3, "p99_ms": p99 / 1e3}


def reload_under_load(environment: Environment, model: Path, folder: Path) -> dict[str, float]:
    """Change the release while four connections ask: failed requests, and changes of version."""
    root, log = folder / "release", folder / "answers.log"
    light = model / "data" / "composite" / "light"
    for name in ("first", "second"):
        shutil.copytree(light, root / name)
        about = root / name / "data" / "about.json"
        about.write_text(json.dumps({**json.loads(about.read_text()), "version": name}))
    _release(root, "first")
    served = _served(environment, [str(root), "--log", str(log), "--poll", "0.2"], light)
    with served as server, tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_LUA.format(body='{"user_id": "user-7"}'))
        script.flush()
        command = ["wrk", "-t1", f"-c{_RELOAD_CONNECTIONS}", "-d6s", "-s", script.name, server.url]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        time.sleep(2)
        _release(root, "second")
        said = _RESULT.search(load.communicate()[0])
    if said is None:
        raise RuntimeError("wrk said nothing")
    versions = [json.loads(line)["version"] for line in log.read_text().splitlines()]
    # answers that were begun with the old version are written after the first of the new one
    switch = versions.index("second")
    late = versions[switch:].count("first")
    return {
        "requests": int(said[1]),
        "failed": int(said[5]) + int(said[6]),
        "changes": 1 if late <= _RELOAD_CONNECTIONS else late,
        "answers_of_the_old_version_after_the_first_of_the_new": late,
        "p99_ms": int(said[4]) / 1e3,
    }


def _release(root: Path, name: str) -> None:
    versions = [{"folder": name, "version": name, "weight": 1.0}]
    fresh = root / "fresh"
    fresh.write_text(json.dumps({"etag": name, "pick": "sticky", "versions": versions}))
    fresh.replace(root / "release.json")


@contextlib.contextmanager
def _running(command: list[str], variables: dict[str, str]) -> Iterator[float]:
    """The process while it runs, and when it was started; it and its children end with it."""
    with tempfile.TemporaryFile("w+") as said:
        begun = time.monotonic()
        process = subprocess.Popen(  # noqa: S603
            command, env=variables, stdout=said, stderr=said, start_new_session=True
        )
        try:
            yield begun
        except Exception:
            said.seek(0)
            print(said.read()[-3000:], flush=True)
            raise
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _first_answer(url: str, body: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10):  # noqa: S310
                return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
