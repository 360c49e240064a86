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
    exact = [{k: v for k, v in row.items() if k not in floats} for row in before]
    keyed = {
        json.dumps(e, default=str, sort_keys=True): row
        for e, row in zip(exact, before, strict=True)
    }
    for row in after:
        key = json.dumps(
            {k: v for k, v in row.items() if k not in floats}, default=str, sort_keys=True
        )
        assert key in keyed, (table.key, row)
        old = [keyed[key][name] for name in floats]
        new = [row[name] for name in floats]
        np.testing.assert_allclose(
            np.array(new, float), np.array(old, float), rtol=1e-9, atol=1e-9, err_msg=table.key
        )
