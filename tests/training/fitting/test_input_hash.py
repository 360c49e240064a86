"""The hash of what a candidate was trained on: all of it, and not the last bits of a sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conf.training import TextSettings, TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import ENCODED_ITEMS, EXAMPLES, ITEM_STATS, USER_STATS, Table
from tests.training.log_fixture import FIRST_DAY, LINEAGE
from tests.training.text.tiny_models import tiny_bert
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import save_scorer

LakeOf = Callable[[str], Lake]
QUICK = TrainingSettings(
    batch_size=512, embedding_dim=4, hidden=(8,), max_epochs=1, bootstrap_epochs=1, negatives=4
)
DS = shift(FIRST_DAY, 4)


def input_hash(lake: Lake) -> str:
    return train_candidate(lake, QUICK, "mlp", DS).input_hash


def rewrite(lake: Lake, table: Table, ds: str, change: Callable[[pa.Table], pa.Table]) -> None:
    lake.replace(table, {"ds": ds}, change(lake.read(table, [ds])), LINEAGE)


def times(factor: float) -> Callable[[pa.Table], pa.Table]:
    """The rows with every sum multiplied by `factor`."""

    def multiplied(rows: pa.Table) -> pa.Table:
        for position, field in enumerate(rows.schema):
            if pa.types.is_floating(field.type):
                rows = rows.set_column(position, field, pc.multiply(rows.column(position), factor))
        return rows

    return multiplied


def in_another_order(rows: pa.Table) -> pa.Table:
    return rows.take(pa.array(range(rows.num_rows - 1, -1, -1)))


def other_category(rows: pa.Table) -> pa.Table:
    position = rows.column_names.index("attr_category")
    ones = pa.array([1] * rows.num_rows, pa.int32())
    return rows.set_column(position, rows.schema.field(position), ones)


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_what_is_known_of_items_is_part_of_it(own_lake_of: LakeOf, kind: str) -> None:
    lake = own_lake_of(kind)
    before = input_hash(lake)
    rewrite(lake, ITEM_STATS, shift(DS, -2), times(1.01))
    corrected = input_hash(lake)
    assert corrected != before
    rewrite(lake, ENCODED_ITEMS, FIRST_DAY, other_category)
    assert input_hash(lake) not in (before, corrected)


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_the_last_bits_of_sums_and_the_order_of_rows_are_not(
    own_lake_of: LakeOf, kind: str
) -> None:
    lake = own_lake_of(kind)
    before = input_hash(lake)
    for table in (ITEM_STATS, USER_STATS):
        for day in range(4):
            rewrite(lake, table, shift(FIRST_DAY, day), times(1 + 4e-16))
            rewrite(lake, table, shift(FIRST_DAY, day), in_another_order)
    assert input_hash(lake) == before


def test_the_parents_weights_and_moments_are_part_of_it(lake_of: LakeOf, tmp_path: Path) -> None:
    lake = lake_of("impressions")
    parent = train_candidate(lake, QUICK, "mlp", DS).checkpoint
    moments = {name: values * 1.5 for name, values in parent.moments.items()}
    fresh = train_candidate(lake, QUICK.model_copy(update={"seed": 8}), "mlp", DS).checkpoint
    hashes = []
    for number, checkpoint in enumerate(
        (parent, parent, replace(parent, moments=moments), replace(parent, net=fresh.net))
    ):
        save_scorer(tmp_path / str(number), checkpoint)
        warm = train_candidate(lake, QUICK, "mlp", shift(DS, 1), tmp_path / str(number), 1)
        hashes.append(warm.input_hash)
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_what_a_made_tokenizer_is_fitted_on_is_part_of_it(
    own_lake_of: LakeOf, tmp_path: Path
) -> None:
    lake = own_lake_of("impressions")
    made = {"made_layers": 1, "made_width": 16, "made_vocabulary": 300, "max_tokens": 12}
    text = TextSettings.model_validate({"bert_model": tiny_bert(tmp_path / "bert"), **made})
    settings = QUICK.model_copy(update={"text": text})

    def hashes() -> tuple[str, str]:
        made, frozen = (train_candidate(lake, settings, s, DS) for s in ("gpt2", "bert"))
        return made.input_hash, frozen.input_hash

    before, first = hashes(), lake.days(ENCODED_ITEMS)[0]
    asked = lake.read(EXAMPLES, lake.days(EXAMPLES)).column("item_index").to_pylist()
    rows = lake.read(ENCODED_ITEMS, [first]).to_pylist()
    rows.append(rows[0] | {"item_index": max(asked) + 1, "text": "never asked for"})
    changed = pa.Table.from_pylist(rows, lake.schema(ENCODED_ITEMS)).drop_columns(["ds"])
    lake.replace(ENCODED_ITEMS, {"ds": first}, changed, LINEAGE)
    after = hashes()
    assert after[0] != before[0]
    assert after[1] == before[1]
