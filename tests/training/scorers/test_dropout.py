"""Dropout that draws four units from one number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from training.scorers.dropout import Dropout, PairDropout, dropped


@given(share=st.floats(0.01, 0.9), rows=st.integers(1, 9), width=st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_a_unit_is_lost_or_scaled_up(share: float, rows: int, width: int) -> None:
    torch.manual_seed(rows * width)
    values = torch.rand(rows, width) + 1.0
    ratio = dropped(values, share) / values
    kept = ratio[ratio != 0]
    np.testing.assert_allclose(kept.numpy(), 1 / (1 - share), rtol=2e-4)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_units_are_lost_independently_with_the_share_asked_for(share: float) -> None:
    torch.manual_seed(5)
    lost = (dropped(torch.ones(200_001), share) == 0).numpy()
    number = len(lost)
    assert stats.binomtest(int(lost.sum()), number, share).pvalue > 0.001
    for lag in (1, 2, 3, 4):  # those of one drawn number as well
        both = int((lost[lag:] & lost[:-lag]).sum())
        assert stats.binomtest(both, number - lag, share**2).pvalue > 0.001


def test_gradients_flow_through_what_is_kept() -> None:
    torch.manual_seed(1)
    values = torch.randn(50, 8, requires_grad=True)
    out = dropped(values, 0.3)
    out.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad == 0, out == 0)
    assert torch.allclose(values.grad[out != 0], torch.tensor(1 / 0.7), rtol=1e-4)


def test_a_users_items_lose_the_same_units() -> None:
    torch.manual_seed(2)
    out = PairDropout(0.5)(torch.ones(30, 4, 6))
    assert torch.equal(out, out[:, :1].expand_as(out))
    assert 0 < int((out == 0).sum()) < out.numel()


def test_nothing_is_dropped_when_it_scores() -> None:
    values = torch.randn(4, 3, 5)
    assert torch.equal(PairDropout(0.9).eval()(values), values)
    assert torch.equal(Dropout(0.9).eval()(values), values)


def test_the_same_seed_drops_the_same() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(9)
        drawn.append(dropped(torch.ones(101), 0.4))
    assert torch.equal(*drawn)
