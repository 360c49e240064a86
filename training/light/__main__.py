"""python -m dayfold_light FOLDER: serve a version, or a release, on this machine."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
from pathlib import Path
from typing import TextIO

from .engines import ENGINES
from .release import Release
from .server import Server, Service, read_key

_LAST_PORT = 65_535
_SHORTEST, _LONGEST = 0.1, 86_400.0
"""Seconds between looks: without a bound, looking would take a core to itself, or never come."""


def main(arguments: list[str] | None = None, key: bytes | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        arguments: as typed; None = those of this process.
        key: of the user ids, where no --key-file is given. A key itself is never typed: arguments
            are seen by everybody on the machine.
    """
    parser = argparse.ArgumentParser(prog="python -m dayfold_light", description=__doc__)
    parser.add_argument("folder", type=Path, help="a version's folder `light`, or a release")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on [127.0.0.1]")
    parser.add_argument("--port", type=_port, default=8090, help="0 = any free one [8090]")
    parser.add_argument(
        "--engine", choices=sorted(ENGINES), help="[onnxruntime where it is installed, else numpy]"
    )
    parser.add_argument(
        "--key-file", type=Path, help="key of the user ids: requests give raw ids, none is kept"
    )
    parser.add_argument("--log", type=Path, help="file that gets a JSON line per answer")
    parser.add_argument(
        "--poll", type=_seconds, default=2.0, help="seconds between looks for a new release [2]"
    )
    given = parser.parse_args(arguments)
    try:
        release = Release(given.folder, given.engine)
        key = read_key(given.key_file) if given.key_file else key
        log = _opened(given.log) if given.log else None
        server = _listening(given.host, given.port, Service(release, key, log))
    except (OSError, ValueError) as error:
        print(f"dayfold_light: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    watcher = threading.Thread(target=release.watch, args=(given.poll, stop), daemon=True)
    watcher.start()

    def end(*_: object) -> None:
        stop.set()
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    host, port = server.server_address[:2]
    print(
        f"Serving {release.names()} on http://{host!s}:{port}/recommend (Ctrl-C ends)", flush=True
    )
    server.serve_forever(poll_interval=0.1)
    stop.set()
    server.server_close()
    return 0


def _opened(path: Path) -> TextIO:
    """The file, to be written on at its end.

    Raises:
        OSError: it cannot be.
    """
    try:
        return path.open("a")
    except OSError as error:
        raise OSError(
            f"--log {path}: {error.strerror or error}. Next: a file that can be written, in a "
            "folder that is there"
        ) from error


def _listening(host: str, port: int, service: Service) -> Server:
    """A server at the address.

    Raises:
        OSError: it is in use, or none of this machine's.
    """
    try:
        return Server((host, port), service)
    except OSError as error:
        why = error.strerror or error
        raise OSError(
            f"cannot listen on {host}:{port}: {why}. Next: another --port (0 = any free one), or "
            "another --host"
        ) from error


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number 0 to {_LAST_PORT}")
    return port


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not _SHORTEST <= seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected seconds, {_SHORTEST:g} to {_LONGEST:,.0f}; without it a new "
            "release is looked for every 2"
        )
    return seconds


if __name__ == "__main__":
    sys.exit(main())
