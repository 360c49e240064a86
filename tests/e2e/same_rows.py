"""Whether two runs of a day left the same rows: all equal, floats within 1e-9."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from feature_store.tables import Table
from tests.e2e.conftest import Shop


def rows_of(shop: Shop, table: Table, ds: str) -> list[dict[str, Any]]:
    rows = shop.lake.read(table, [ds]).to_pylist()
    return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))


def assert_same_rows(
    table: Table, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    assert len(before) == len(after), table.key
    floats = [c.name for c in table.columns if c.type == "double"]

    def in_order(rows: list[dict[str, Any]]) -> list[tuple[str, list[float]]]:
        exact = [{k: v for k, v in row.items() if k not in floats} for row in rows]
        keys = [json.dumps(row, default=str, sort_keys=True) for row in exact]
        numbers = [[np.nan if row[n] is None else row[n] for n in floats] for row in rows]
        return sorted(zip(keys, numbers, strict=True))

    for (old_key, old), (new_key, new) in zip(in_order(before), in_order(after), strict=True):
        assert old_key == new_key, table.key
        np.testing.assert_allclose(new, old, rtol=1e-9, atol=1e-9, err_msg=table.key)
