"""Events, profiles and items as lines of the raw zone."""

from __future__ import annotations

import json
from datetime import date

import numpy as np

from pipelines.sources.simulator.behaviour import EVENT_TYPES, Events
from pipelines.sources.simulator.drift import Today
from pipelines.sources.simulator.items import Items
from pipelines.sources.simulator.randomness import NEVER
from pipelines.sources.simulator.users import Ints, Users
from pipelines.sources.simulator.words import (
    AGE_BANDS,
    CATEGORIES,
    CITIES,
    DEVICES,
    GENDERS,
    PLACES,
)


def user_id(number: int) -> str:
    """Such as u000123."""
    return f"u{number:06d}"


def item_id(number: int) -> str:
    """Such as i00042."""
    return f"i{number:05d}"


def iso_times(times_ms: Ints) -> list[str]:
    """UTC times with offset and milliseconds."""
    texts: list[str] = np.datetime_as_string(times_ms.astype("datetime64[ms]")).tolist()
    return [f"{text}+00:00" for text in texts]


def event_lines(events: Events) -> list[bytes]:
    """One JSON object per event, written by hand: json.dumps takes several times as long."""
    names = {day: f"{date.fromordinal(day):%Y%m%d}" for day in np.unique(events.day).tolist()}
    kinds = [f'"event_type":"{name}","event_timestamp":"' for name in EVENT_TYPES]
    positions = ["", *(f',"position":{n}' for n in range(1, events.position.max(initial=0) + 1))]
    values = ["", *(f',"value":{n}.0' for n in range(1, events.quantity.max(initial=0) + 1))]
    contexts = [
        f',"device":"{device}","place":"{place}"}}' for device in DEVICES for place in PLACES
    ]
    ids = [
        f'{{"event_id":"e{names[day]}-{number:06d}",' if has_id else "{"
        for day, number, has_id in zip(
            events.day.tolist(), events.number.tolist(), events.has_id.tolist(), strict=True
        )
    ]
    columns = zip(
        ids,
        events.kind.tolist(),
        iso_times(events.happened_ms),
        events.user.tolist(),
        events.item.tolist(),
        events.day.tolist(),
        events.slate.tolist(),
        events.position.tolist(),
        events.quantity.tolist(),
        (events.device * len(PLACES) + events.place).tolist(),
        strict=True,
    )
    return [
        (
            f'{head}{kinds[kind]}{time}","user_id":"u{user:06d}","item_id":"i{item:05d}",'
            f'"request_id":"r{names[day]}-{slate:05d}"{positions[position]}{values[quantity]}'
            f"{contexts[context]}"
        ).encode()
        for head, kind, time, user, item, day, slate, position, quantity, context in columns
    ]


def profile_lines(users: Users, today: Today) -> list[bytes]:
    """The profiles that are new or changed on a day."""
    version = users.version(today.day)
    changed = np.flatnonzero(users.valid_from[users.numbers, version] == today.day)
    updated_at = _midnight(today.ordinal)
    return [
        _line(
            {
                "user_id": user_id(user),
                "updated_at": updated_at,
                "age_band": AGE_BANDS[users.age[user]],
                "gender": None if users.hides_gender[user] else GENDERS[users.gender[user]],
                "city": None if users.hides_city[user] else CITIES[users.city[user, version[user]]],
                "interests": [
                    CATEGORIES[c] for c in np.flatnonzero(users.interests[user, version[user]])
                ],
            }
        )
        for user in changed.tolist()
    ]


def item_lines(items: Items, today: Today) -> list[bytes]:
    """The items that are new on a day; on the first day, all that are on sale."""
    new = np.maximum(items.born, 0) == today.day
    start = today.ordinal - today.day
    return [
        _line(
            {
                "item_id": item_id(item),
                "updated_at": _midnight(today.ordinal),
                "available_from": _midnight(start + int(items.born[item])),
                "available_until": (
                    None
                    if items.withdrawn[item] == NEVER
                    else _midnight(start + int(items.withdrawn[item]))
                ),
                "title": items.title(item),
                "description": items.description(item),
                "category": CATEGORIES[items.category[item]],
                "tags": items.tag_names(item),
                "price": float(items.price[item]),
            }
        )
        for item in np.flatnonzero(new).tolist()
    ]


def _midnight(ordinal: int) -> str:
    return f"{date.fromordinal(ordinal).isoformat()}T00:00:00+00:00"


def _line(row: dict[str, object]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
