"""The memory of `neighbours`: of the days before, without who is gone, calibrated on the last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES, USER_SEQUENCES
from tests.training.log_fixture import FIRST_DAY
from training.features.histories import newest_sequences
from training.features.reader import FeatureReader
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import save_scorer
from training.fitting.memory import _Lesson
from training.light.memory import LENGTH, SEQUENCES
from training.scorers import build
from training.scorers.batch import batch_of_rows
from training.scorers.schema import schema_on

LakeOf = Callable[[str], Lake]
QUICK = TrainingSettings(batch_size=128, embedding_dim=4, hidden=(16, 8), negatives=8)
DS = shift(FIRST_DAY, 7)


def remembered(lake: Lake, ds: str, parent: Path | None = None) -> np.ndarray:
    """The sequences of a candidate for `ds`."""
    candidate = train_candidate(lake, QUICK, "neighbours", ds, parent, int(parent is not None))
    if parent is None:
        save_scorer(lake.root.parent / "parent", candidate.checkpoint)
    return candidate.checkpoint.net.sequences.numpy()


def last_items(lake: Lake, ds: str) -> dict[int, tuple[list[int], object]]:
    """What each user took until the end of `ds`, newest first, and when last; read day by day."""
    known: dict[int, tuple[list[int], object]] = {}
    for day in lake.days(USER_SEQUENCES):
        if day <= ds:
            for row in lake.read(USER_SEQUENCES, [day]).to_pylist():
                times = row["event_timestamps"]
                taken = row["item_indices"][::-1][:LENGTH]
                known[row["user_index"]] = (taken, max(times, default=None))
    return {user: known[user] for user in known if known[user][0]}


def test_the_memory_holds_the_newest_items_of_the_users_who_took_something_last(
    lake_of: LakeOf,
) -> None:
    lake = lake_of("impressions")
    expected = sorted(last_items(lake, DS).items(), key=lambda user: user[0])
    expected.sort(key=lambda user: user[1][1], reverse=True)  # type: ignore[arg-type, return-value]
    found = newest_sequences(lake, DS, 25, LENGTH)
    assert len(found) == 25
    for row, (_, (taken, _)) in zip(found, expected, strict=False):
        assert row[row > 0].tolist() == taken


def test_a_version_remembers_its_last_training_day_and_learns_from_the_eve_of_it(
    lake_of: LakeOf,
) -> None:
    lake = lake_of("impressions")
    candidate = train_candidate(lake, QUICK, "neighbours", DS)
    net, eve, last = candidate.checkpoint.net, shift(DS, -2), shift(DS, -1)
    after = newest_sequences(lake, last, SEQUENCES, LENGTH)
    assert (net.sequences.numpy()[: len(after)] == after).all()
    assert not net.sequences.numpy()[len(after) :].any()
    # the loss that is told is the one with the memory of the eve, on the rows held out
    rows = lake.read(EXAMPLES, [last, eve]).sort_by(
        [("event_timestamp", "ascending"), ("example_id", "ascending")]
    )
    rows = rows.filter(pc.equal(rows.column("event_ds"), last))
    rows = rows.slice(rows.num_rows - int(rows.num_rows * QUICK.validation_share))
    net.remember(newest_sequences(lake, eve, SEQUENCES, LENGTH))
    with torch.inference_mode():
        logits = net(batch_of_rows(FeatureReader(lake, last, last).rows(rows), net.schema))[:, 0]
    label = torch.tensor(rows.column("label").to_pylist())
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, label)
    assert candidate.validation_losses == [pytest.approx(float(loss), rel=1e-4)]


def test_a_user_who_is_forgotten_is_in_no_later_version(
    own_lake_of: LakeOf, tmp_path: Path
) -> None:
    lake = own_lake_of("impressions")
    before = remembered(lake, DS)
    taken = last_items(lake, shift(DS, -1))
    user, (items, _) = max(taken.items(), key=lambda u: len(u[1][0]))
    mine = np.pad(items, (0, LENGTH - len(items)))
    assert (before == mine).all(axis=1).sum() == 1
    for day in lake.days(USER_SEQUENCES):
        rows = lake.read(USER_SEQUENCES, [day]).drop_columns("ds")
        rest = rows.filter(pc.not_equal(rows.column("user_index"), user))
        lake.replace(USER_SEQUENCES, {"ds": day}, rest, {"step": "forget", "ds": day})
    later = remembered(lake, shift(DS, 1), lake.root.parent / "parent")
    still = [items for other, (items, _) in last_items(lake, DS).items() if other == user]
    assert still == []
    starts = [tuple(row[row > 0][-len(items) :]) for row in later if row.any()]
    assert tuple(items) not in starts
    assert len(starts) == len(last_items(lake, DS))


def test_weights_are_those_of_a_logistic_regression() -> None:
    generator = np.random.default_rng(3)
    columns = generator.normal(size=(300, 1, 4)) * [1.0, 2.0, 0.5, 1.0]
    label = (generator.random(300) < 1 / (1 + np.exp(-columns[:, 0, 0] + 1))).astype(float)
    scale = np.append(columns[:, 0].std(axis=0), 1.0)
    matrix = np.append(columns[:, 0], np.ones((300, 1)), axis=1) / scale
    expected = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10).fit(matrix, label).coef_[0]

    class Line:
        weight, bias = torch.zeros(4), torch.zeros(())

    lesson = _Lesson(columns, label, np.ones(300), np.zeros((300, 1)), False)
    lesson.teach(Line)  # type: ignore[arg-type]
    found = np.append(Line.weight.numpy(), float(Line.bias))
    np.testing.assert_allclose(found, expected / scale, atol=2e-4)


def test_the_gradient_of_lists_is_that_of_their_loss() -> None:
    generator = np.random.default_rng(4)
    columns, correction = generator.normal(size=(5, 3, 2)), generator.normal(size=(5, 3))
    correction[1, 2] = -np.inf
    weight = generator.random(5)
    lesson = _Lesson(columns, np.ones(5), weight, correction, True)
    line = np.array([0.3, -0.7, 0.2])
    tensor = torch.tensor(line, requires_grad=True)
    logits = torch.from_numpy(columns) @ tensor[:2] + tensor[2] + torch.from_numpy(correction)
    expected = -(torch.log_softmax(logits, 1)[:, 0] * torch.from_numpy(weight)).sum()
    expected.backward()
    loss, gradient = lesson.loss(line)
    assert loss == pytest.approx(float(expected.detach()))
    np.testing.assert_allclose(gradient, tensor.grad.numpy(), atol=1e-9)


def test_a_net_beside_the_memory_is_trained_and_interpolated(lake_of: LakeOf) -> None:
    lake = lake_of("sampled")
    candidate = train_candidate(lake, QUICK, "sequence_neighbours", DS)
    alone = train_candidate(lake, QUICK, "sequence", DS)
    net = candidate.checkpoint.net
    assert candidate.validation_losses == alone.validation_losses
    for name, values in alone.checkpoint.net.state_dict().items():
        assert values.shape == net.beside.state_dict()[name].shape
    fresh = build(
        "sequence_neighbours", schema_on(lake, shift(DS, -1)), candidate.checkpoint.architecture
    )
    assert not torch.equal(net.weight, fresh.weight)
    assert float(net.weight[-1].detach()) > 0.3  # the net still counts
