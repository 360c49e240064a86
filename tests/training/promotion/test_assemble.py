"""Which runs of a day register a version: those in which what it holds has changed."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from conf.settings import Settings
from feature_store.champion import Standing, standing_after
from feature_store.lake import Lake
from feature_store.tables import ITEM_STATS, USER_STATS, USERS, Table
from tests.training.promotion_fixture import (
    D1,
    context_of,
    first_promotion,
    promote,
    versions_of,
)
from training.registry.registry import Registry


def corrected(
    lake: Lake, table: Table, column: str, values: Callable[[pa.Array], pa.Array]
) -> None:
    """Rewrite a column of D1."""
    rows = lake.read(table, [D1])
    position = rows.column_names.index(column)
    changed = values(rows.column(position))
    rows = rows.set_column(position, rows.schema.field(position), changed)
    lake.replace(table, {"ds": D1}, rows, {"step": "test", "ds": D1})


def test_a_day_whose_profiles_were_corrected_registers_what_it_knows_now(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    corrected(lake, USERS, "attr_city", lambda column: pa.array([5] * len(column), pa.int32()))
    promote(context_of(lake, settings, D1))
    assert standing_after(lake, D1) == Standing(4, "mlp", {"two_tower": 3, "mlp": 4})
    assert len(versions_of(registry)) == 4


def test_sums_that_differ_in_their_last_bits_register_nothing(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    for table in (USER_STATS, ITEM_STATS):
        corrected(lake, table, "positive_h7", lambda sums: pc.multiply(sums, 1 + 4e-16))
    promote(context_of(lake, settings, D1))
    assert len(versions_of(registry)) == 2
