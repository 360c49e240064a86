"""Makes a day's lines dirty, and counts what it did.

Clean lines stay as they are; every dirty line is added to them. So a perfect cleaning of a day
gives back exactly the clean lines.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from pipelines.sources.simulator.behaviour import Events
from pipelines.sources.simulator.lines import event_lines, iso_times, item_id
from pipelines.sources.simulator.randomness import generator
from pipelines.sources.simulator.settings import DirtRates, SimulationSettings
from pipelines.sources.simulator.slates import DAY_MS, day_start_ms
from pipelines.sources.simulator.users import Ints

BOT_USER_ID = "u900001"

_UNKNOWN_TYPES = ("hover", "clik", "page_unload")
_BAD_TIMES = ("yesterday", "2026-02-30T25:61:00", "", "31.12.26 at noon", None)
_LONGEST_FUTURE_DAYS = 300
_DUPLICATE_WITHIN_MS = 20_000
_BOT_SLATE = 10
_BOT_PAUSE_MS = 700
_BOT_STARTS_BEFORE_MS = 20 * 3_600_000

Row = dict[str, object]


@dataclass(frozen=True)
class DirtyLines:
    """Lines to mix into a day."""

    lines: list[bytes]
    arrives_ms: list[int]
    counts: Counter[str]
    """Lines by kind of dirt."""


def dirty_lines(
    settings: SimulationSettings, ordinal: int, clean: Events, lines: list[bytes], on_sale: Ints
) -> DirtyLines:
    """The dirt of one day (a proleptic ordinal).

    Args:
        settings: of the world.
        ordinal: the arrival day.
        clean: the events that arrive on the day; copies of them are damaged.
        lines: their lines.
        on_sale: item numbers for the bot.
    """
    dirt, rates, seed = DirtyLines([], [], Counter()), settings.dirt, settings.seed
    rng = generator(seed, "dirt", ordinal)
    end = day_start_ms(ordinal) + DAY_MS - 1
    arrivals = clean.arrives_ms

    def add(kind: str, row: int, line: bytes) -> None:
        later = int(arrivals[row]) + int(rng.integers(0, _DUPLICATE_WITHIN_MS))
        dirt.lines.append(line)
        dirt.arrives_ms.append(min(later, end))
        dirt.counts[kind] += 1

    for row in _victims(rng, rates.duplicate, clean):
        add("duplicate", row, lines[row])
    damages = _malformed() | _wrong_values(rng, ordinal)
    for kind, damage in damages.items():
        rate = getattr(rates, kind, rates.malformed / len(_malformed()))
        for number, row in enumerate(_victims(rng, rate, clean)):
            add(kind, row, damage(_damaged_copy(clean, row, kind, number)))
    _add_bot(dirt, generator(seed, "bot", ordinal), rates, ordinal, on_sale)
    return dirt


def _victims(rng: np.random.Generator, rate: float, clean: Events) -> list[int]:
    if not len(clean):
        return []
    count = rng.binomial(len(clean), rate)
    return sorted(rng.choice(len(clean), count, replace=False).tolist())


def _damaged_copy(clean: Events, row: int, kind: str, number: int) -> Row:
    """The event as an object, with an id of its own: it must not pass for a duplicate."""
    alone = replace(clean.take(np.array([row])), has_id=np.array([True]))
    copy: Row = json.loads(event_lines(alone)[0])
    return {**copy, "event_id": f"{copy['event_id']}-{kind}-{number}"}


def _line(row: Row) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode()


def _malformed() -> dict[str, Callable[[Row], bytes]]:
    return {
        "malformed_trailing_junk": lambda row: _line(row) + b" ---- retry 3",
        "malformed_truncated": lambda row: _line(row)[:-25],
        "malformed_two_objects": lambda row: _line(row) + _line({**row, "position": 99}),
        "malformed_blank": lambda _: b"",
        "malformed_bad_utf8": lambda row: _line(row).replace(b'"place":"', b'"place":"\xff\xfe'),
    }


def _wrong_values(rng: np.random.Generator, ordinal: int) -> dict[str, Callable[[Row], bytes]]:
    def one_of(values: tuple[str | None, ...]) -> str | None:
        return values[int(rng.integers(len(values)))]

    def future(row: Row) -> bytes:
        day = ordinal + int(rng.integers(2, _LONGEST_FUTURE_DAYS))
        time = f"{date.fromordinal(day).isoformat()}{str(row['event_timestamp'])[10:]}"
        return _line({**row, "event_timestamp": time})

    return {
        "missing_user_id": lambda row: _line({**row, "user_id": one_of((None, ""))}),
        "missing_item_id": lambda row: _line({k: v for k, v in row.items() if k != "item_id"}),
        "unknown_event_type": lambda row: _line({**row, "event_type": one_of(_UNKNOWN_TYPES)}),
        "bad_timestamp": lambda row: _line({**row, "event_timestamp": one_of(_BAD_TIMES)}),
        "future_timestamp": future,
    }


def _add_bot(
    dirt: DirtyLines, rng: np.random.Generator, rates: DirtRates, ordinal: int, on_sale: Ints
) -> None:
    """One user who looks at everything and clicks on all of it."""
    if rng.random() >= rates.bot_day:
        return
    day = f"{date.fromordinal(ordinal):%Y%m%d}"
    start = day_start_ms(ordinal) + int(rng.integers(0, _BOT_STARTS_BEFORE_MS))
    numbers = np.arange(rates.bot_events)
    seen = numbers // 2
    pause = min(_BOT_PAUSE_MS, (DAY_MS - _BOT_STARTS_BEFORE_MS) // max(rates.bot_events, 1))
    times = start + numbers * pause
    items = on_sale[rng.integers(0, len(on_sale), int(seen.max(initial=0)) + 1)]
    for number, time_ms, time in zip(
        numbers.tolist(), times.tolist(), iso_times(times), strict=True
    ):
        look = int(seen[number])
        row: Row = {
            "event_id": f"b{day}-{number:06d}",
            "event_type": "click" if number % 2 else "impression",
            "event_timestamp": time,
            "user_id": BOT_USER_ID,
            "item_id": item_id(int(items[look])),
            "request_id": f"b{day}-{look // _BOT_SLATE:05d}",
            "position": look % _BOT_SLATE + 1,
            "device": "desktop",
            "place": "home",
        }
        dirt.lines.append(_line(row))
        dirt.arrives_ms.append(time_ms)
    dirt.counts["bot"] += rates.bot_events
