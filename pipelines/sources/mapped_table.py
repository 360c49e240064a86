"""Anybody's log as a raw zone: CSV or Parquet read in batches through a mapping file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from conf.fields import Stream
from pipelines.sources.field_values import attribute_value, number, text, values
from pipelines.sources.intake import Intake
from pipelines.sources.losses import Losses
from pipelines.sources.mapping import (
    AttributeMapping,
    EventsMapping,
    ItemsMapping,
    ProfilesMapping,
)
from pipelines.sources.mapping_file import load_mapping
from pipelines.sources.raw_zone import ImportSummary
from pipelines.sources.table_files import Row, TableReader
from pipelines.sources.time_column import TimeColumn, moment_or_none


def import_table(
    mapping_file: Path, raw: Path, first: str | None, last: str | None
) -> ImportSummary:
    """What was written: the rows of the mapped files, each on its day.

    Nothing is cleaned: an event without a user, or of an unknown type, passes for `clean_events`
    to judge. Left out and counted are blank lines, rows with more or fewer fields than the header,
    rows whose time cannot be read (they have no day), events outside the range or of a type that
    is mapped to null, and items or profiles without id, never mentioned by an event, or of a day
    after the range. A value that should be a number or a time and is not becomes null, and is
    counted too.

    Args:
        mapping_file: YAML; paths in it are relative to it.
        raw: root of the raw zone.
        first: first day (in `events.time_zone`), or None for the first event's.
        last: last day, or None for the last event's.

    Raises:
        ConfigError: a key of the mapping is wrong, names a column that is not there, or is a
            `time_format` that reads none of the times; or the range does not meet the log.
        SourceError: a file cannot be read.
    """
    mapping = load_mapping(mapping_file)
    zone = ZoneInfo(mapping.events.time_zone)
    with Intake(raw, first, last) as intake:
        _take_events(mapping.events, mapping_file, intake)
        for stream, entities in (("items", mapping.items), ("profiles", mapping.profiles)):
            if entities is not None:
                _Entities(
                    "items" if stream == "items" else "profiles", entities, zone, intake
                ).take(mapping_file)
        return intake.finish()


def _take_events(mapping: EventsMapping, mapping_file: Path, intake: Intake) -> None:
    columns, losses = mapping.columns, intake.losses
    wanted = _keys("columns", columns.model_dump(exclude_none=True))
    wanted |= _keys("context", mapping.context)
    times = TimeColumn(mapping, "events", "event_timestamp", columns.event_timestamp, losses)
    for row in TableReader(mapping, "events", mapping_file, losses).rows(wanted):
        moment = times.moment(row[columns.event_timestamp])
        if moment is None:
            continue
        theirs = mapping.event_type_value
        if columns.event_type is not None:
            theirs = text(row[columns.event_type])
        ours = mapping.event_types.get(theirs, theirs) if theirs is not None else None
        if theirs is not None and ours is None:
            intake.extend_log(moment.date().isoformat())
            losses.drop(f"events_of_type_{theirs}_left_out")
            continue
        event: Row = {"event_timestamp": moment.isoformat(), "event_type": ours}
        intake.event(moment, event | _event_fields(row, mapping, losses))
    times.require_one(mapping_file)


def _event_fields(row: Row, mapping: EventsMapping, losses: Losses) -> Row:
    columns = mapping.columns
    fields: Row = {"user_id": text(row[columns.user_id]), "item_id": text(row[columns.item_id])}
    if columns.event_id is not None:
        fields["event_id"] = text(row[columns.event_id])
    if columns.request_id is not None:
        fields["request_id"] = text(row[columns.request_id])
    if columns.value is not None:
        fields["value"] = _number(row[columns.value], "events_value", losses)
    if columns.position is not None:
        position = _number(row[columns.position], "events_position", losses)
        fields["position"] = None if position is None else int(position)
    return fields | {name: text(row[column]) for name, column in mapping.context.items()}


class _Entities:
    """Takes the rows of `items` or `profiles`."""

    def __init__(
        self,
        stream: Stream,
        mapping: ItemsMapping | ProfilesMapping,
        day_zone: ZoneInfo,
        intake: Intake,
    ) -> None:
        self._stream: Stream = stream
        self._mapping = mapping
        self._zone = ZoneInfo(mapping.time_zone)
        self._day_zone = day_zone
        self._intake = intake
        self._columns: dict[str, str] = mapping.columns.model_dump(exclude_none=True)
        self._key = "item_id" if stream == "items" else "user_id"
        column = mapping.columns.updated_at
        self._times = column and TimeColumn(mapping, stream, "updated_at", column, intake.losses)

    def take(self, mapping_file: Path) -> None:
        """Hands every row to the intake."""
        attributes = {name: spec.column for name, spec in self._mapping.attributes.items()}
        wanted = _keys("columns", self._columns) | _keys("attributes", attributes, ".column")
        losses, times = self._intake.losses, self._times
        reader = TableReader(self._mapping, self._stream, mapping_file, losses)
        for row in reader.rows(wanted):
            key = text(row[self._columns[self._key]])
            if key is None:
                losses.drop(f"{self._stream}_without_id")
                continue
            # The time first: of a row that is left out, no value counts as lost.
            moment = times.moment(row[self._columns["updated_at"]]) if times else None
            if times and moment is None:
                continue
            entity: Row = {self._key: key, **self._fields(row), **self._attributes(row)}
            if moment is None:
                self._intake.entity(self._stream, key, entity)
            else:
                self._intake.entity_at(self._stream, moment.astimezone(self._day_zone), entity)
        if times:
            times.require_one(mapping_file)

    def _fields(self, row: Row) -> Row:
        fields: Row = {}
        for name, column in self._columns.items():
            if name in {"title", "description", "category"}:
                fields[name] = text(row[column])
            elif name == "tags" and isinstance(self._mapping, ItemsMapping):
                fields[name] = values(row[column], self._mapping.tags_separator)
            elif name in {"available_from", "available_until"}:
                moment = moment_or_none(row[column], self._mapping, self._zone)
                fields[name] = moment.isoformat() if moment else None
                if moment is None and row[column] is not None:
                    self._intake.losses.empty(f"{self._stream}_{name}_not_readable")
        return fields

    def _attributes(self, row: Row) -> Row:
        return {
            name: self._attribute(name, row[spec.column], spec)
            for name, spec in self._mapping.attributes.items()
        }

    def _attribute(self, name: str, value: object, spec: AttributeMapping) -> object:
        try:
            return attribute_value(value, spec)
        except ValueError:
            self._intake.losses.empty(f"{self._stream}_{name}_not_a_number")
            return None


def _keys(prefix: str, columns: Mapping[str, str], suffix: str = "") -> dict[str, str]:
    return {f"{prefix}.{name}{suffix}": column for name, column in columns.items()}


def _number(value: object, what: str, losses: Losses) -> float | None:
    try:
        return number(value)
    except ValueError:
        losses.empty(f"{what}_not_a_number")
        return None
