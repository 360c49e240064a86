"""What every adapter shares: rows in any order become complete days of the raw zone.

Events are put down in one spill file per day, so memory holds one day and the ids seen so far.
Items and profiles without a time of their own appear on the day of the first event that mentions
them: no day knows an item before it was seen.
"""

from __future__ import annotations

import gzip
import json
import shutil
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from conf.errors import ConfigError, SourceError
from conf.fields import Stream
from feature_store.days import check_range, days_between, shift
from pipelines.sources.field_values import number
from pipelines.sources.losses import Losses
from pipelines.sources.raw_zone import (
    STREAMS,
    ImportSummary,
    begin_day,
    is_complete,
    write_day,
)
from pipelines.sources.timestamps import micros, parse_timestamp

NEVER_IN_AN_EVENT = "never_in_an_event"
BEFORE_THE_RANGE = "before_the_range"
AFTER_THE_RANGE = "after_the_range"

_BUFFERED_ROWS = 200_000
_SPILL_FOLDER = ".spill"
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_line(row: Mapping[str, object]) -> bytes:
    """One raw-zone line."""
    return _ENCODER.encode(row).encode()


@contextmanager
def open_text(folder: Path, name: str, encoding: str, command: str) -> Iterator[IO[str]]:
    """The text file `name`, or `name`.gz, in `folder`.

    Raises:
        SourceError: there is neither, or it cannot be read to its end.
    """
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if path is None:
        found = sorted(p.name for p in folder.iterdir())[:10] if folder.is_dir() else "no folder"
        raise SourceError(
            f"Expected {name} or {name}.gz in {folder}, found {found}. "
            f"Name the folder that holds it: dayfold import {command} --source DIR --raw DIR"
        )
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding=encoding) as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path} is damaged or cut off: {error}. Next: fetch it again, then repeat "
            f"`dayfold import {command}` with the same options."
        ) from error


def check_open_range(first: str | None, last: str | None) -> None:
    """Refuses a range that cannot be read, before anything is; None = an end that is open.

    Raises:
        ConfigError: a day is not YYYY-MM-DD, or they are the wrong way round.
    """
    if first or last:
        check_range(first or str(last), last or str(first))


def _widened(span: tuple[str, str] | None, ds: str) -> tuple[str, str]:
    if span is None:
        return ds, ds
    return span if span[0] <= ds <= span[1] else (min(ds, span[0]), max(ds, span[1]))


class Intake:
    """Collects one import and writes it day by day.

    An entity first mentioned before `first` lands on `first`, unless the raw zone already holds
    the day before: then an earlier import brought it. So a range imported day by day has the
    same bytes as one imported at once, and a range that begins late lacks nothing.
    """

    def __init__(self, raw: Path, first: str | None, last: str | None) -> None:
        check_open_range(first, last)
        self.losses = Losses()
        self._raw = raw
        self._first, self._last = first, last
        self._opening = first is None or not is_complete(raw, "items", shift(first, -1))
        self._mentions: dict[Stream, dict[str, tuple[int, str, str]]] = {
            "items": {},
            "profiles": {},
        }
        self._spill = raw / _SPILL_FOLDER
        self._buffers: dict[tuple[Stream, str], list[bytes]] = defaultdict(list)
        self._buffered = 0
        self._events: tuple[str, str] | None = None
        self._log: tuple[str, str] | None = None

    def __enter__(self) -> Self:
        """Clears what a killed import left."""
        shutil.rmtree(self._spill, ignore_errors=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves nothing but whole days behind."""
        shutil.rmtree(self._spill, ignore_errors=True)

    def event(self, moment: datetime, row: Mapping[str, object]) -> None:
        """Takes one event; `moment` is in the zone in which days begin."""
        ds, order = moment.date().isoformat(), micros(moment)
        self._events = _widened(self._events, ds)
        self.extend_log(ds)
        if self._last is not None and ds > self._last:
            self.losses.drop(f"events_{AFTER_THE_RANGE}")
            return
        self._mention("items", row.get("item_id"), order, moment)
        self._mention("profiles", row.get("user_id"), order, moment)
        if self._first is None or ds >= self._first:
            self._add("events", ds, order, row)
        else:
            self.losses.drop(f"events_{BEFORE_THE_RANGE}")

    def extend_log(self, ds: str) -> None:
        """Notes that the log has a row of the day `ds`, be it an event or left out by its type."""
        self._log = _widened(self._log, ds)

    def rating(self, user: str, item: str, value: str, seconds: str, unreadable: str) -> None:
        """Takes one rating as text, at epoch `seconds` in UTC; skipped as `unreadable` if it is."""
        try:
            moment, rated = parse_timestamp(seconds, "epoch_s", UTC), number(value)
        except ValueError:
            self.losses.drop(unreadable)
            return
        row = {
            "event_timestamp": moment.isoformat(),
            "event_type": "rating",
            "user_id": user,
            "item_id": item,
            "value": rated,
        }
        self.event(moment, row)

    def entity(self, stream: Stream, key: str, row: Mapping[str, object]) -> None:
        """Takes an item or a profile without a time: it lands where an event first mentions it."""
        mention = self._mentions[stream].get(key)
        if mention is None:
            self.losses.drop(f"{stream}_{NEVER_IN_AN_EVENT}")
            return
        order, ds, updated_at = mention
        self._land(stream, ds, order, {**row, "updated_at": updated_at})

    def entity_at(self, stream: Stream, moment: datetime, row: Mapping[str, object]) -> None:
        """Takes an item or a profile with its own time of change."""
        updated = {**row, "updated_at": moment.isoformat()}
        self._land(stream, moment.date().isoformat(), micros(moment), updated)

    def finish(self) -> ImportSummary:
        """Writes every day of the range, empty ones included.

        Raises:
            ConfigError: the range lies before or after the log; or the log has no event and an
                end of the range was left open.
        """
        first, last = self._bounds()
        self._flush()
        rows: Counter[Stream] = Counter()
        days = list(days_between(first, last))
        for ds in days:
            begin_day(self._raw, ds)
            for stream in STREAMS:
                rows[stream] += write_day(self._raw, stream, ds, self._spilled(stream, ds))
        return ImportSummary(
            len(days),
            rows["events"],
            rows["profiles"],
            rows["items"],
            dict(self.losses.dropped),
            dict(self.losses.emptied),
            self.losses.examples,
        )

    def _mention(self, stream: Stream, key: object, order: int, moment: datetime) -> None:
        if not isinstance(key, str) or not key:
            return
        known = self._mentions[stream].get(key)
        if known is None or order < known[0]:
            self._mentions[stream][key] = (order, moment.date().isoformat(), moment.isoformat())

    def _land(self, stream: Stream, ds: str, order: int, row: Mapping[str, object]) -> None:
        first = self._first or (self._events[0] if self._events else ds)
        if self._last is not None and ds > self._last:
            self.losses.drop(f"{stream}_{AFTER_THE_RANGE}")
        elif ds >= first or self._opening:
            self._add(stream, max(ds, first), order, row)

    def _bounds(self) -> tuple[str, str]:
        first = self._first or (self._events[0] if self._events else None)
        last = self._last or (self._events[1] if self._events else None)
        if first is None or last is None:
            raise ConfigError(
                f"Expected at least one event to write to {self._raw}, found none in the files "
                f"(left out: {dict(self.losses.dropped) or 'nothing'}). Correct the files, or "
                "write the empty days that are meant: --from DAY --to DAY"
            )
        begin, end = self._log or (first, last)
        if first > end or last < begin or first > last:
            raise ConfigError(
                f"Expected a range that meets the log, which runs from {begin} to {end}, found "
                f"--from {self._first or '(left out)'} --to {self._last or '(left out)'}; nothing "
                f"was written to {self._raw}. Widen the range: --from {begin} --to {end}"
            )
        return first, last

    def _add(self, stream: Stream, ds: str, order: int, row: Mapping[str, object]) -> None:
        self._buffers[stream, ds].append(b"%d\t%b" % (order, json_line(row)))
        self._buffered += 1
        if self._buffered >= _BUFFERED_ROWS:
            self._flush()

    def _flush(self) -> None:
        for (stream, ds), lines in self._buffers.items():
            path = self._spill / stream / ds
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(b"\n".join(lines) + b"\n")
        self._buffers.clear()
        self._buffered = 0

    def _spilled(self, stream: Stream, ds: str) -> Iterator[bytes]:
        path = self._spill / stream / ds
        if not path.exists():
            return
        keyed = (line.split(b"\t", 1) for line in path.read_bytes().split(b"\n") if line)
        for _, line in sorted(keyed, key=lambda pair: int(pair[0])):
            yield line
