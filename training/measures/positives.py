"""Which user took which item, read from the clean events: a positive event takes its item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from feature_store.lake import Lake
from feature_store.tables import EVENTS, USER_TAKEN
from training.scoring.metrics import Floats, Ints

_REPEATED = ("user_id", "item_id", "event_type", "event_ds")
"""Text columns with few distinct values: read as dictionaries, three times as fast."""
_PAIRS = pa.schema([("user_id", pa.string()), ("item_id", pa.string())])


def positive_events(lake: Lake, days: Iterable[str], columns: Sequence[str]) -> pa.Table:
    """`columns` of the positive events that arrived on `days`."""
    declared = lake.schema(EVENTS)
    fields = [
        pa.field(name, pa.dictionary(pa.int32(), pa.string()))
        if name in _REPEATED
        else declared.field(name)
        for name in dict.fromkeys([*columns, "user_id", "event_type"])
    ]
    schema = pa.schema(fields)
    files = lake.file_uris(EVENTS, days)
    wanted = pa.array(sorted(lake.dataset.positive), pa.string())
    rows = pc.field("event_type").isin(wanted)
    if not files:
        return schema.empty_table().select(list(columns))
    source = pads.dataset(files, schema=schema, format=_parquet())
    return source.to_table(columns=list(columns), filter=rows).unify_dictionaries()


def _parquet() -> pads.ParquetFileFormat:
    return pads.ParquetFileFormat(
        read_options=pads.ParquetReadOptions(dictionary_columns=_REPEATED)
    )


def distinct_pairs(events: pa.Table) -> pa.Table:
    """Each (user_id, item_id) of `events` once, as text."""
    pairs = events.select(_PAIRS.names).cast(_PAIRS)
    return pairs.group_by(["user_id", "item_id"], use_threads=False).aggregate([])


def taken_by(lake: Lake, ds: str, users: pa.Array) -> pa.Table:
    """Each (user_id, item_id) that `users` took in events that arrived by the end of `ds`."""
    files = lake.file_uris(USER_TAKEN, lake.state_days(USER_TAKEN, ds))
    if not files:
        return _PAIRS.empty_table()
    source = pads.dataset(files, schema=_PAIRS)
    return distinct_pairs(source.to_table(filter=pc.field("user_id").isin(users)))


def event_weights(lake: Lake, event_types: pa.ChunkedArray) -> Floats:
    """The declared weight of each positive event."""
    names = sorted(lake.dataset.positive)
    weights = np.array([lake.dataset.positive[name] for name in names], dtype=np.float64)
    return np.asarray(weights[positions_in(event_types, pa.array(names, pa.string()))])


def positions_in(values: pa.ChunkedArray | pa.Array, known: pa.Array) -> Ints:
    """The position of each value in `known`; -1 where it is not there."""
    text = values.cast(pa.string())
    found = pc.fill_null(pc.index_in(text, value_set=known), -1)
    return np.asarray(found.to_numpy()).astype(np.int64)
