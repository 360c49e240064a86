"""Who is served on a day: the active users, and what the log calls users and items."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.days import end_of_day, shift
from feature_store.lake import Lake
from feature_store.tables import EVERYBODY, UNKNOWN, USER_STATS
from feature_store.vocabularies import born_by
from training.features.as_of import read_state
from training.features.rows import Int32


def served_users(lake: Lake, ds: str, active_days: int) -> Int32:
    """Vocabulary ids of the unknown user, who comes first, and of the active ones, ascending.

    Active: an event in the last `active_days` up to the end of `ds`.
    """
    state = read_state(lake, USER_STATS, ds, ds, ["user_index", "last_event_timestamp"])
    since = end_of_day(shift(ds, -active_days), lake.dataset.zone)
    active = pc.greater_equal(state.column("last_event_timestamp"), pa.scalar(since))
    known = np.unique(state.filter(active).column("user_index").to_numpy())
    return np.concatenate([[UNKNOWN], known[known != UNKNOWN]]).astype(np.int32)


def names_of(lake: Lake, ds: str, users: Int32, items: Int32) -> tuple[pa.Array, pa.Array]:
    """The ids that the clean events give these users and items, known on `ds`; unknown is `*`."""
    vocabulary = born_by(lake, ds, ["field", "value", "id"])

    def values(field: str, ids: Int32) -> pa.Array:
        rows = vocabulary.filter(pc.equal(vocabulary.column("field"), field))
        at = pc.index_in(pa.array(ids, pa.int32()), value_set=rows.column("id").combine_chunks())
        names = rows.column("value").combine_chunks().take(at)
        return pc.if_else(pc.equal(pa.array(ids, pa.int32()), UNKNOWN), EVERYBODY, names)

    return values("user_id", users), values("item_id", items)
