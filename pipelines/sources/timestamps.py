"""Reads the times of anybody's log; every one becomes an offset-aware datetime."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS_PER_MICROSECOND = {"epoch_s": Decimal(1_000_000), "epoch_ms": Decimal(1_000)}


def parse_timestamp(value: object, time_format: str, zone: tzinfo) -> datetime:
    """The moment that `value` stands for, in `zone`.

    Args:
        value: text, a number, or the datetime that a typed file already holds.
        time_format: `iso`, `epoch_s`, `epoch_ms`, or a strptime pattern.
        zone: where a time without offset was taken. Of the two moments that a clock shows twice
            in autumn it means the first; one that is skipped in spring moves on by the gap.

    Raises:
        ValueError: `value` is not such a time.
    """
    try:
        moment = _parse(value, time_format)
        local = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        # By way of UTC, because a skipped local time would keep an offset that never applied.
        return local.astimezone(UTC).astimezone(zone)
    except (OverflowError, TypeError, InvalidOperation) as error:
        raise ValueError(f"{value!r} is not a time in format {time_format!r}") from error


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC: the order of events within a day."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _parse(value: object, time_format: str) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    text = str(value).strip()
    if time_format == "iso":
        return datetime.fromisoformat(text)
    if time_format in _TICKS_PER_MICROSECOND:
        ticks = Decimal(text) * _TICKS_PER_MICROSECOND[time_format]
        return _EPOCH + timedelta(microseconds=int(ticks))
    return datetime.strptime(text, time_format)
