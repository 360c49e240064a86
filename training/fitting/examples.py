"""The rows that a candidate is trained on: new days, replay, and the time-last slice held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from conf.errors import TrainingError
from conf.training import TEXT_SCORERS, TrainingSettings
from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.promotion_ledger import blocked_before
from feature_store.tables import EXAMPLES
from training.features.as_of import day_numbers, instants
from training.features.digest import digest_of
from training.features.reader import FeatureReader
from training.features.rows import Float64, Int32, Int64, Side
from training.fitting.loader import LabelledSource, PositiveEvents, SampledSource, Source
from training.fitting.negatives import Proposal
from training.fitting.replay import in_time_order, replay_sample
from training.fitting.texts import drawn_rows, most_rows
from training.scorers.batch import context_tensor
from training.scorers.packed import PackedSide
from training.scorers.schema import Schema

MIN_ROWS = 2
"""Fewest rows of one training; one of them must be new."""
MAX_ROWS = 1_000_000
"""Most new rows of one training; of more, the latest are taken."""

DRAWS_PER_NEGATIVE = 8
"""Items drawn for a day of a batch, per negative of the settings."""


@dataclass(frozen=True)
class Plan:
    """The days of a training."""

    new_days: tuple[str, ...]
    """Days after the parent's last training day with examples; all of them without a parent."""
    first_day: str
    last_day: str
    """The day before the one that tests."""
    warm: bool
    left_out: frozenset[str] = frozenset()
    """Days that a rollback has blocked: nothing of them is trained on, or replayed."""


def plan_of(
    lake: Lake, ds: str, trained_until: str | None, history_days: int | None = None
) -> Plan:
    """The days to train on before `ds`, for a parent that knows days up to `trained_until`.

    Without a parent they are the last `history_days` (None = all).

    Raises:
        TrainingError: there is no day with examples among them.
    """
    after = trained_until or (shift(ds, -history_days - 1) if history_days else "")
    left_out = blocked_before(lake, ds).days
    days = [d for d in lake.days(EXAMPLES) if after < d < ds and d not in left_out]
    if not days:
        why = "its parent's last day" if trained_until else f"training.history_days {history_days}"
        since = f"after {after} ({why}) and " if after else ""
        raise TrainingError(
            f"There is nothing to train on for {ds}: expected days {since}before {ds} in "
            f"{EXAMPLES.key}, found none. Next: run more days; the first models come from a "
            f"history: `dayfold run --history-from DAY --from {ds} --to {ds}`."
        )
    first = shift(trained_until, 1) if trained_until else days[0]
    return Plan(tuple(days), first, shift(ds, -1), trained_until is not None, left_out)


@dataclass(frozen=True)
class Catalogue:
    """Each item as of each day, once, and the examples' positions in it."""

    items: Side
    item: Int64
    """(n,) positions in `items`."""


@dataclass(frozen=True)
class Examples:
    """Rows in the order of time, replayed ones first, with all that batches are made of."""

    reader: FeatureReader
    leave_out_taken: bool
    users: Side
    """Each user as of each day, once."""
    user: Int64
    """(n,) positions in `users`."""
    context: Int32
    item: Int32
    """(n,) vocabulary ids."""
    items: Catalogue | Proposal
    """The items' features; or, where they are read per batch, what others are drawn from."""
    day: Int64
    label: Float64
    weight: Float64
    replayed: np.ndarray
    replay_digest: str
    """Of the replayed rows' ids and days."""

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.item)

    @property
    def sampled(self) -> bool:
        """Whether each row is a positive to be listed with drawn items."""
        return isinstance(self.items, Proposal)

    def arrays(self) -> Iterator[np.ndarray]:
        """Everything that batches are made of, in a fixed order."""
        yield from self.users.arrays()
        if isinstance(self.items, Proposal):
            yield from self.reader.item_arrays()
        else:
            yield from (*self.items.items.arrays(), self.items.item)
        yield from (
            self.user,
            self.context,
            self.item,
            self.day,
            self.label,
            self.weight,
            self.replayed,
        )


def load_examples(lake: Lake, plan: Plan, settings: TrainingSettings, scorer: str = "") -> Examples:
    """The new rows of `plan` and a replay sample, each with the features it had at its time.

    A `scorer` that reads text gets texts beside them, and fewer rows (`text.pairs_per_day`).

    Where labels are `sampled`, a positive whose item was not known when its day began is left out:
    it could not have been recommended.
    """
    new = in_time_order(lake.read(EXAMPLES, plan.new_days))
    new = new.slice(max(0, new.num_rows - MAX_ROWS))
    of_scorer = most_rows(scorer, settings, len(plan.new_days), MAX_ROWS)
    new = drawn_rows(new, of_scorer, [settings.seed, ordinal(plan.first_day)])
    most = (
        min(settings.replay_rows, round(settings.replay_share * new.num_rows)) if plan.warm else 0
    )
    replay = replay_sample(lake, plan.first_day, settings, most, plan.left_out)
    rows = pa.concat_tables([replay, new])
    replayed = np.arange(rows.num_rows) < replay.num_rows
    first = min(rows.column("ds").unique().to_pylist(), default=plan.first_day)
    reader = FeatureReader(lake, first, plan.last_day, with_text=scorer in TEXT_SCORERS)
    if lake.dataset.labels.kind != "sampled":
        return _gathered(reader, lake, rows, replayed, None)
    day = day_numbers(rows.column("event_ds"))
    proposal = Proposal(reader, np.unique(day))
    known = proposal.contains(rows.column("item_index").to_numpy().astype(np.int32), day)
    return _gathered(reader, lake, rows.filter(pa.array(known)), replayed[known], proposal)


def _gathered(
    reader: FeatureReader,
    lake: Lake,
    rows: pa.Table,
    replayed: np.ndarray,
    proposal: Proposal | None,
) -> Examples:
    at, day = instants(rows.column("event_timestamp")), day_numbers(rows.column("event_ds"))
    item = rows.column("item_index").to_numpy().astype(np.int32)
    user = rows.column("user_index").to_numpy().astype(np.int32)
    return Examples(
        reader,
        lake.dataset.recommend.exclude_taken,
        *reader.distinct_users(user, at, day),
        reader.context(rows),
        item,
        Catalogue(*reader.distinct_items(item, at, day)) if proposal is None else proposal,
        day,
        rows.column("label").to_numpy(),
        rows.column("weight").to_numpy(),
        replayed,
        digest_of([], *(f"{ds} {one}" for ds, one in _ids(rows.filter(pa.array(replayed))))),
    )


def _ids(rows: pa.Table) -> Iterator[tuple[str, str]]:
    return zip(*(rows.column(name).to_pylist() for name in ("ds", "example_id")), strict=True)


def labelled_source(examples: Examples, catalogue: Catalogue, schema: Schema) -> LabelledSource:
    """All rows as a source; users and items as a scorer with `schema` knows them."""
    known = schema.item.index.size
    return LabelledSource(
        PackedSide.of(examples.users, schema.user, known),
        PackedSide.of(catalogue.items, schema.item, known),
        torch.from_numpy(examples.user),
        torch.from_numpy(catalogue.item),
        context_tensor(examples.context, schema),
        torch.from_numpy(examples.label.astype(np.float32)),
        torch.from_numpy(examples.weight.astype(np.float32)),
        torch.from_numpy(examples.replayed),
    )


def sources_of(
    examples: Examples, schema: Schema, settings: TrainingSettings, whole_lists: bool
) -> tuple[Source, Source]:
    """The rows to train on and the held-out ones: the last share of the new rows by time.

    `whole_lists`: list a positive with all items drawn for its day, which costs a scorer with a dot
    product nothing, not only with `settings.negatives` of them.
    """
    new = int((~examples.replayed).sum())
    held_out = int(new * settings.validation_share)
    cut = len(examples) - held_out
    if cut < MIN_ROWS:
        cut = len(examples)
    train, last = slice(0, cut), slice(cut, len(examples))
    if not isinstance(examples.items, Proposal):
        source = labelled_source(examples, examples.items, schema)
        return source.part(train), source.part(last)
    positives = PositiveEvents(
        examples.users.take(examples.user),
        examples.item,
        examples.context,
        examples.day,
        examples.weight,
        examples.replayed,
    )
    return tuple(  # type: ignore[return-value]
        SampledSource(
            positives.take(part),
            examples.reader,
            examples.items,
            schema,
            DRAWS_PER_NEGATIVE * settings.negatives,
            settings.negatives * (DRAWS_PER_NEGATIVE if whole_lists else 1),
            examples.leave_out_taken,
        )
        for part in (train, last)
    )
