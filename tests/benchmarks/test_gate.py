"""The summary of the gate's benchmark, and its pooled rules, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gate import (
    CHANGES,
    POOLED,
    RULES,
    drawn_day,
    expected_loss,
    rates_of,
    said,
    summary_of,
    with_pooled,
)
from training.scoring.metrics import log_losses


def rows(difference: float = 0.0) -> list[dict[str, object]]:
    """Two volumes, two days; a rule promotes only on the first day of 200 users."""
    return [
        {
            "change": change,
            "day": day,
            "users": users,
            "difference": difference + 100 * change,
            "error": 1.0,
            **dict.fromkeys((*RULES, *POOLED), users == 200 and day == 0),
        }
        for users in (200, 600)
        for day in (0, 1)
        for change in CHANGES
    ]


def test_the_worst_volume_is_what_the_summary_tells() -> None:
    summary = summary_of(rates_of(rows()), margin=0.01)  # type: ignore[arg-type]
    assert summary["harmful_promotion_rate"] == 0.5
    assert summary["equal_model_pass_rate"] == 0.0
    assert summary["equal_gate_at_1000_rows"] == 0.5


def test_pooled_days_narrow_the_bound_also_for_a_candidate_that_is_suddenly_bad() -> None:
    mine = [row for row in rows() if row["users"] == 200]
    with_pooled(mine, 0.96)  # type: ignore[arg-type]
    found = {(row["change"], row["day"]): row for row in mine}
    # One day: 0 + 1.75 > 1; two days: 0 + 1.75 / sqrt(2) > 1. Better by two margins: -2 + 1.75 < 1.
    assert not found[0.0, 0]["pooled"]
    assert not found[0.0, 1]["pooled"]
    assert found[-0.02, 0]["pooled"]
    precise = [row | {"error": 0.7} for row in mine]
    with_pooled(precise, 0.96)
    found = {(row["change"], row["day"]): row for row in precise}
    assert found[0.0, 1]["pooled"]  # 1.75 * .7 / sqrt(2) = .87
    assert not found[0.01, 1]["pooled_sudden"]  # (0 + 1) / 2 + .87


def test_the_expected_loss_is_the_mean_of_that_of_drawn_clicks() -> None:
    world = drawn_day(np.random.default_rng(1), 20_000)
    logits = said(world, 0.9, 0)
    drawn = log_losses(logits, world.label).mean()
    assert expected_loss(world, logits) == pytest.approx(drawn, rel=0.01)
