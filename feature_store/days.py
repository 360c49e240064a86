"""Days as text: `ds` is YYYY-MM-DD."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from conf.errors import ConfigError

_WRITTEN = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MONTHS = 12


def parse_day(text: str, what: str = "day") -> str:
    """`text` if it is a day written YYYY-MM-DD.

    Raises:
        ConfigError: it is not.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{what} is {text!r}{_why_no_day(text)}") from error
    if day.isoformat() != text:
        raise ConfigError(f"{what} is {text!r}, expected {day.isoformat()}.")
    return text


def _why_no_day(text: str) -> str:
    """What follows a `text` that is no day."""
    written = _WRITTEN.fullmatch(text)
    if not written:
        return ", expected a day written YYYY-MM-DD, such as 2026-02-28."
    year, month, _ = (int(part) for part in written.groups())
    if not (year and 1 <= month <= _MONTHS):
        return ": no such date. Next: pass one with a month from 01 to 12."
    last = monthrange(year, month)[1]
    return f": no such date. Next: pass a day from {text[:8]}01 to {text[:8]}{last}."


def check_range(first: str, last: str) -> None:
    """Pass if both are days and `first` is not after `last`.

    Raises:
        ConfigError: otherwise; the message names `--from` and `--to`.
    """
    if parse_day(first, "--from") > parse_day(last, "--to"):
        raise ConfigError(f"--from {first} lies after --to {last}. Next: exchange the two.")


def shift(ds: str, days: int) -> str:
    """The day `days` after (before, if negative) `ds`."""
    return (date.fromisoformat(ds) + timedelta(days=days)).isoformat()


def days_between(first: str, last: str) -> Iterator[str]:
    """Each day from `first` to `last`, both included."""
    day = first
    while day <= last:
        yield day
        day = shift(day, 1)


def gap(earlier: str, later: str) -> int:
    """Days from `earlier` to `later`."""
    return (date.fromisoformat(later) - date.fromisoformat(earlier)).days


def ordinal(ds: str) -> int:
    """Days since 1970-01-01."""
    return (date.fromisoformat(ds) - date(1970, 1, 1)).days


def end_of_day(ds: str, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at which `ds` ends in `zone`."""
    midnight = datetime.combine(date.fromisoformat(ds) + timedelta(days=1), time(), tzinfo=zone)
    return midnight.astimezone(UTC)
