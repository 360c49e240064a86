"""Days that hold too little to train on: an error with numbers, and no untrained weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from conf.errors import TrainingError
from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.log_fixture import FIRST_DAY, LINEAGE
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import save_scorer

LakeOf = Callable[[str], Lake]
QUICK = TrainingSettings(
    batch_size=128, embedding_dim=4, hidden=(8,), max_epochs=1, bootstrap_epochs=1, negatives=4
)
DS = shift(FIRST_DAY, 5)
NOBODY_KNOWS = 999


def leave(lake: Lake, ds: str, rows: int, *, unknown: int = 0) -> None:
    """Leave so many examples of `ds`, and further ones whose item was in no catalogue."""
    there = lake.read(EXAMPLES, [ds]).sort_by("event_timestamp")
    known = there.filter(pa.array([day == ds for day in there.column("event_ds").to_pylist()]))
    assert known.num_rows >= rows + unknown
    kept = known.slice(0, rows + unknown)
    position = kept.column_names.index("item_index")
    items = [*kept.column("item_index").to_pylist()[:rows], *[NOBODY_KNOWS] * unknown]
    kept = kept.set_column(position, kept.schema.field(position), pa.array(items, pa.int32()))
    lake.replace(EXAMPLES, {"ds": ds}, kept, LINEAGE)


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("scorer", ["two_tower", "mlp"])
def test_positives_of_unknown_items_are_nothing_to_train_on(
    own_lake_of: LakeOf, scorer: str, rows: int
) -> None:
    lake = own_lake_of("sampled")
    for day in range(4):
        leave(lake, shift(FIRST_DAY, day), 0)
    leave(lake, shift(DS, -1), rows, unknown=30)
    expected = rf"{scorer} cannot be trained on 2026-01-05 to 2026-01-05: found {rows} new rows"
    with pytest.raises(TrainingError, match=expected + ".*expected at least 2.*Next: dayfold"):
        train_candidate(lake, QUICK, scorer, DS)


def test_one_example_is_too_little(own_lake_of: LakeOf) -> None:
    lake = own_lake_of("impressions")
    for day in range(4):
        leave(lake, shift(FIRST_DAY, day), 0)
    leave(lake, shift(DS, -1), 1)
    with pytest.raises(TrainingError, match=r"found 1 new rows of .*examples.* and 0 to replay"):
        train_candidate(lake, QUICK, "mlp", DS)


@pytest.mark.parametrize("scorer", ["two_tower", "mlp"])
def test_the_rows_that_are_reported_are_those_trained_on(own_lake_of: LakeOf, scorer: str) -> None:
    lake = own_lake_of("sampled")
    for day in range(4):
        leave(lake, shift(FIRST_DAY, day), 0)
    leave(lake, shift(DS, -1), 30, unknown=20)
    candidate = train_candidate(lake, QUICK, scorer, DS)
    assert candidate.checkpoint.training.rows == 30
    assert len(candidate.training_losses) > 0


def test_a_warm_start_without_a_new_row_is_refused_although_there_are_rows_to_replay(
    own_lake_of: LakeOf, tmp_path: Path
) -> None:
    lake = own_lake_of("sampled")
    save_scorer(tmp_path / "mlp", train_candidate(lake, QUICK, "mlp", DS).checkpoint)
    leave(lake, DS, 0, unknown=30)
    with pytest.raises(TrainingError, match=r"found 0 new rows .* and \d+ to replay"):
        train_candidate(lake, QUICK, "mlp", shift(DS, 1), tmp_path / "mlp", 1)
