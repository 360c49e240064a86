"""A column of times: reads them, and knows which it could not read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from conf.errors import ConfigError
from conf.fields import Stream
from pipelines.sources.losses import Losses
from pipelines.sources.mapping import TableFile
from pipelines.sources.timestamps import parse_timestamp

_LONGEST_SHOWN = 40


class TimeColumn:
    """The column that puts the rows of one section on their days."""

    def __init__(
        self, table: TableFile, section: Stream, key: str, column: str, losses: Losses
    ) -> None:
        self._table = table
        self._zone = ZoneInfo(table.time_zone)
        self._section, self._key, self._column = section, key, column
        self._losses = losses
        self._read = self._unread = 0
        self._example: tuple[object, str] | None = None

    def moment(self, value: object) -> datetime | None:
        """The moment that `value` stands for; None, and the row is counted as left out, if none."""
        moment = moment_or_none(value, self._table, self._zone)
        if moment is not None:
            self._read += 1
            return moment
        self._unread += 1
        self._losses.drop(f"{self._section}_time_not_readable")
        # An empty field says nothing about the format, so the first that is not empty is shown.
        if self._example is None or (self._example[0] is None and value is not None):
            self._example = (value, str(self._losses.place))
        return None

    def require_one(self, mapping_file: Path) -> None:
        """Refuses a format that reads none of the times.

        Raises:
            ConfigError: there were times and none could be read.
        """
        if self._read or self._example is None:
            return
        value, place = self._example
        columns = f"{self._section}.columns.{self._key}"
        if value is None:
            raise ConfigError(
                f"{mapping_file}: key {columns}: expected times in the column {self._column}, "
                f"found it empty in all {self._unread:,} rows; the first: {place}. "
                f"Name the column of the times, then: {_command(mapping_file)}"
            )
        left_out = "" if "time_format" in self._table.model_fields_set else " (it was left out)"
        raise ConfigError(
            f"{mapping_file}: key {self._section}.time_format: {self._table.time_format!r}"
            f"{left_out} reads none of the {self._unread:,} times in the column {self._column}; "
            f"the first is {_short(value)} ({place}). Correct time_format (iso, epoch_s, epoch_ms "
            f"or a pattern such as %d.%m.%Y %H:%M), or {columns} if that is not the column, "
            f"then: {_command(mapping_file)}"
        )


def moment_or_none(value: object, table: TableFile, zone: ZoneInfo) -> datetime | None:
    """The moment that `value` stands for in the table's format, in `zone`; None if it is none."""
    try:
        return None if value is None else parse_timestamp(value, table.time_format, zone)
    except ValueError:
        return None


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]} ..."


def _command(mapping_file: Path) -> str:
    return f"dayfold import table --mapping {mapping_file} --raw DIR"
