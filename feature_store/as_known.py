"""Events of the day on which they happened, as they were known on a day, or as they are known now.

Every event lies with the day of its arrival, which is written once; a late one changes nothing that
was read before. What was known of a day is therefore a choice of arrival days.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from conf.cleaning import MAX_LATENESS_DAYS
from conf.dataset import MINUTES_PER_DAY, DatasetConfig
from feature_store.days import days_between, shift
from feature_store.lake import Lake
from feature_store.tables import EVENTS


def as_known_on(
    lake: Lake, event_ds: str, known_on: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """Clean events that happened on `event_ds` and had arrived by the end of `known_on`.

    Args:
        lake: holds the clean events.
        event_ds: the day on which they happened, in the dataset's time zone.
        known_on: the last day of arrival; later ones are not looked at.
        columns: of clean.events [all of them].
    """
    days = arrival_days(lake.dataset, event_ds, event_ds, known_on)
    return lake.read(EVENTS, days, columns, where=pc.field("event_ds") == event_ds)


def as_known_now(lake: Lake, event_ds: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Clean events that happened on `event_ds`, whenever they arrived."""
    return as_known_on(lake, event_ds, shift(event_ds, MAX_LATENESS_DAYS), columns)


def arrival_days(dataset: DatasetConfig, first: str, last: str, known_on: str) -> list[str]:
    """The days on which events of [first, last] can arrive, up to `known_on`.

    Their number depends on the days asked for, not on the days that came after them: whatever
    `cleaning.lateness_days` was then, no event is later than MAX_LATENESS_DAYS.
    """
    # Clocks that are ahead: an event of the first minutes of a day may arrive the day before.
    early = math.ceil(dataset.cleaning.future_tolerance_minutes / MINUTES_PER_DAY)
    until = min(known_on, shift(last, MAX_LATENESS_DAYS))
    return list(days_between(shift(first, -early), until))
