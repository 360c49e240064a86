"""Expired ids: their rows are the row of unknown again, and nothing else moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES, EXPIRIES, VOCABULARIES
from feature_store.traces import NEUTRAL
from tests.training.log_fixture import FIRST_DAY
from training.features.reader import FeatureReader
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import Checkpoint, save_scorer
from training.fitting.expired import ids_by_field, reset_rows
from training.scorers.trained import TrainedScorer

LakeOf = Callable[[str], Lake]
QUICK = TrainingSettings(
    batch_size=128, embedding_dim=4, hidden=(16, 8), max_epochs=1, bootstrap_epochs=2, negatives=8
)
DS = shift(FIRST_DAY, 7)
USERS_GONE, CATEGORY_GONE = [5, 9], [3]
TABLES = {"inputs.user.index": USERS_GONE, "inputs.item.categorical.0": CATEGORY_GONE}
"""The tables of user_id and item.category, and the rows that are reset in them."""


def _turns(ds: str, *turns: tuple[str, int, str]) -> pa.Table:
    field, ids, state = zip(*turns, strict=True)
    turned_on = [ds] * len(ids)
    return pa.table(
        {
            "field": field,
            "id": pa.array(ids, pa.int32()),
            "state": state,
            "turned_on": pa.array(turned_on, pa.string()),
        }
    )


GONE = (*(("user_id", i, "expired") for i in USERS_GONE), ("item.category", 3, "expired"))


def _put(lake: Lake, ds: str, *turns: tuple[str, int, str]) -> None:
    lake.replace(EXPIRIES, {"ds": ds}, _turns(ds, *turns), {"step": "test"})


def _rest(name: str, values: torch.Tensor) -> torch.Tensor:
    """`values` without the rows that are reset in this parameter."""
    ids = TABLES.get(name.split("|", maxsplit=1)[0].removesuffix(".weight"), [])
    keep = [row for row in range(len(values)) if row not in ids] if values.dim() else ...
    return values[keep]


def _check(before: Checkpoint, net: torch.nn.Module, moments: dict[str, torch.Tensor]) -> None:
    weights = net.state_dict()
    for table, ids in TABLES.items():
        rows = weights[f"{table}.weight"]
        assert (rows[ids] == rows[0]).all()
        for state in ("exp_avg", "exp_avg_sq"):
            assert not moments[f"{table}.weight|{state}"][ids].any()
            assert before.moments[f"{table}.weight|{state}"][ids].any()
    old = before.net.state_dict()
    for name in old:
        assert torch.equal(_rest(name, weights[name]), _rest(name, old[name])), name
    for name in before.moments:
        assert torch.equal(_rest(name, moments[name]), _rest(name, before.moments[name])), name


def test_rows_of_expired_ids_become_the_row_of_unknown_and_no_other_bit_changes(
    lake_of: LakeOf,
) -> None:
    lake = lake_of("impressions")
    trained = train_candidate(lake, QUICK, "mlp", DS).checkpoint
    again = train_candidate(lake, QUICK, "mlp", DS).checkpoint
    rows = FeatureReader(lake, DS, DS).rows(lake.read(EXAMPLES, [DS]))
    before = TrainedScorer("mlp", again.net).logits(rows)
    moments = reset_rows(again.net, again.moments, ids_by_field(_turns(DS, *GONE)))
    _check(trained, again.net, moments)
    after = TrainedScorer("mlp", again.net).logits(rows)
    touched = np.isin(rows.user.index, USERS_GONE) | (rows.item.categorical[:, 0] == 3)
    assert 0 < touched.sum() < len(rows)
    np.testing.assert_array_equal(after[~touched], before[~touched])
    assert (after[touched] != before[touched]).any()


def test_a_candidate_reads_what_expired_by_its_vocabulary_day_as_unknown(
    own_lake_of: LakeOf, tmp_path: Path
) -> None:
    lake = own_lake_of("impressions")
    usual = train_candidate(lake, QUICK, "mlp", DS)
    _put(lake, DS, *GONE)
    same = train_candidate(lake, QUICK, "mlp", DS)  # what happens on DS is not known before it
    assert same.input_hash == usual.input_hash
    _put(lake, shift(DS, -1), *GONE)
    lake.clear(EXPIRIES, [DS], {"step": "test"})
    expired = train_candidate(lake, QUICK, "mlp", DS)
    _check(usual.checkpoint, expired.checkpoint.net, expired.checkpoint.moments)
    assert expired.input_hash != usual.input_hash


def test_an_id_that_came_back_begins_as_unknown_in_the_next_candidate(
    own_lake_of: LakeOf, tmp_path: Path
) -> None:
    lake = own_lake_of("impressions")
    parent = train_candidate(lake, QUICK, "mlp", DS)
    save_scorer(tmp_path / "mlp", parent.checkpoint)
    warm = [train_candidate(lake, QUICK, "mlp", shift(DS, 2), tmp_path / "mlp", 1)]
    _put(lake, DS, *GONE)
    _put(lake, shift(DS, 1), ("user_id", 5, "returned"), ("user_id", 9, "returned"))
    warm.append(train_candidate(lake, QUICK, "mlp", shift(DS, 2), tmp_path / "mlp", 1))
    old = parent.checkpoint.net.state_dict()["inputs.user.index.weight"]
    without, with_turns = (c.checkpoint.net.state_dict()["inputs.user.index.weight"] for c in warm)
    for i in USERS_GONE:
        from_unknown = (with_turns[i] - old[0]).norm()
        assert from_unknown < (with_turns[i] - old[i]).norm()
        assert (without[i] - old[i]).norm() < (without[i] - old[0]).norm()
        assert not torch.equal(with_turns[i], with_turns[0])  # it is trained again
    category = warm[1].checkpoint.net.state_dict()["inputs.item.categorical.0.weight"]
    assert torch.equal(category[3], category[0])


def test_a_candidate_knows_nothing_of_a_forgotten_user(own_lake_of: LakeOf, tmp_path: Path) -> None:
    lake = own_lake_of("impressions")
    parent = train_candidate(lake, QUICK, "mlp", DS)
    save_scorer(tmp_path / "mlp", parent.checkpoint)
    days = lake.days(VOCABULARIES)
    for day in days:
        rows = lake.read(VOCABULARIES, [day]).to_pylist()
        for row in rows:
            if (row["field"], row["id"]) == ("user_id", 5):
                row["value"] = f"{NEUTRAL}5"
        changed = pa.Table.from_pylist(rows, lake.schema(VOCABULARIES))
        lake.replace(VOCABULARIES, {"ds": day}, changed, {"step": "test"})
    candidate = train_candidate(lake, QUICK, "mlp", shift(DS, 2), tmp_path / "mlp", 1)
    rows_of_users = candidate.checkpoint.net.state_dict()["inputs.user.index.weight"]
    assert torch.equal(rows_of_users[5], rows_of_users[0])
    assert not torch.equal(rows_of_users[6], rows_of_users[0])
    assert not candidate.checkpoint.moments["inputs.user.index.weight|exp_avg"][5].any()
