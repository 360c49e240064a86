"""The events of a small log: users like the items of their own hidden group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from feature_store.days import ordinal
from feature_store.lake import Lake
from feature_store.tables import Table

FIRST_DAY = "2026-01-01"
GROUPS = 4
LINEAGE = {"step": "fixture", "ds": ""}
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Log:
    """Events, sorted by time. Ids are vocabulary ids (from 2); `day` is the day of arrival."""

    user: np.ndarray
    item: np.ndarray
    at: np.ndarray
    kind: np.ndarray
    value: np.ndarray
    day: np.ndarray

    def take(self, rows: np.ndarray) -> Log:
        return Log(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def simulated(
    generator: np.random.Generator, kind: str, days: int, users: int, items: int, per_day: int
) -> tuple[Log, np.ndarray]:
    n = days * per_day
    event_day = np.repeat(np.arange(days), per_day)
    grown = 0.6 + 0.4 * (event_day + 1) / days  # not every entity is there on the first day
    user = (generator.random(n) * users * grown).astype(np.int32)
    item = (generator.random(n) ** 1.5 * items * grown).astype(np.int32)
    liked = generator.random(n) < np.where(user % GROUPS == item % GROUPS, 0.6, 0.1)
    seconds = np.sort(generator.integers(0, 86_400, (days, per_day)), axis=1).ravel()
    at = np.datetime64(FIRST_DAY, "us") + event_day * DAY + seconds.astype("timedelta64[s]")
    late = (generator.random(n) < 0.05) & (event_day < days - 1)
    day = ordinal(FIRST_DAY) + event_day + late
    if kind in {"threshold", "rating"}:
        value = np.where(liked, 5.0, 2.0)
        log = Log(user + 2, item + 2, at, np.full(n, "rating"), value, day)
        return log, liked.astype(float) if kind == "threshold" else (value - 1) / 4
    nothing = np.full(n, np.nan)
    seen = Log(user + 2, item + 2, at, np.full(n, "impression"), nothing, day)
    clicks = seen.take(liked)
    clicks = Log(
        clicks.user,
        clicks.item,
        clicks.at + np.timedelta64(60, "s"),
        np.full(int(liked.sum()), "click"),
        clicks.value,
        clicks.day,
    )
    if kind == "sampled":
        return clicks, np.ones(len(clicks.user))
    pairs = zip(_columns(seen), _columns(clicks), strict=True)
    both = Log(*(np.concatenate(pair) for pair in pairs))
    order = np.argsort(both.at, kind="stable")
    label = np.concatenate([liked.astype(float), np.full(len(clicks.user), np.nan)])
    return both.take(order), label[order]


def _columns(log: Log) -> list[np.ndarray]:
    return [getattr(log, name) for name in log.__dataclass_fields__]


def day_name(number: int) -> str:
    """The day `number` days after 1970-01-01."""
    return str(np.datetime64(int(number), "D"))


def utc(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype("datetime64[us]"), pa.timestamp("us", tz="UTC"))


def put_day(lake: Lake, table: Table, number: int, rows: pa.Table) -> None:
    if rows.num_rows:
        lake.replace(table, {"ds": day_name(number)}, rows, LINEAGE)
