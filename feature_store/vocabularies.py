"""Vocabularies as known on a day, as Arrow tables; `pipelines.vocabulary` is the Spark side.

What is known at the end of `ds` follows from the partitions with a day <= ds alone, whatever was
written after.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXPIRIES, PENDING_VALUES, VOCABULARIES
from feature_store.traces import NEUTRAL

_ID = ["field", "id"]
_VALUE = ["field", "value"]


def born_by(lake: Lake, ds: str, columns: Sequence[str]) -> pa.Table:
    """`columns` of VOCABULARIES for every value born by the end of `ds`, each once, in no order."""
    days = lake.state_days(VOCABULARIES, ds)
    # A day that came late made a base day before the one that there was.
    once = (pc.field("born_on") == pc.field("ds")) | (pc.field("ds") == min(days, default=""))
    return lake.read(VOCABULARIES, days, columns, where=once)


def words_on(lake: Lake, ds: str) -> pa.Table:
    """field, value, id of every value that reads as its id at the end of `ds`, in no order.

    Left out: values that wait for their id, and expired ones; both read as unknown.
    """
    words = born_by(lake, ds, [*_VALUE, "id"])
    expired = expired_on(lake, ds)
    return words.join(expired, _ID, join_type="left anti") if expired.num_rows else words


def expired_on(lake: Lake, ds: str) -> pa.Table:
    """field, id of every id that is expired at the end of `ds`, in no order."""
    rows = lake.read(EXPIRIES, lake.state_days(EXPIRIES, ds), ["ds", *_ID, "state"])
    turns = _latest(rows, _ID, ["state"])
    return turns.filter(pc.equal(turns.column("state"), "expired")).select(_ID)


def expired_between(lake: Lake, after: str, until: str) -> pa.Table:
    """field, id of every id that expired on a day in (after, until], returned or not."""
    days = [day for day in lake.days(EXPIRIES) if after < day <= until]
    turns = lake.read(EXPIRIES, days, ["ds", *_ID, "state", "turned_on"])
    turned = pc.equal(turns.column("turned_on"), turns.column("ds"))
    return turns.filter(pc.and_(turned, pc.equal(turns.column("state"), "expired"))).select(_ID)


def forgotten_by(lake: Lake, ds: str) -> pa.Table:
    """field, id of the ids born by `ds` whose user asked to be forgotten, in no order."""
    words = born_by(lake, ds, [*_VALUE, "id"])
    return words.filter(pc.starts_with(words.column("value"), NEUTRAL)).select(_ID)


def waiting_on(lake: Lake, ds: str) -> pa.Table:
    """field, value, count of every value that waits for its id at the end of `ds`, in no order."""
    columns = ["count", "last_seen"]
    rows = lake.read(PENDING_VALUES, lake.state_days(PENDING_VALUES, ds), ["ds", *_VALUE, *columns])
    latest = _latest(rows, _VALUE, columns)
    for field, rule in lake.dataset.vocabulary.items():
        if rule.expire_days is not None:
            forgotten = pc.and_(
                pc.equal(latest.column("field"), field),
                pc.less(latest.column("last_seen"), shift(ds, -rule.expire_days)),
            )
            latest = latest.filter(pc.invert(forgotten))
    words = born_by(lake, ds, _VALUE)
    return latest.join(words, _VALUE, join_type="left anti").select([*_VALUE, "count"])


def _latest(rows: pa.Table, keys: list[str], columns: list[str]) -> pa.Table:
    """`columns` of the row with the latest ds of each of `keys`."""
    ordered = rows.sort_by("ds").group_by(keys, use_threads=False)
    last = ordered.aggregate([(name, "last") for name in columns])
    return last.select([*keys, *(f"{name}_last" for name in columns)]).rename_columns(
        [*keys, *columns]
    )
