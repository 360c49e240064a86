"""The report shows of a day what `dayfold status` says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dayfold import report, rollback
from dayfold.status import collect_status
from dayfold.workplace import Workplace
from feature_store.tables import DAILY_METRICS, EVALUATIONS
from tests.dayfold.forget_fixture import quiet
from tests.dayfold.rollback_fixture import put_back, three_days
from tests.dayfold.test_rollback import WHY
from tests.training.promotion_fixture import D1, D2, D3

SCORED = {D2: 0.656, D3: 0.7}
"""AUC of the champion on the days that it scored."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """D1 to D3 promoted; D2 and D3 were scored before by the champion of the day before."""
    home = tmp_path_factory.mktemp("report") / "home"
    lake = three_days(home).lake()
    for ds, auc in SCORED.items():
        tables = {
            DAILY_METRICS: {"subject": "champion", "metric": "auc", "value": auc, "n": 100},
            EVALUATIONS: {"scorer": "mlp", "metric": "auc", "value": 0.9, "head_value": auc},
        }
        for table, row in tables.items():
            partition = {"ds": ds} | ({"scorer": "mlp"} if table is EVALUATIONS else {})
            schema = pa.schema([f for f in lake.schema(table) if f.name not in partition])
            content = pa.Table.from_pylist([row], schema)
            lake.replace(table, partition, content, {"step": "test", "ds": ds})
    return home


@pytest.fixture
def place(made: Path) -> Iterator[Workplace]:
    with put_back(made) as there:
        yield there


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_champions_line_is_what_scored_each_day(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, *, by_hand: bool
) -> None:
    """Neither the winner's test on its day, nor nothing on a day that was rolled back."""
    if by_hand:
        rollback.roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    lines: dict[str, list[float | None]] = {}

    def plot(_days: object, panels: list[list[Any]], **_more: object) -> str:
        lines.update(line for panel in panels for line in panel)
        return ""

    monkeypatch.setattr(report, "_plot", plot)
    days = collect_status(place.lake(), 14)
    report._metrics(days)
    assert [day["ds"] for day in days] == [D1, D2, D3]
    assert lines == {"champion auc": [None, SCORED[D2], SCORED[D3]]}
