"""What a mapping file says: which column of anybody's log is what (`dayfold import table`)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from conf.fields import OWN_FIELDS
from conf.frozen import Frozen

_SAMPLE = datetime(2026, 11, 23, 14, 5, 6, tzinfo=UTC)
"""Written and read back, it tells whether a pattern can be read at all."""
_ITEM_COLUMNS = (*OWN_FIELDS["items"], "category", "tags")

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_Column = Annotated[str, Field(min_length=1)]


class EventColumns(Frozen):
    """Which column of the log is which field of an event."""

    event_timestamp: _Column
    user_id: _Column
    item_id: _Column
    event_type: _Column | None = None
    event_id: _Column | None = None
    value: _Column | None = None
    request_id: _Column | None = None
    position: _Column | None = None


class ProfileColumns(Frozen):
    """Which column is which field of a profile."""

    user_id: _Column
    updated_at: _Column | None = None
    """Without it a profile appears on the day of its user's first event."""


class ItemColumns(Frozen):
    """Which column is which field of an item."""

    item_id: _Column
    updated_at: _Column | None = None
    """Without it an item appears on the day of the first event that mentions it."""
    title: _Column | None = None
    description: _Column | None = None
    category: _Column | None = None
    tags: _Column | None = None
    available_from: _Column | None = None
    available_until: _Column | None = None


class AttributeMapping(Frozen):
    """Where an attribute comes from and how its value is read."""

    column: _Column
    kind: Literal["categorical", "multi", "numeric"]
    separator: Annotated[str, Field(min_length=1)] = "|"
    """Between the values of a `multi` attribute; a Parquet list needs none."""


class TableFile(Frozen):
    """Files of one kind."""

    path: Annotated[str, Field(min_length=1)]
    """File or glob; relative to the mapping file."""
    format: Literal["csv", "parquet"]
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Between the fields of a CSV."""
    encoding: str = "utf-8"
    """Of a CSV."""
    time_format: str = "iso"
    """`iso`, `epoch_s`, `epoch_ms` or a strptime pattern."""
    time_zone: str = "UTC"
    """IANA zone of times without offset; days begin in the zone of `events`."""

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, encoding: str) -> str:
        try:
            return codecs.lookup(encoding).name
        except LookupError:
            raise ValueError(f"{encoding!r} is no encoding, such as utf-8 or latin-1") from None

    @field_validator("time_zone")
    @classmethod
    def _time_zone_exists(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"{zone!r} is not an IANA time zone, such as Europe/Lisbon")
        return zone

    @field_validator("time_format")
    @classmethod
    def _time_format_is_known(cls, text: str) -> str:
        if text not in {"iso", "epoch_s", "epoch_ms"} and "%" not in text:
            raise ValueError(
                f"{text!r} is none of iso, epoch_s, epoch_ms, nor a pattern such as %d.%m.%Y %H:%M"
            )
        if "%" in text:
            _refuse_bad_pattern(text)
        return text


class EventsMapping(TableFile):
    """The log itself."""

    columns: EventColumns
    event_type_value: str | None = None
    """The type of every event, where the log has no column for it."""
    event_types: dict[str, str | None] = Field(default_factory=dict)
    """Their name of an event type -> ours; null leaves such rows out. Others pass unchanged."""
    context: dict[_Name, _Column] = Field(default_factory=dict)
    """Our name of a context field -> their column."""

    @model_validator(mode="after")
    def _one_source_of_the_event_type(self) -> Self:
        if (self.columns.event_type is None) == (self.event_type_value is None):
            raise ValueError("give either columns.event_type or event_type_value, not both")
        _refuse_clash("context", set(self.context), OWN_FIELDS["events"])
        return self


class ProfilesMapping(TableFile):
    """User profiles."""

    columns: ProfileColumns
    attributes: dict[_Name, AttributeMapping] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _attributes_have_names_of_their_own(self) -> Self:
        _refuse_clash("attributes", set(self.attributes), OWN_FIELDS["profiles"])
        return self


class ItemsMapping(TableFile):
    """The catalogue."""

    columns: ItemColumns
    tags_separator: Annotated[str, Field(min_length=1)] = "|"
    attributes: dict[_Name, AttributeMapping] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _attributes_have_names_of_their_own(self) -> Self:
        _refuse_clash("attributes", set(self.attributes), _ITEM_COLUMNS)
        return self


class Mapping(Frozen):
    """One mapping file."""

    events: EventsMapping
    profiles: ProfilesMapping | None = None
    items: ItemsMapping | None = None


def _refuse_clash(key: str, names: set[str], reserved: Collection[str]) -> None:
    if clash := sorted(names.intersection(reserved)):
        raise ValueError(f"{key}: {clash} are fields of their own; map them under `columns`")


def _refuse_bad_pattern(pattern: str) -> None:
    try:
        read = datetime.strptime(_SAMPLE.strftime(pattern), pattern)
    except (ValueError, re.error) as error:
        raise ValueError(
            f"{pattern!r} is not a pattern that strptime reads ({error}), such as %d.%m.%Y %H:%M"
        ) from None
    if read.year != _SAMPLE.year:
        raise ValueError(f"{pattern!r} reads no year, which a day needs, as in %d.%m.%Y %H:%M")
