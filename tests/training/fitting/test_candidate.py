"""Training a candidate: reproducible, warm, and blind to the day that tests it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from conf.errors import RegistryError, TrainingError
from conf.training import SCORER_NAMES, TEXT_SCORERS, TrainingSettings
from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import (
    ENCODED_ITEMS,
    EXAMPLES,
    ITEM_STATS,
    USER_SEQUENCES,
    USER_STATS,
    USERS,
    VOCABULARIES,
)
from tests.training.log_fixture import FIRST_DAY
from training.features.reader import FeatureReader
from training.fitting.candidate import Candidate, train_candidate
from training.fitting.checkpoint import load_checkpoint, load_scorer, save_scorer
from training.fitting.examples import load_examples, plan_of

LakeOf = Callable[[str], Lake]
QUICK = TrainingSettings(
    batch_size=128, embedding_dim=4, hidden=(16, 8), max_epochs=1, bootstrap_epochs=2, negatives=8
)
DS = shift(FIRST_DAY, 7)
LATE = shift(FIRST_DAY, 11)
LEARNS = {"bootstrap_epochs": 8, "embedding_dim": 8, "learning_rate": 0.01}
SCORERS = list(SCORER_NAMES)


def weights_of(candidate: Candidate) -> dict[str, torch.Tensor]:
    return candidate.checkpoint.net.state_dict()


def assert_same(one: Candidate, other: Candidate) -> None:
    for name, weights in weights_of(one).items():
        assert torch.equal(weights, weights_of(other)[name]), name
    assert one.training_losses == other.training_losses
    assert one.validation_losses == other.validation_losses
    assert one.input_hash == other.input_hash


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
@pytest.mark.parametrize("scorer", SCORERS)
def test_two_trainings_give_the_same_weights_to_the_bit(
    lake_of: LakeOf, kind: str, scorer: str, tmp_path: Path
) -> None:
    lake = lake_of(kind)
    first = train_candidate(lake, QUICK, scorer, DS)
    torch.manual_seed(99)  # what the process drew before must not matter
    assert_same(first, train_candidate(lake, QUICK, scorer, DS))
    save_scorer(tmp_path / scorer, first.checkpoint)
    warm = [
        train_candidate(lake, QUICK, scorer, shift(DS, 2), tmp_path / scorer, 1) for _ in range(2)
    ]
    assert_same(*warm)
    assert warm[0].input_hash != first.input_hash


def test_training_leaves_the_process_as_it_was(lake_of: LakeOf) -> None:
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train_candidate(lake_of("impressions"), QUICK, "mlp", DS)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("scorer", [s for s in SCORERS if "sequence" not in s])
def test_a_candidate_learns(lake_of: LakeOf, scorer: str) -> None:
    lake = lake_of("impressions")
    patient = {"bootstrap_epochs": 24, "learning_rate": 0.003} if scorer in {"lstm", "gpt2"} else {}
    patient |= {"unknown_masking": 0.0} if scorer == "lstm" else {}
    candidate = train_candidate(lake, QUICK.model_copy(update=LEARNS | patient), scorer, LATE)
    label = lake.read(EXAMPLES, [shift(FIRST_DAY, d) for d in range(11)]).column("label")
    rate = pc.mean(label).as_py()
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    # a language model that begins from nothing gains less from so few rows
    share = 0.99 if scorer == "gpt2" else 0.97
    assert candidate.validation_losses[candidate.best_pass - 1] < share * entropy
    assert candidate.best_pass == 1 + int(np.argmin(candidate.validation_losses))


@pytest.mark.parametrize("scorer", [s for s in SCORERS if "sequence" in s])
def test_a_candidate_learns_what_comes_next(lake_of: LakeOf, scorer: str) -> None:
    settings = QUICK.model_copy(update=LEARNS)
    losses = train_candidate(lake_of("sampled"), settings, scorer, LATE).validation_losses
    assert min(losses) < 0.99 * losses[0]


def poisoned(lake: Lake, ds: str) -> None:
    """Replace what the day and the days after it say by nonsense."""
    for table, column in ((ITEM_STATS, "positive_h1"), (USER_STATS, "positive_h7")):
        for day in [d for d in lake.days(table) if d >= ds]:
            rows = lake.read(table, [day])
            position = rows.column_names.index(column)
            nonsense = pa.array(np.full(rows.num_rows, 1e6))
            rows = rows.set_column(position, column, nonsense)
            lake.replace(table, {"ds": day}, rows, {"step": "poison", "ds": day})
    for table in (EXAMPLES, USER_SEQUENCES):
        for day in [d for d in lake.days(table) if d >= ds]:
            lake.replace(table, {"ds": day}, lake.read(table, []), {"step": "poison", "ds": day})
    for table in (USERS, ENCODED_ITEMS):
        # who was known on the first day is described anew, as of the same instant
        rows = lake.read(table, [FIRST_DAY]).drop_columns("ds")
        for position, field in enumerate(rows.schema):
            if field.name.startswith("attr_") and field.type == pa.int32():
                rows = rows.set_column(position, field, pa.array([1] * rows.num_rows, pa.int32()))
        for day in [d for d in lake.days(table) if d >= ds]:
            lake.replace(table, {"ds": day}, rows, {"step": "poison", "ds": day})
    born = lake.read(VOCABULARIES, [ds])
    more = pa.table(
        {
            "ds": [ds] * 5,
            "field": ["item_id"] * 5,
            "value": [f"poison{k}" for k in range(5)],
            "id": pa.array(range(900, 905), pa.int32()),
            "born_on": [ds] * 5,
        }
    )
    rows = pa.concat_tables([born, more.cast(born.schema)])
    lake.replace(VOCABULARIES, {"ds": ds}, rows, {"step": "poison", "ds": ds})


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_nothing_of_the_testing_day_or_later_reaches_the_weights(
    own_lake_of: LakeOf, kind: str
) -> None:
    lake = own_lake_of(kind)
    clean = train_candidate(lake, QUICK, "mlp", DS)
    poisoned(lake, DS)
    assert_same(clean, train_candidate(lake, QUICK, "mlp", DS))


def test_a_warm_start_trains_on_the_days_after_its_parent_and_replays_the_days_before(
    lake_of: LakeOf, tmp_path: Path
) -> None:
    lake = lake_of("impressions")
    settings = QUICK.model_copy(update={"replay_rows": 200, "replay_days": 3})
    parent = train_candidate(lake, settings, "mlp", DS)
    assert parent.checkpoint.training.replay_rows == 0
    assert parent.checkpoint.training.last_day == shift(DS, -1)
    save_scorer(tmp_path / "mlp", parent.checkpoint)
    later = shift(DS, 3)
    warm = train_candidate(lake, settings, "mlp", later, tmp_path / "mlp", 4)
    training = warm.checkpoint.training
    assert (training.first_day, training.last_day) == (DS, shift(later, -1))
    assert (training.parent_version, training.replay_rows) == (4, 200)
    new = lake.read(EXAMPLES, [DS, shift(DS, 1), shift(DS, 2)])
    assert training.rows == new.num_rows
    plan = plan_of(lake, later, shift(DS, -1))
    examples = load_examples(lake, plan, settings)
    replayed = examples.day[examples.replayed]
    # a late event arrives a day after the day it happened on
    assert ordinal(DS) - 4 <= replayed.min()
    assert replayed.max() < ordinal(DS)
    assert warm.checkpoint.net.schema.day == shift(later, -1)
    grown = warm.checkpoint.net.schema.user.index.size
    assert grown > parent.checkpoint.net.schema.user.index.size


def test_replayed_rows_have_the_features_of_their_own_time(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    plan = plan_of(lake, shift(DS, 2), DS)
    examples = load_examples(lake, plan, QUICK)
    day = int(examples.day[examples.replayed].max())
    rows = np.flatnonzero(examples.day == day)
    ds = str(np.datetime64(day, "D"))
    reader = FeatureReader(lake, ds, ds)
    at = np.full(len(rows), reader.start_of(day) + np.timedelta64(1, "h"))
    found = examples.users.take(examples.user[rows])
    then = reader.users(found.index, at, examples.day[rows])
    np.testing.assert_array_equal(then.numeric, found.numeric)
    np.testing.assert_array_equal(then.history, found.history)


def test_no_more_than_four_rows_are_replayed_per_new_row(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    examples = load_examples(lake, plan_of(lake, shift(DS, 1), shift(DS, -1)), QUICK)
    new = lake.read(EXAMPLES, [DS]).num_rows
    assert (~examples.replayed).sum() == new
    assert examples.replayed.sum() == QUICK.replay_share * new < QUICK.replay_rows


def test_nothing_new_since_the_parent_is_an_error_with_the_next_command(
    lake_of: LakeOf, tmp_path: Path
) -> None:
    lake = lake_of("impressions")
    save_scorer(tmp_path / "mlp", train_candidate(lake, QUICK, "mlp", DS).checkpoint)
    with pytest.raises(TrainingError, match=rf"nothing to train on for {DS}.*dayfold run"):
        train_candidate(lake, QUICK, "mlp", DS, tmp_path / "mlp", 1)
    with pytest.raises(TrainingError, match="nothing to train on"):
        train_candidate(lake, QUICK, "mlp", FIRST_DAY)


def test_a_changed_shape_starts_afresh_on_all_days_and_says_so(
    lake_of: LakeOf, tmp_path: Path
) -> None:
    lake = lake_of("impressions")
    save_scorer(tmp_path / "mlp", train_candidate(lake, QUICK, "mlp", DS).checkpoint)
    wider = QUICK.model_copy(update={"hidden": (24, 8)})
    fresh = train_candidate(lake, wider, "mlp", shift(DS, 1), tmp_path / "mlp", 1)
    assert "shape" in fresh.fresh_because[0]
    assert fresh.checkpoint.training.parent_version == 0
    assert fresh.checkpoint.training.first_day == FIRST_DAY
    other_dropout = QUICK.model_copy(update={"dropout": 0.3})
    warm = train_candidate(lake, other_dropout, "mlp", shift(DS, 1), tmp_path / "mlp", 1)
    assert warm.fresh_because == []


def test_a_loss_that_is_not_a_number_is_an_error(own_lake_of: LakeOf) -> None:
    lake = own_lake_of("impressions")
    rows = lake.read(EXAMPLES, [FIRST_DAY])
    position = rows.column_names.index("weight")
    rows = rows.set_column(position, "weight", pa.array(np.full(rows.num_rows, np.inf)))
    lake.replace(EXAMPLES, {"ds": FIRST_DAY}, rows, {"step": "test", "ds": FIRST_DAY})
    with pytest.raises(FloatingPointError, match="the loss is"):
        train_candidate(lake, QUICK, "mlp", DS)


@pytest.mark.parametrize("scorer", SCORERS)
def test_a_saved_scorer_gives_the_same_logits(lake_of: LakeOf, scorer: str, tmp_path: Path) -> None:
    lake = lake_of("impressions")
    candidate = train_candidate(lake, QUICK, scorer, DS)
    directory = tmp_path / "candidates" / scorer
    save_scorer(directory, candidate.checkpoint)
    save_scorer(directory, candidate.checkpoint)  # a re-run replaces it
    assert sorted(p.name for p in directory.iterdir()) == [
        "optimizer.safetensors",
        "scorer.json",
        "weights.safetensors",
    ]
    assert [p.name for p in directory.parent.iterdir()] == [scorer]
    reader = FeatureReader(lake, DS, DS, with_text=scorer in TEXT_SCORERS)
    rows = reader.rows(lake.read(EXAMPLES, [DS]))
    from training.scorers.trained import TrainedScorer

    expected = TrainedScorer(scorer, candidate.checkpoint.net).logits(rows)
    np.testing.assert_array_equal(load_scorer(directory).logits(rows), expected)
    again = load_checkpoint(directory)
    assert again.training == candidate.checkpoint.training
    assert again.moments.keys() == candidate.checkpoint.moments.keys()


def test_a_folder_without_a_scorer_or_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"expected scorer\.json"):
        load_scorer(tmp_path)
    (tmp_path / "scorer.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(RegistryError, match="has format 99, expected 1"):
        load_scorer(tmp_path)
