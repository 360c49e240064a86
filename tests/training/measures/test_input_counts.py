"""The day's inputs, counted, and what moved among them: against DuckDB and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES, INPUT_COUNTS, SKETCHES
from tests.training.lake_fixture import small_dataset
from tests.training.log_fixture import LINEAGE
from tests.training.promoted_home import Home
from training.drift.input_drift import moved_inputs, moved_slices

DS = "2026-02-10"
DAYS = [shift(DS, -number) for number in range(10, 0, -1)]


@pytest.fixture(scope="module")
def home(promoted: Callable[[str], Home]) -> Home:
    return promoted("impressions")


def test_every_field_counts_every_example(home: Home) -> None:
    ds = max(home.lake.days(INPUT_COUNTS))
    counts = home.lake.read(INPUT_COUNTS, [ds])
    examples = home.lake.read(EXAMPLES, [ds])
    dataset = home.lake.dataset
    if not counts.num_rows:
        pytest.fail(f"{ds} has no input counts")
    total = duckdb.sql(
        "select field, sum(rows) n, sum(new) new from counts group by field"
    ).fetchall()
    sums = {field: (n, new) for field, n, new in total}
    single = [a.name for a in dataset.user_attributes if a.kind != "multi"]
    for field in [
        "user_id",
        "item_id",
        "context.hour",
        "user.known",
        *(f"user.{a}" for a in single),
    ]:
        assert sums[field][0] == examples.num_rows, field
    by_user = duckdb.sql(
        "select user_index, count(*) n from examples group by user_index"
    ).fetchall()
    assert sum(n for _, n in by_user) == examples.num_rows
    # the fields name nobody
    assert set(
        counts.filter(pa.compute.equal(counts["field"], "user_id"))["value"].to_pylist()
    ) <= {0, 1}


def put_inputs(lake: Lake, ds: str, counts: dict[str, dict[int, int]], new: int = 0) -> None:
    rows = [
        {"field": field, "value": value, "rows": n, "new": min(new, n) if value == 0 else 0}
        for field, values in counts.items()
        for value, n in values.items()
    ]
    schema = pa.schema([f for f in lake.schema(INPUT_COUNTS) if f.name != "ds"])
    lake.replace(INPUT_COUNTS, {"ds": ds}, pa.Table.from_pylist(rows, schema), LINEAGE)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", small_dataset())


def test_what_moved_most_is_named_first_with_its_values_and_what_is_usual(lake: Lake) -> None:
    random = np.random.default_rng(0)
    for ds in DAYS:
        jitter = int(random.integers(-3, 4))
        put_inputs(
            lake, ds, {"user.age": {2: 500 + jitter, 3: 500 - jitter}, "context.x": {2: 100, 0: 10}}
        )
    put_inputs(lake, DS, {"user.age": {2: 800, 4: 200}, "context.x": {2: 100, 0: 30}}, new=20)
    age, context = moved_inputs(lake, DS, DAYS)
    assert age["field"] == "user.age"
    assert age["distance"] == pytest.approx(
        0.5, abs=0.01
    )  # all of 3, half of the rows, is elsewhere
    assert age["usual_distance"] < 0.01
    assert {v["value"] for v in age["values"]} == {2, 3, 4}
    assert context["new_share"] == pytest.approx(20 / 130)
    assert context["usual_new_share"] == 0.0
    assert moved_inputs(lake, DS, []) == []


def test_a_slice_whose_labels_moved_is_named(lake: Lake) -> None:
    random = np.random.default_rng(1)

    def put(ds: str, odd: float) -> None:
        rows = []
        for name, factor in (
            ("all", 1.0),
            ("history=none", odd),
            ("history=some", 1.0),
            ("ctx_x=9", 9.0),
        ):
            n = 10 if name == "ctx_x=9" else 2000
            clicks = float(random.poisson(0.1 * n * factor))
            rows.append(
                {
                    "model_version": 1,
                    "slice": name,
                    "bin": 80,
                    "n": n,
                    "clicks": clicks,
                    "expected": 0.1 * n,
                }
            )
        schema = pa.schema([f for f in lake.schema(SKETCHES) if f.name != "ds"])
        lake.replace(SKETCHES, {"ds": ds}, pa.Table.from_pylist(rows, schema), LINEAGE)

    for ds in DAYS:
        put(ds, 1.0)
    put(DS, 0.5)
    first, second = moved_slices(lake, DS, DAYS)
    assert (first["slice"], second["slice"]) == ("history=none", "history=some")
    assert first["log_observed_expected"] == pytest.approx(np.log(0.5), abs=0.25)
    assert first["errors"] < -4 < abs(second["errors"]) * -1
