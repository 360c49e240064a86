"""The nets: shapes, learning, growth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conf.errors import ConfigError, TrainingError
from conf.training import RECALLING_SCORERS, SCORER_NAMES, TEXT_SCORERS
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.log_fixture import FIRST_DAY
from training.features.reader import FeatureReader
from training.features.rows import Rows
from training.fitting.losses import check_finite, click_loss, list_loss
from training.fitting.memory import remembers
from training.fitting.optimizer import make_optimizer, moments_of
from training.scorers import SCORERS, Architecture, build
from training.scorers.batch import Batch, batch_of_rows
from training.scorers.dropout import PairDropout
from training.scorers.norm import Norm
from training.scorers.schema import Schema, schema_on
from training.scorers.trained import TrainedScorer

LakeOf = Callable[[str], Lake]
SMALL = Architecture(embedding_dim=8, hidden=(16, 8), dropout=0.1)
EARLY, LATE = shift(FIRST_DAY, 3), shift(FIRST_DAY, 9)


def rows_on(lake: Lake, ds: str) -> tuple[Rows, np.ndarray]:
    examples = lake.read(EXAMPLES, [ds])
    return FeatureReader(lake, ds, ds).rows(examples), examples.column("label").to_numpy()


def fixed(seed: int = 0) -> None:
    torch.manual_seed(seed)


# a memory has no weights to learn rows by heart with, and the net beside it is `sequence`
@pytest.mark.parametrize("name", [name for name in SCORERS if not remembers(name)])
def test_a_scorer_overfits_32_rows(lake_of: LakeOf, name: str) -> None:
    lake = lake_of("impressions")
    rows, label = rows_on(lake, EARLY)
    rows, label = rows.take(slice(0, 32)), label[:32]
    fixed()
    net = build(name, schema_on(lake, EARLY), replace(SMALL, dropout=0.0))
    batch = batch_of_rows(rows, net.schema, label)
    optimizer = make_optimizer(net, 0.02, 0.0, None)
    for _ in range(300):
        optimizer.zero_grad()
        loss = click_loss(net(batch), batch) / 32
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    scores = TrainedScorer(name, net).logits(rows)
    assert scores[label == 1].min() > scores[label == 0].max()


@pytest.mark.parametrize("name", SCORERS)
def test_growing_leaves_the_logits_of_old_ids_as_they_were_to_the_bit(
    lake_of: LakeOf, name: str
) -> None:
    lake = lake_of("impressions")
    old, new = schema_on(lake, EARLY), schema_on(lake, LATE)
    rows, _ = rows_on(lake, LATE)
    known = rows.user.index < old.user.index.size
    known &= rows.item.index < old.item.index.size
    known &= (rows.user.history < old.item.index.size).all(axis=1)
    assert 0 < known.sum() < len(known)
    fixed()
    net = build(name, old, SMALL)
    scorer = TrainedScorer(name, net)
    before, unknown = scorer.logits(rows.take(known)), scorer.logits(rows.take(~known))
    net.grow(new)
    np.testing.assert_array_equal(scorer.logits(rows.take(known)), before)
    # a new row is a copy of the unknown's, so that an id's birth alone changes nothing
    unchanged = rows.take(~known)
    same_history = (unchanged.user.history < old.item.index.size).all(axis=1)
    np.testing.assert_array_equal(scorer.logits(unchanged)[same_history], unknown[same_history])
    assert net.schema == new


def test_moments_of_new_rows_are_zero_and_old_ones_are_kept(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    rows, label = rows_on(lake, EARLY)
    fixed()
    net = build("mlp", schema_on(lake, EARLY), SMALL)
    batch = batch_of_rows(rows, net.schema, label)
    optimizer = make_optimizer(net, 0.01, 0.0, None)
    for _ in range(2):  # the last layer begins at zero: the first step moves nothing before it
        optimizer.zero_grad()
        click_loss(net(batch), batch).backward()
        optimizer.step()
    moments = moments_of(net, optimizer)
    net.grow(schema_on(lake, LATE))
    after = moments_of(net, make_optimizer(net, 0.01, 0.0, moments))
    name = "inputs.user.index.weight|exp_avg"
    old = moments[name]
    assert len(after[name]) == len(net.inputs.user.index.weight) > len(old)
    torch.testing.assert_close(after[name][: len(old)], old, rtol=0, atol=0)
    assert not after[name][len(old) :].any()
    assert old.any()
    assert after.keys() == moments.keys()


def test_dot_products_of_the_vectors_are_the_logits(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    rows, _ = rows_on(lake, EARLY)
    fixed()
    scorer = TrainedScorer("two_tower", build("two_tower", schema_on(lake, EARLY), SMALL))
    users, items = scorer.user_vectors(rows.user), scorer.item_vectors(rows.item)
    assert users.shape == items.shape == (len(rows), 2 * 8 + 2)
    np.testing.assert_allclose((users * items).sum(axis=1), scorer.logits(rows), atol=1e-5)


def test_a_scorer_without_vectors_says_so(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    rows, _ = rows_on(lake, EARLY)
    scorer = TrainedScorer("mlp", build("mlp", schema_on(lake, EARLY), SMALL))
    assert not scorer.can_recall
    with pytest.raises(TrainingError, match=r"two_tower first in training\.scorers"):
        scorer.user_vectors(rows.user)


def test_no_rows_give_no_logits(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    rows, _ = rows_on(lake, EARLY)
    scorer = TrainedScorer("mlp", build("mlp", schema_on(lake, EARLY), SMALL))
    assert scorer.logits(rows.take(slice(0, 0))).shape == (0,)


def test_pairs_of_a_list_are_scored_as_if_they_were_alone(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    rows, _ = rows_on(lake, EARLY)
    fixed()
    for name in SCORERS:
        net = build(name, schema_on(lake, EARLY), SMALL).eval()
        alone = batch_of_rows(rows, net.schema)
        listed = alone._replace(
            pair=torch.stack([torch.arange(len(rows)), torch.zeros(len(rows)).long()], 1)
        )
        crossed = Rows(rows.user, rows.item.take(np.zeros(len(rows), int)), rows.context)
        with torch.inference_mode():
            both = net(listed)
            first = net(batch_of_rows(crossed, net.schema))
            torch.testing.assert_close(both[:, :1], net(alone), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(both[:, 1:], first, rtol=1e-4, atol=1e-5)


def test_the_losses_equal_their_formulas() -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.2, 0.1]])
    correction = torch.tensor([[0.0, -0.5, float("-inf")], [0.0, -0.5, -0.25]])
    batch = Batch(
        None, None, None, None, torch.tensor([1.0, 0.0]), torch.tensor([1.0, 2.0]), correction
    )  # type: ignore[arg-type]
    odds = np.exp(logits.numpy() + correction.numpy())
    expected = -np.log(odds[:, 0] / odds.sum(axis=1)) @ [1.0, 2.0]
    assert float(list_loss(logits, batch)) == pytest.approx(expected, rel=1e-6)
    probability = 1 / (1 + np.exp(-logits[:, 0].numpy()))
    expected = -np.log(probability[0]) - 2 * np.log(1 - probability[1])
    assert float(click_loss(logits, batch)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_stops_the_training(loss: float) -> None:
    with pytest.raises(FloatingPointError, match="at step 12, expected a finite number"):
        check_finite(loss, 12)
    assert check_finite(0.5, 12) == 0.5


def test_one_row_alone_passes_batch_norm_in_training() -> None:
    norm = Norm(3).train()
    assert torch.isfinite(norm(torch.ones(1, 3))).all()


def test_pair_dropout_drops_the_same_units_for_all_items_of_a_user() -> None:
    dropped = PairDropout(0.5).train()(torch.ones(4, 7, 16))
    assert (dropped == dropped[:, :1]).all()
    assert 0 < (dropped == 0).float().mean() < 1


def test_an_unknown_scorer_is_refused_with_the_known_ones(lake_of: LakeOf) -> None:
    schema: Schema = schema_on(lake_of("impressions"), EARLY)
    known = (
        r"\['bert', 'gpt2', 'lstm', 'mlp', 'ncf', 'neighbours', 'sequence', "
        r"'sequence_neighbours', 'two_tower'\]"
    )
    with pytest.raises(ConfigError, match=f"'gpt9' is not known, expected one of {known}"):
        build("gpt9", schema, SMALL)


def test_a_schema_comes_back_from_json(lake_of: LakeOf, tmp_path: Path) -> None:
    schema = schema_on(lake_of("impressions"), EARLY)
    assert Schema.from_json(schema.to_json()) == schema
    assert schema.difference(schema_on(lake_of("impressions"), LATE)) == []
    shrunk = schema_on(lake_of("impressions"), LATE).difference(schema)
    assert shrunk
    assert all(reason.startswith("smaller: ") for reason in shrunk)
    other = schema_on(lake_of("sampled"), EARLY)
    assert "gone: labels: impressions" in schema.difference(other)


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
@pytest.mark.parametrize("name", SCORERS)
def test_a_list_has_the_logits_of_its_pairs(lake_of: LakeOf, name: str, kind: str) -> None:
    lake = lake_of(kind)
    rows, _ = rows_on(lake, LATE)
    fixed()
    scorer = TrainedScorer(name, build(name, schema_on(lake, LATE), SMALL))
    listed = np.random.default_rng(1).integers(0, len(rows), (len(rows), 7))
    lists = scorer.list_logits(rows.user, rows.item, listed, rows.context)
    user = np.repeat(np.arange(len(rows)), 7)
    pairs = Rows(rows.user.take(user), rows.item.take(listed.ravel()), rows.context[user])
    np.testing.assert_allclose(lists.ravel(), scorer.logits(pairs), rtol=1e-5, atol=1e-5)


def test_the_settings_know_which_scorers_recall() -> None:
    assert {name for name, net in SCORERS.items() if net.can_recall} == RECALLING_SCORERS
    assert SCORERS.keys() | TEXT_SCORERS == set(SCORER_NAMES)
