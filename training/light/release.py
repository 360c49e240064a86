"""What serves now: a version, or several with weights, read from a folder again when it changes.

    <release>/release.json    {"etag", "pick", "versions": [{"folder", "version", "weight"}, ...]}
    <release>/<folder>/       a version's folder `light`

The file is replaced as a whole and names folders that are complete, so a reader never sees half a
release. A change is seen by its etag.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .known import FormatError
from .recommender import Recommender, load

RELEASE = "release.json"
_TIMEOUT_SECONDS = 10.0
_SHARES = 1 << 64
_NOT_MODIFIED = 304


@dataclass(frozen=True)
class Serving:
    """A release, loaded. Replaced as a whole."""

    etag: str
    pick: str
    """`sticky`: a user always gets the same version; `random`: drawn for each request."""
    recommenders: tuple[Recommender, ...]
    ends: tuple[float, ...]
    """Cumulated shares, the last one 1."""

    def chosen(self, user_id: str | None) -> Recommender:
        """The version for one request; without a user it is drawn."""
        if len(self.recommenders) == 1:
            return self.recommenders[0]
        at = random.random()  # noqa: S311 - a draw, no secret
        if self.pick == "sticky" and user_id:
            at = place_of(user_id)
        return self.recommenders[position_at(at, self.ends)]


class Release:
    """The release in a folder, or one version alone."""

    def __init__(self, folder: str | Path, engine: str | None = None) -> None:
        """Load what serves now.

        Raises:
            FormatError: the folder holds neither a release nor a version.
        """
        self._folder, self._engine = Path(folder), engine
        self._loaded: dict[str, Recommender] = {}
        self._lock = threading.Lock()
        self.serving = self._read()

    def chosen(self, request: Any) -> Recommender:
        """The version that a request falls to, of what serves now."""
        user_id = request.get("user_id") if isinstance(request, dict) else None
        known = isinstance(user_id, str | int) and not isinstance(user_id, bool)
        return self.serving.chosen(str(user_id).strip() if known else None)

    def recommend(self, request: Any) -> list[dict[str, Any]]:
        """As `Recommender.recommend`, of the version that the request falls to."""
        return self.chosen(request).recommend(request)

    def names(self) -> str:
        """The versions that serve, in words."""
        return ", ".join(one.version for one in self.serving.recommenders)

    def refresh(self) -> bool:
        """Load the release again if it changed; whether it did. Requests go on meanwhile."""
        with self._lock:
            path = self._folder / RELEASE
            if not path.exists() or read_release(path)["etag"] == self.serving.etag:
                return False
            self.serving = self._read()
            return True

    def watch(self, seconds: float, stop: threading.Event) -> None:
        """Refresh every so many seconds until `stop` is set; what fails keeps what serves."""
        while not stop.wait(seconds):
            try:
                if self.refresh():
                    print(f"Serving {self.names()} from now on", flush=True)
            except Exception as error:  # whatever lies there, what serves goes on
                print(f"The release was not read again: {error!r}", flush=True)

    def _read(self) -> Serving:
        path = self._folder / RELEASE
        if not path.exists():
            alone = load(self._folder, self._engine)
            return Serving(alone.version, "sticky", (alone,), (1.0,))
        content = read_release(path)
        wanted = content["versions"]
        self._loaded = {
            one["folder"]: self._loaded.get(one["folder"])
            or load(self._folder / one["folder"], self._engine)
            for one in wanted
        }
        weights = [one["weight"] for one in wanted]
        recommenders = tuple(self._loaded.values())
        return Serving(content["etag"], content["pick"], recommenders, ends_of(weights))


def ends_of(weights: Sequence[float]) -> tuple[float, ...]:
    """Where each share of [0, 1) ends; the last one at 1."""
    total, sofar, ends = sum(weights), 0.0, []
    for weight in weights:
        sofar += weight / total
        ends.append(sofar)
    return (*ends[:-1], 1.0)


def position_at(place: float, ends: Sequence[float]) -> int:
    """Which share a place in [0, 1) falls to."""
    return min(sum(end <= place for end in ends), len(ends) - 1)


def place_of(user_id: str) -> float:
    """Where a user stands in [0, 1): the same in every process and for good."""
    digest = hashlib.sha256(f"dayfold pool {user_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _SHARES


def poll(url: str, etag: str | None) -> tuple[str, dict[str, Any]] | None:
    """Ask a server's `/release` whether something changed: (etag, release), or None.

    Raises:
        OSError: nobody answers.
    """
    request = urllib.request.Request(url)  # noqa: S310 - the caller's own server
    if etag:
        request.add_header("If-None-Match", f'"{etag}"')
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return answer.headers["ETag"].strip('"'), json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == _NOT_MODIFIED:
            return None
        raise


def read_release(path: Path) -> dict[str, Any]:
    """What the file of a release says.

    Raises:
        FormatError: it is no release.
    """
    try:
        content = json.loads(path.read_text())
        fields = [content["etag"], content["pick"]]
        for one in content["versions"]:
            fields += [one["folder"], one["version"]]
        weight = sum(one["weight"] for one in content["versions"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _no_release(path, repr(error)) from error
    if not all(isinstance(field, str) for field in fields):
        raise _no_release(path, "a field is no text")
    if not weight > 0:
        raise FormatError(f"{path} names no version with a weight above 0.")
    return dict(content)


def _no_release(path: Path, why: str) -> FormatError:
    return FormatError(
        f"{path} is no release ({why}), expected etag, pick and versions, each with folder, "
        "version and weight. Next: copy the release folder again."
    )
