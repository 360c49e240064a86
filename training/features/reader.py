"""Features of users and items as of an instant, read from the lake's state tables.

Leak rule: what describes an event of day d comes from state rows with ds < d (decayed to the end of
day d - 1) and from attributes with valid_from <= the event's instant. Serving reads with d = the
day after the last known one, so that training and serving see the same thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import TrainingError
from feature_store.days import end_of_day, ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import (
    ENCODED_ITEMS,
    HALF_LIVES_DAYS,
    ITEM_STATS,
    MISSING,
    USER_STATS,
    USERS,
)
from training.features.as_of import Totals, day_numbers, first_rows, instants
from training.features.entities import (
    FAVOURITE,
    POSITIVE,
    PURCHASE,
    Entities,
)
from training.features.histories import Histories
from training.features.numbers import days, mean_value, rates
from training.features.rows import Float32, Float64, Instants, Int32, Int64, Rows, Side
from training.features.texts import LakeTexts

_LAG_DAYS = 2
"""Days further back at which item state is read too, for what one day added."""

USER_NUMERIC = (
    *(f"positive_h{h}" for h in HALF_LIVES_DAYS),
    "impression_h7",
    *(f"rate_h{h}" for h in HALF_LIVES_DAYS),
    "mean_value",
    "days_since_last_event",
    "days_since_first_event",
    "known",
)
"""Numeric features of a user, in the order of `Side.numeric`."""

ITEM_NUMERIC = (
    *(f"positive_h{h}" for h in HALF_LIVES_DAYS),
    "slope_1_7",
    "slope_7_30",
    *(f"rate_h{h}" for h in HALF_LIVES_DAYS),
    "impression_h7",
    "favourite_h30",
    "purchase_h30",
    "mean_value",
    "age_days",
    *(f"standing_h{h}" for h in HALF_LIVES_DAYS),
    "yesterday",
    "day_before",
    "known",
)
"""Numeric features of an item, in the order of `Side.numeric`."""

STANDING_SCALE = 3.0
"""A standing is (log share of the catalogue's popularity + 6) / STANDING_SCALE."""

_HALF_LIVES = np.array(HALF_LIVES_DAYS, dtype=float)


class FeatureReader:
    """Reads users and items as of any instant of the events that arrived in [first_day, last_day].

    Nothing of a day after `last_day` is read; what is loaded grows with the days asked for (plus
    at most one base period of state), not with history.
    """

    def __init__(
        self, lake: Lake, first_day: str, last_day: str, *, with_text: bool = False
    ) -> None:
        """Load the state; with texts for scorers that read them, which takes longer."""
        self._lake = lake
        dataset = lake.dataset
        self._first = shift(
            first_day, -dataset.cleaning.lateness_days - dataset.labels.attribution_days
        )
        span = (shift(self._first, -1 - _LAG_DAYS), last_day)
        self._users = Entities(lake, (USER_STATS, USERS), dataset.user_attributes, span)
        self._items = Entities(lake, (ITEM_STATS, ENCODED_ITEMS), dataset.item_attributes, span)
        available = self._items.known
        self._available_from = _with_nat(available, "available_from")
        self._available_until = _with_nat(available, "available_until")
        self._valid_from = _with_nat(available, "valid_from")
        self._totals = Totals.of(
            self._items.state,
            self._items.values[:-1, POSITIVE],
            _HALF_LIVES,
            ordinal(span[0]),
            ordinal(last_day),
        )
        self._histories = Histories(lake, shift(self._first, -1), last_day)
        # a log with impressions tells by its own labels what goes together
        self._with_neighbours = dataset.labels.kind == "sampled"
        self.texts = LakeTexts(lake, self._first, last_day) if with_text else None

    def users(self, index: Int32, at: Instants, day: Int64) -> Side:
        """Users as known at `at`, with state as of the end of the day before `day`.

        Args:
            index: (n,) vocabulary ids.
            at: (n,) UTC instants, datetime64[us].
            day: (n,) days since 1970 of the events.
        """
        self._check(day)
        categorical, multi, _ = self._users.attributes(index, at)
        sums, row = self._users.statistics(index, day)
        start = self.starts_of(day)
        numeric = (
            *np.log1p(sums[:, POSITIVE]).T / 2,
            np.log1p(sums[:, 4]) / 3,
            *rates(sums),
            mean_value(sums),
            days(start - self._users.last_event[row], row) / 2,
            days(start - self._users.first_event[row], row) / 3,
            row >= 0,
        )
        history = self._histories.before(index, day)
        neighbours, affinity = None, None
        if self._with_neighbours:
            neighbours, affinity = self._histories.neighbours(index, day, start)
        side = Side(index, categorical, multi, _stacked(numeric), history, neighbours, affinity)
        if self.texts is None:
            return side
        text = self.texts.users(history, categorical, multi, at)
        return replace(side, text=text, words=self.texts.words)

    def items(self, index: Int32, at: Instants, day: Int64) -> Side:
        """Items as known at `at`; arguments as for `users`."""
        self._check(day)
        categorical, multi, attributes = self._items.attributes(index, at)
        sums, row = self._items.statistics(index, day)
        positive, total = sums[:, POSITIVE], self._totals.before(day)
        h1, h7, h30 = np.log(positive / _HALF_LIVES + 0.1).T
        start = self.starts_of(day)
        known_since = _first_known(
            self._items.first_event[row],
            self._available_from[attributes],
            self._valid_from[attributes],
        )
        numeric = (
            *np.log1p(positive).T / 2,
            (h1 - h7) / 2,
            (h7 - h30) / 2,
            *rates(sums),
            np.log1p(sums[:, 4]) / 3,
            np.log1p(sums[:, FAVOURITE]) / 2,
            np.log1p(sums[:, PURCHASE]) / 2,
            mean_value(sums),
            days(start - known_since, np.where(np.isnat(known_since), -1, 0)) / 3,
            *((np.log((positive + 0.1) / (total + 1.0)) + 6.0) / STANDING_SCALE).T,
            np.log1p(self._added(index, day, sums)) / 2,
            np.log1p(self._added(index, day - 1)) / 2,
            row >= 0,
        )
        history = np.zeros((len(index), 0), dtype=np.int32)
        side = Side(index, categorical, multi, _stacked(numeric), history)
        if self.texts is None:
            return side
        return replace(side, text=self.texts.items(index, at), words=self.texts.words)

    def distinct_users(self, index: Int32, at: Instants, day: Int64) -> tuple[Side, Int64]:
        """Each different user of `users(index, at, day)` once, and (n,) where each row's is."""
        first, position = self._distinct(self._users, index, at, day)
        return self.users(index[first], at[first], day[first]), position

    def distinct_items(self, index: Int32, at: Instants, day: Int64) -> tuple[Side, Int64]:
        """Each different item of `items(index, at, day)` once, and (n,) where each row's is."""
        first, position = self._distinct(self._items, index, at, day)
        return self.items(index[first], at[first], day[first]), position

    def rows(self, examples: pa.Table) -> Rows:
        """Users, items and contexts of rows of the examples table, in their order."""
        at = instants(examples.column("event_timestamp"))
        day = day_numbers(examples.column("event_ds"))
        user = examples.column("user_index").to_numpy().astype(np.int32)
        item = examples.column("item_index").to_numpy().astype(np.int32)
        return Rows(self.users(user, at, day), self.items(item, at, day), self.context(examples))

    def context(self, examples: pa.Table) -> Int32:
        """(n, X): hour, weekday, then the dataset's context fields in declared order."""
        names = ["hour", "weekday", *(f"ctx_{name}" for name in self._lake.dataset.context)]
        # A day from before the field was declared has nulls.
        fields = [pc.fill_null(examples.column(name), MISSING).to_numpy() for name in names]
        return np.stack(fields, axis=1).astype(np.int32)

    def at_end_of(self, ds: str) -> tuple[np.datetime64, int]:
        """The instant (UTC) at which `ds` ends and the day to read then: state includes `ds`."""
        end = end_of_day(ds, self._lake.dataset.zone)
        return np.datetime64(end.replace(tzinfo=None), "us"), ordinal(ds) + 1

    def catalogue(self, at: np.datetime64, day: int) -> Int32:
        """Items known before `day` (attributes at `at`, or events), and available at `at`."""
        index = self.known_items(at, day)
        attributes = self._items.dimension.at(index, np.full(len(index), at))
        return index[~(self._available_from[attributes] > at)]

    def known_items(self, at: np.datetime64, day: int) -> Int32:
        """As `catalogue`, with the items that will be available only after `at`."""
        index = self._items.indices
        attributes = self._items.dimension.at(index, np.full(len(index), at))
        seen, _ = self._items.state.before(index, np.full(len(index), day))
        gone = self._available_until[attributes] <= at
        return index[((attributes >= 0) | (seen >= 0)) & ~gone]

    def item_arrays(self) -> Iterator[np.ndarray]:
        """All that is known here of items, whatever the order of the files that it came from."""
        yield from self._items.arrays()
        rows = self._items.dimension.order
        yield from (self._available_from[rows], self._available_until[rows], self._valid_from[rows])
        if self.texts is not None:
            yield from self.texts.arrays()

    def popularity(self, index: Int32, day: int) -> Float64:
        """(n, half-lives) positive sums of items, decayed to the end of the day before `day`."""
        return self._items.statistics(index, np.full(len(index), day))[0][:, POSITIVE]

    def start_of(self, day: int) -> np.datetime64:
        """The instant (UTC) at which `day` begins in the dataset's time zone."""
        ds = str(np.datetime64(int(day) - 1, "D"))
        return self.at_end_of(ds)[0]

    def _added(self, index: Int32, day: Int64, sums: Float64 | None = None) -> Float64:
        """Positive weight that the day before `day` added, by the 30-day sums."""
        now = self._items.statistics(index, day)[0] if sums is None else sums
        then, _ = self._items.statistics(index, day - 1)
        added: Float64 = np.maximum(now[:, 2] - then[:, 2] * 0.5 ** (1 / 30), 0.0)
        return added

    def starts_of(self, day: Int64) -> Instants:
        """(n,) instants (UTC) at which each `day` begins in the dataset's time zone."""
        days, position = np.unique(day, return_inverse=True)
        return np.array([self.start_of(d) for d in days], dtype="datetime64[us]")[position]

    def _distinct(
        self, entities: Entities, index: Int32, at: Instants, day: Int64
    ) -> tuple[Int64, Int64]:
        """The first row of each user or item, day and attributes; for each row which one it is."""
        if self.texts is None:
            return first_rows(index, day, entities.dimension.at(index, at))
        # texts change at any time
        return first_rows(index, day, np.unique(at, return_inverse=True)[1])

    def _check(self, day: Int64) -> None:
        if len(day) and day.min() < ordinal(self._first):
            raise TrainingError(
                f"Features of {np.datetime64(int(day.min()), 'D')} were asked for, but state was "
                f"loaded for events from {self._first} on. Open the reader at an earlier first_day."
            )


def _with_nat(rows: pa.Table, column: str) -> Instants:
    return np.concatenate([instants(rows.column(column)), [np.datetime64("NaT", "us")]])


def _first_known(*candidates: Instants) -> Instants:
    known = candidates[0]
    for candidate in candidates[1:]:
        known = np.where(np.isnat(known), candidate, known)
    return known


def _stacked(columns: tuple[np.ndarray, ...]) -> Float32:
    return np.stack([np.asarray(c, dtype=np.float32) for c in columns], axis=1)
