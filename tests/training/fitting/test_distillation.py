"""Distillation from the parent, and training without one, against formulas by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import expit, log_softmax

from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.log_fixture import FIRST_DAY
from training.features.reader import FeatureReader
from training.fitting.candidate import Candidate, train_candidate
from training.fitting.checkpoint import save_scorer
from training.fitting.distillation import (
    Distilled,
    click_divergence,
    frozen,
    known_to,
    list_divergence,
)
from training.fitting.losses import click_loss
from training.scorers import Architecture, build
from training.scorers.batch import batch_of_rows
from training.scorers.schema import schema_on
from training.scorers.trained import TrainedScorer

LakeOf = Callable[[str], Lake]
QUICK = TrainingSettings(
    batch_size=128, embedding_dim=4, hidden=(16, 8), max_epochs=1, bootstrap_epochs=1, negatives=8
)
SHAPE = Architecture(embedding_dim=4, hidden=(16, 8), dropout=0.3)
EARLY, DS = shift(FIRST_DAY, 3), shift(FIRST_DAY, 7)


def test_the_divergence_of_clicks_is_that_of_two_coins() -> None:
    teacher, student = np.array([-2.0, 0.3, 4.0]), np.array([1.0, 0.3, -0.5])
    p, q = expit(teacher), expit(student)
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    columns = (torch.tensor(v)[:, None] for v in (teacher, student))
    found = click_divergence(*columns, torch.zeros(3, 1))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_the_divergence_of_lists_is_that_of_their_softmaxes_without_what_is_left_out() -> None:
    generator = np.random.default_rng(0)
    teacher, student, correction = generator.normal(size=(3, 4, 5))
    correction[0, 3] = correction[2, 1] = -np.inf
    expected = []
    for t, s, c in zip(teacher, student, correction, strict=True):
        there = np.isfinite(c)
        log_p, log_q = log_softmax((t + c)[there]), log_softmax((s + c)[there])
        expected.append(float((np.exp(log_p) * (log_p - log_q)).sum()))
    student_tensor = torch.tensor(student, requires_grad=True)
    found = list_divergence(torch.tensor(teacher), student_tensor, torch.tensor(correction))
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-12)
    found.sum().backward()
    assert torch.isfinite(student_tensor.grad).all()


def test_replayed_rows_alone_are_held_near_what_the_teacher_says(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    late, early = schema_on(lake, DS), schema_on(lake, EARLY)
    torch.manual_seed(1)
    teacher, net = build("mlp", early, SHAPE), build("mlp", late, SHAPE).eval()
    examples = lake.read(EXAMPLES, [DS]).slice(0, 50)
    rows = FeatureReader(lake, DS, DS).rows(examples)
    generator = np.random.default_rng(2)
    label, weight = generator.integers(0, 2, 50).astype(float), generator.random(50)
    replayed = generator.random(50) < 0.5
    batch = batch_of_rows(rows, late, label, weight)._replace(replayed=torch.tensor(replayed))
    asked = frozen(teacher)
    before = {name: values.clone() for name, values in asked.state_dict().items()}
    logits = net(batch)
    loss = Distilled(click_loss, asked, 0.7, listwise=False)(logits, batch)
    loss.backward()

    p = expit(TrainedScorer("mlp", teacher).logits(rows))  # reads ids born later as unknown
    q, w = expit(logits[:, 0].detach().double().numpy()), weight * replayed
    apart = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    own = -weight * (label * np.log(q) + (1 - label) * np.log(1 - q))
    assert float(loss.detach()) == pytest.approx((own + 0.7 * w * apart).sum(), rel=1e-5)
    assert all(parameter.grad is None for parameter in asked.parameters())
    for name, values in asked.state_dict().items():
        assert torch.equal(values, before[name]), name  # no running mean has moved
    nothing = batch._replace(replayed=torch.zeros(50, dtype=torch.bool))
    distilled = Distilled(click_loss, asked, 0.7, listwise=False)
    assert torch.equal(distilled(logits, nothing), click_loss(logits, nothing))


def test_a_teacher_reads_ids_born_after_it_as_unknown(lake_of: LakeOf) -> None:
    lake = lake_of("sampled")
    late, early = schema_on(lake, DS), schema_on(lake, EARLY)
    rows = FeatureReader(lake, DS, DS).rows(lake.read(EXAMPLES, [DS]))
    found = known_to(batch_of_rows(rows, late), early)
    expected = batch_of_rows(rows, early)
    assert (batch_of_rows(rows, late).item.ids != expected.item.ids).any()
    for one, other in ((found.user, expected.user), (found.item, expected.item)):
        for name in ("ids", "categorical", "history", "neighbours"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name
        assert all(torch.equal(a, b) for a, b in zip(one.multi, other.multi, strict=True))
    assert torch.equal(found.context, expected.context)


def parent_of(lake: Lake, directory: Path, scorer: str) -> Path:
    save_scorer(directory, train_candidate(lake, QUICK, scorer, DS).checkpoint)
    return directory


@pytest.mark.parametrize(("kind", "scorer"), [("impressions", "mlp"), ("sampled", "two_tower")])
def test_the_more_distillation_the_nearer_to_the_parent(
    lake_of: LakeOf, tmp_path: Path, kind: str, scorer: str
) -> None:
    lake = lake_of(kind)
    parent = parent_of(lake, tmp_path / scorer, scorer)
    before = shift(DS, -1)
    rows = FeatureReader(lake, before, before).rows(lake.read(EXAMPLES, [before]))

    def logits(candidate: Candidate) -> np.ndarray:
        said = TrainedScorer(scorer, candidate.checkpoint.net).logits(rows)
        return said - said.mean()  # a softmax over a list does not see what all have in common

    said = logits(train_candidate(lake, QUICK, scorer, DS))
    apart = []
    for weight in (0.0, 30.0):
        chosen = QUICK.model_copy(update={"distillation": weight, "learning_rate": 0.02})
        later = shift(DS, 2)
        moved = logits(train_candidate(lake, chosen, scorer, later, parent, 1))
        apart.append(float(((moved - said) ** 2).mean()))
    assert apart[1] < 0.8 * apart[0]


def test_a_full_retrain_is_a_training_without_parent(lake_of: LakeOf, tmp_path: Path) -> None:
    lake = lake_of("impressions")
    parent = parent_of(lake, tmp_path / "mlp", "mlp")
    later = shift(DS, 2)
    afresh = QUICK.model_copy(update={"start": "afresh"})
    found = train_candidate(lake, afresh, "mlp", later, parent, 3)
    expected = train_candidate(lake, QUICK, "mlp", later)
    assert found.fresh_because == ["training.start: afresh"]
    assert found.checkpoint.training == expected.checkpoint.training
    weights = expected.checkpoint.net.state_dict()
    for name, values in found.checkpoint.net.state_dict().items():
        assert torch.equal(values, weights[name]), name


def test_a_training_without_parent_reads_the_days_of_its_window(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    chosen = QUICK.model_copy(update={"start": "afresh", "history_days": 3})
    training = train_candidate(lake, chosen, "mlp", DS).checkpoint.training
    days = [shift(DS, -3), shift(DS, -2), shift(DS, -1)]
    assert (training.first_day, training.last_day) == (days[0], days[-1])
    assert training.rows == lake.read(EXAMPLES, days).num_rows
    whole = train_candidate(lake, QUICK, "mlp", DS).checkpoint.training
    assert replace(whole, first_day=days[0], rows=training.rows) == training


@pytest.mark.parametrize("other", [{"start": "afresh"}, {"replay": "none"}])
def test_distillation_without_a_parent_or_rows_to_ask_of_is_refused(other: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"distillation: 0\.5 needs start: parent and a rep"):
        TrainingSettings.model_validate({"distillation": 0.5, **other})
