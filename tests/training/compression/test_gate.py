"""The gate of a variant, and what it is judged by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from conf.compression import CompressionSettings
from training.compression.gate import Measured, agreement, judged
from training.promotion.comparison import Comparison

VERSION = Measured("mlp", 0.6, 0.3, 1000, 900, 1.0, 2.0)
GOOD = Measured("pruned", 0.6, 0.3, 1000, 500, 1.0, 2.0, agreement=0.99, apart=0.01)
SAME = Comparison("version 3", 100, 10, 0.3, 0.0, -0.001, 0.001, 0.003, "non_inferior")
SETTINGS = CompressionSettings()


def test_a_variant_that_agrees_and_is_smaller_passes() -> None:
    assert judged(VERSION, GOOD, SAME, SETTINGS).passed


def test_each_limit_is_told_by_itself() -> None:
    worse = replace(SAME, verdict="inferior")
    for variant, loss, said in (
        (replace(GOOD, agreement=0.5), SAME, "agreement 0.500, expected 0.9"),
        (GOOD, worse, "against version 3 the loss changes"),
        (replace(GOOD, p99=2.5), SAME, "p99 2.50 ms, expected at most 1.2 times"),
        (replace(GOOD, deflated=900), SAME, "neither smaller"),
    ):
        verdict = judged(VERSION, variant, loss, SETTINGS)
        assert not verdict.passed
        (reason,) = verdict.reasons
        assert reason.startswith(said)


def test_a_faster_variant_need_not_be_smaller() -> None:
    assert judged(VERSION, replace(GOOD, deflated=2000, p50=0.5), SAME, SETTINGS).passed


@given(
    st.lists(st.floats(-5, 5), min_size=3, max_size=40, unique=True),
    st.randoms(use_true_random=False),
)
def test_agreement_is_the_correlation_of_ranks(values: list[float], random: st.DataObject) -> None:
    other = list(values)
    random.shuffle(other)  # type: ignore[attr-defined]
    one, two = np.array(values), np.array(other)
    ranks, apart = agreement(one, two)
    expected = np.corrcoef(one.argsort().argsort(), two.argsort().argsort())[0, 1]
    assert np.isclose(ranks, expected)
    assert np.isclose(apart, np.abs(1 / (1 + np.exp(-one)) - 1 / (1 + np.exp(-two))).mean())


def test_a_variant_that_says_one_number_agrees_with_nothing() -> None:
    assert agreement(np.arange(4.0), np.zeros(4))[0] == 0.0
