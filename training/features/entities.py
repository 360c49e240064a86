"""State and attributes of users, or of items, as of a day and an instant."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conf.dataset import Attribute
from feature_store.lake import Lake
from feature_store.tables import HALF_LIVES_DAYS, MISSING, Table, decayed
from training.features.as_of import DailyState, Dimension, day_numbers, instants, read_state
from training.features.rows import Float64, Instants, Int32, Int64

STATE_COLUMNS = (
    *(decayed("positive", h) for h in HALF_LIVES_DAYS),
    *(decayed("impression", h) for h in HALF_LIVES_DAYS),
    decayed("favourite", 30),
    decayed("purchase", 30),
    decayed("valued", 30),
    decayed("value", 30),
)
_STATE_HALF_LIVES = np.array([int(name.rsplit("_h", 1)[1]) for name in STATE_COLUMNS], dtype=float)
POSITIVE, IMPRESSION = slice(0, 3), slice(3, 6)
FAVOURITE, PURCHASE, VALUED, VALUE = 6, 7, 8, 9


class Entities:
    """State and attributes of users, or of items."""

    def __init__(
        self,
        lake: Lake,
        tables: tuple[Table, Table],
        attributes: tuple[Attribute, ...],
        span: tuple[str, str],
    ) -> None:
        """Load `tables` (statistics, attributes) for the days of `span`."""
        stats, dimension = tables
        entity = str(stats.entity)
        first, last = span
        columns = [entity, "first_event_timestamp", "last_event_timestamp", *STATE_COLUMNS]
        rows = read_state(lake, stats, first, last, columns)
        index = rows.column(entity).to_numpy().astype(np.int64)
        self.state = DailyState.of(index, day_numbers(rows.column("ds")))
        self.values = np.zeros((rows.num_rows + 1, len(STATE_COLUMNS)))
        for position, name in enumerate(STATE_COLUMNS):
            self.values[:-1, position] = rows.column(name).to_numpy()
        nothing = np.array([np.datetime64("NaT", "us")])
        self.first_event, self.last_event = (
            np.concatenate([instants(rows.column(name)), nothing]) for name in columns[1:3]
        )
        names = [name for name in lake.schema(dimension).names if name != "text"]
        known = read_state(lake, dimension, first, last, names).sort_by("ds")
        self.dimension = Dimension.of(
            known,
            entity,
            [f"attr_{a.name}" for a in attributes if a.kind != "multi"],
            [f"attr_{a.name}" for a in attributes if a.kind == "multi"],
            MISSING,
        )
        self.known = known
        self.indices = np.union1d(index, known.column(entity).to_numpy()).astype(np.int32)

    def statistics(self, index: Int32, day: Int64) -> tuple[Float64, Int64]:
        """Sums at the end of the day before `day` (n, columns), and their rows (-1 = none)."""
        row, written = self.state.before(index, day)
        age = np.where(row >= 0, day - 1 - written, 0)
        return self.values[row] * np.exp2(-age[:, None] / _STATE_HALF_LIVES), row

    def arrays(self) -> Iterator[np.ndarray]:
        """All rows that were loaded, ordered by their keys and not by the files they came from."""
        order = self.state.order
        yield from (self.state.key, self.values[order])
        yield from (self.first_event[order], self.last_event[order])
        yield from self.dimension.arrays()

    def attributes(self, index: Int32, at: Instants) -> tuple[Int32, tuple[Int32, ...], Int64]:
        """Categorical ids, lists of ids, and the rows they come from (-1 = none)."""
        row = self.dimension.at(index, at)
        lists = tuple(values[row] for values in self.dimension.multi)
        return self.dimension.categorical[row], lists, row
