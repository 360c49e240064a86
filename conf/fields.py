"""The fields that the rows of every dataset have, by stream, and what each means."""

from __future__ import annotations

from typing import Literal

Stream = Literal["events", "profiles", "items"]
STREAMS: tuple[Stream, ...] = ("events", "profiles", "items")

Kind = Literal["id", "text", "instant", "number", "whole", "values"]
"""What a field means: an id (text that is no list and no object); text; an instant (ISO-8601 with
offset, epoch s or ms); a finite number; a 32-bit integer; a list of values (a JSON array, or text
separated by `|`)."""

OWN_FIELDS: dict[Stream, dict[str, Kind]] = {
    "events": {
        "event_timestamp": "instant",
        "user_id": "id",
        "item_id": "id",
        "event_type": "text",
        "event_id": "text",
        "value": "number",
        "request_id": "text",
        "position": "whole",
    },
    "profiles": {"user_id": "id", "updated_at": "instant"},
    "items": {
        "item_id": "id",
        "updated_at": "instant",
        "available_from": "instant",
        "available_until": "instant",
        "title": "text",
        "description": "text",
    },
}

ATTRIBUTE_KINDS: dict[str, Kind] = {"categorical": "text", "multi": "values", "numeric": "number"}
"""What the field of a declared attribute means, by the kind that is declared."""
