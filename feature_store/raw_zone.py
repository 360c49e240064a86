"""The raw zone as a reader sees it: which days are there, complete, and made of which files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from conf.errors import OrderError, SourceError
from conf.fields import STREAMS, Stream
from feature_store.days import shift

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz", ".csv.zst", ".parquet")
PACKED = (".gz", ".zst")
"""Suffixes of files that one task reads as a whole."""
_DATA = "part-"
"""How the names of data files begin."""

REPLAYED = "part-replay-"
"""How the names of files begin in which rejected rows are delivered once more."""


class RawZone:
    """The folder `<raw>/<stream>/ds=<day>/part-*` with `_SUCCESS` when a day is complete."""

    def __init__(self, root: Path) -> None:
        """Look at `root`.

        Raises:
            SourceError: it has no `events` folder.
        """
        if not (root / "events").is_dir():
            raise SourceError(
                f"{root} is not a raw zone: expected the folder {root / 'events'}. "
                f"Next: `dayfold simulate --raw {root} ...` or `dayfold import ... --raw {root}`"
            )
        self.root = root

    def folder(self, stream: Stream, ds: str) -> Path:
        """The folder of one stream's day."""
        return self.root / stream / f"ds={ds}"

    def complete_days(self) -> list[str]:
        """Days whose events are complete, ascending."""
        marks = (self.root / "events").glob("ds=*/_SUCCESS")
        return sorted(mark.parent.name.removeprefix("ds=") for mark in marks)

    def is_complete(self, ds: str) -> bool:
        """Whether the events of `ds` are complete."""
        return (self.folder("events", ds) / "_SUCCESS").exists()

    def require_complete(self, days: Sequence[str]) -> None:
        """Pass if the events of all `days` are complete.

        Raises:
            OrderError: those of one are not.
        """
        incomplete = [ds for ds in days if not self.is_complete(ds)]
        if incomplete:
            mark = self.folder("events", incomplete[0]) / "_SUCCESS"
            raise OrderError(
                f"{days[0]} cannot run: the raw events of {len(incomplete)} day(s) are not "
                f"complete, the first is {incomplete[0]}: expected {mark}. Next: write the files "
                f"of its folders {', '.join(STREAMS)}, then `touch {mark}`; for a day without "
                f"files `mkdir -p {mark.parent}` comes first. A day that will never come: "
                f'`dayfold day waive {incomplete[0]} --reason "..."`.'
            )

    def missing_folders(self, ds: str) -> list[str]:
        """The streams of a complete day that were not delivered, not even as an empty folder."""
        return [stream for stream in STREAMS if not self.folder(stream, ds).is_dir()]

    def is_expected(self, ds: str) -> bool:
        """Whether somebody seems to be writing `ds`: it was begun, or the day before is there."""
        return self.folder("events", ds).is_dir() or self.is_complete(shift(ds, -1))

    def files(self, stream: Stream, ds: str) -> list[Path]:
        """The data files of one stream's day, sorted.

        Raises:
            SourceError: a `part-*` file has a suffix that is not read.
        """
        files = sorted(self.folder(stream, ds).glob(f"{_DATA}*"))
        for file in files:
            if not file.name.endswith(SUFFIXES):
                raise SourceError(f"{file}: expected one of the suffixes {', '.join(SUFFIXES)}.")
        return files

    def unread(self, ds: str) -> list[str]:
        """Files of a day that are left alone, as <stream>/<name>; dot-names and marks apart."""
        return [
            f"{stream}/{path.name}"
            for stream in STREAMS
            for path in sorted(self.folder(stream, ds).glob("[!._]*"))
            if not path.name.startswith(_DATA)
        ]
