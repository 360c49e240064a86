"""Large tables are updated row by row; options of precision and of gathered gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from tests.training.log_fixture import FIRST_DAY
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import load_checkpoint, save_scorer
from training.fitting.hardware import optimizer_steps
from training.fitting.optimizer import ROW_RATE, make_optimizer, moments_of, summed_by_row
from training.scorers.inputs import Table
from training.scorers.schema import Field

LakeOf = Callable[[str], Lake]
QUICK = TrainingSettings(
    batch_size=128, embedding_dim=4, hidden=(16, 8), bootstrap_epochs=2, negatives=8
)
DS = shift(FIRST_DAY, 6)
ROWS, DIM = 40, 3


def table() -> Table:
    torch.manual_seed(3)
    return Table(Field("item_id", ROWS), DIM)


def test_a_large_table_is_updated_by_row_wise_adagrad() -> None:
    net, rate, decay = table(), 0.01, 0.1
    optimizer = make_optimizer(net, rate, decay, None, ROWS)
    weight, total = net.weight.detach().numpy().astype(float).copy(), np.zeros(ROWS)
    generator = np.random.default_rng(0)
    for _ in range(4):
        ids, factor = generator.integers(0, 12, 30), generator.normal(size=(30, DIM))
        optimizer.zero_grad()
        (net(torch.from_numpy(ids)) * torch.from_numpy(factor).float()).sum().backward()
        optimizer.step()
        gradient = np.zeros((ROWS, DIM))
        np.add.at(gradient, ids, factor)
        read = np.unique(ids)
        total[read] += (gradient[read] ** 2).mean(axis=1)
        weight[read] *= 1 - rate * decay
        weight[read] -= ROW_RATE * rate * gradient[read] / np.sqrt(total[read])[:, None]
    np.testing.assert_allclose(net.weight.detach().numpy(), weight, rtol=1e-4, atol=1e-5)


def test_rows_that_no_batch_reads_stay_as_they_are() -> None:
    net = table()
    before = net.weight.detach().clone()
    optimizer = make_optimizer(net, 0.01, 0.1, None, ROWS)
    net(torch.tensor([1, 1, 4])).sum().backward()
    optimizer.step()
    changed = (net.weight != before).any(dim=1).nonzero()[:, 0]
    assert changed.tolist() == [1, 4]


def test_a_gradient_is_summed_by_row_as_torch_sums_it() -> None:
    torch.manual_seed(0)
    gradient = torch.sparse_coo_tensor(
        torch.randint(0, 50, (1, 400)), torch.randn(400, 8), (60, 8), check_invariants=True
    )
    rows, values = summed_by_row(gradient)
    expected = gradient.coalesce()
    assert torch.equal(rows, expected.indices()[0])
    torch.testing.assert_close(values, expected.values())


def test_a_pooled_sum_does_not_depend_on_how_it_is_reached() -> None:
    net = table()
    ids = torch.tensor([[3, 0, 0], [0, 0, 0], [5, 3, 9]])
    weights = torch.rand(3, 3) * (ids > 0)
    expected = (net.weight[ids] * weights[:, :, None]).sum(dim=1)
    torch.testing.assert_close(net.train().pooled(ids, weights), expected)
    assert torch.equal(net.train().pooled(ids, weights), net.eval().pooled(ids, weights))


def test_a_table_that_grows_large_takes_over_what_adam_knew_of_its_rows() -> None:
    net = table()
    optimizer = make_optimizer(net, 0.01, 0.0, None, ROWS + 1)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.tensor([1, 2, 2])).square().sum().backward()
        optimizer.step()
    moments = moments_of(net, optimizer)
    net.grow(ROWS + 5)
    after = moments_of(net, make_optimizer(net, 0.01, 0.0, moments, ROWS + 1))
    assert after.keys() == {"weight|row_sum"}
    expected = 3 * moments["weight|exp_avg_sq"].numpy().mean(axis=1)
    np.testing.assert_allclose(after["weight|row_sum"][:ROWS], expected)
    assert not after["weight|row_sum"][ROWS:].any()
    assert expected[1] > 0


def test_a_candidate_with_large_tables_goes_on_from_its_parent(
    lake_of: LakeOf, tmp_path: Path
) -> None:
    lake, settings = lake_of("impressions"), QUICK.model_copy(update={"sparse_rows": 20})
    first, again = (train_candidate(lake, settings, "mlp", DS).checkpoint for _ in range(2))
    for name, values in first.net.state_dict().items():
        assert torch.equal(values, again.net.state_dict()[name]), name
    sums = first.moments["inputs.item.index.weight|row_sum"]
    assert sums.shape == first.net.inputs.item.index.weight.shape[:1]
    assert "context.1.weight|exp_avg" in first.moments
    save_scorer(tmp_path / "mlp", first)
    kept = load_checkpoint(tmp_path / "mlp").moments
    assert torch.equal(kept["inputs.item.index.weight|row_sum"], sums)
    warm = train_candidate(lake, settings, "mlp", shift(DS, 3), tmp_path / "mlp", 1)
    grown = warm.checkpoint.moments["inputs.item.index.weight|row_sum"]
    assert len(grown) >= len(sums)
    assert (grown[: len(sums)] >= sums).all()
    assert (grown.sum() > sums.sum()).item()


@pytest.mark.parametrize(
    ("batches", "per_pass", "accumulated", "expected"),
    [(0, 5, 2, 0), (4, 5, 2, 2), (5, 5, 2, 3), (9, 5, 2, 5), (10, 5, 2, 6), (7, 5, 1, 7)],
)
def test_the_last_batch_of_a_pass_is_always_a_step(
    batches: int, per_pass: int, accumulated: int, expected: int
) -> None:
    assert optimizer_steps(batches, per_pass, accumulated) == expected


def test_16_bits_on_a_cpu_train_to_nearly_the_same_loss(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    half = QUICK.model_copy(update={"precision": "bf16-mixed", "sparse_rows": 20})
    whole = QUICK.model_copy(update={"sparse_rows": 20})
    found, expected = (train_candidate(lake, s, "mlp", DS) for s in (half, whole))
    assert np.isfinite(found.training_losses).all()
    assert found.training_losses != expected.training_losses
    np.testing.assert_allclose(found.validation_losses, expected.validation_losses, atol=0.02)
