"""The state tables of a small lake, folded day by day in NumPy (no Spark)."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from feature_store.days import ordinal
from feature_store.lake import Lake
from feature_store.tables import (
    HALF_LIVES_DAYS,
    ITEM_STATS,
    STATISTICS,
    USER_SEQUENCES,
    USER_STATS,
    Table,
    decayed,
)
from tests.training.log_fixture import DAY, Log, day_name, put_day, utc


def write_states(lake: Lake, log: Log, first: str, last: str, length: int = 50) -> None:
    """User and item sums and user sequences, folded day by day."""
    positive = np.array([lake.dataset.positive.get(str(k), 0.0) for k in log.kind])
    if lake.dataset.labels.of_values:
        positive = np.where(log.value >= lake.dataset.labels.threshold, positive, 0.0)
    valued = ~np.isnan(log.value)
    amounts = {name: (log.kind == name).astype(float) for name in STATISTICS[:4]}
    amounts |= {"positive": positive, "valued": valued.astype(float)}
    amounts["value"] = np.where(valued, log.value, 0.0)
    events = np.stack([amounts[name] for name in STATISTICS], axis=1)
    for table, entity, ids in (
        (USER_STATS, "user_index", log.user),
        (ITEM_STATS, "item_index", log.item),
    ):
        _fold(lake, table, entity, ids, log, events, first, last)
    sequences: dict[int, list[tuple[np.datetime64, int]]] = {}
    for number in range(ordinal(first), ordinal(last) + 1):
        today = np.flatnonzero((log.day == number) & (positive > 0))
        for row in today:
            sequences.setdefault(int(log.user[row]), []).append((log.at[row], int(log.item[row])))
        base = lake.is_base_day(USER_SEQUENCES, day_name(number))
        users = sorted(sequences if base else {int(u) for u in log.user[today]})
        kept = {u: sorted(sequences[u])[-length:] for u in users}
        rows = pa.table(
            {
                "user_index": pa.array(users, pa.int32()),
                "item_indices": pa.array(
                    [[i for _, i in kept[u]] for u in users], pa.list_(pa.int32())
                ),
                "event_timestamps": pa.array(
                    [[t.item().replace(tzinfo=UTC) for t, _ in kept[u]] for u in users],
                    pa.list_(pa.timestamp("us", tz="UTC")),
                ),
            }
        )
        put_day(lake, USER_SEQUENCES, number, rows)


def _fold(
    lake: Lake,
    table: Table,
    entity: str,
    ids: np.ndarray,
    log: Log,
    events: np.ndarray,
    first: str,
    last: str,
) -> None:
    half_lives = np.array(HALF_LIVES_DAYS, dtype=float)
    size = int(ids.max()) + 1
    state = np.zeros((size, len(STATISTICS), len(half_lives)))
    earliest = np.full(size, np.datetime64(datetime(2200, 1, 1), "us"))
    latest = np.full(size, np.datetime64(datetime(1970, 1, 1), "us"))
    for number in range(ordinal(first), ordinal(last) + 1):
        today = np.flatnonzero(log.day == number)
        age = (np.datetime64(number + 1, "D").astype("datetime64[us]") - log.at[today]) / DAY
        state *= 0.5 ** (1 / half_lives)
        decay = 0.5 ** (age[:, None, None] / half_lives)
        np.add.at(state, ids[today], events[today][:, :, None] * decay)
        np.minimum.at(earliest, ids[today], log.at[today])
        np.maximum.at(latest, ids[today], log.at[today])
        base = lake.is_base_day(table, day_name(number))
        every = np.flatnonzero(latest > np.datetime64("1970-01-01"))
        rows = every if base else np.unique(ids[today])
        columns = {
            decayed(name, h): state[rows, i, j]
            for i, name in enumerate(STATISTICS)
            for j, h in enumerate(HALF_LIVES_DAYS)
        }
        table_rows = pa.table(
            {
                entity: rows.astype(np.int32),
                "first_event_timestamp": utc(earliest[rows]),
                "last_event_timestamp": utc(latest[rows]),
                **columns,
            }
        )
        put_day(lake, table, number, table_rows)
