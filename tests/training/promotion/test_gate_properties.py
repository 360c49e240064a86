"""What must hold of the gate whatever the numbers are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.settings import GateSettings
from feature_store.days import shift
from training.promotion.comparison import bootstrap_interval
from training.promotion.gate import Scored, decide
from training.scoring.metrics import log_losses, sigmoid

GATE = GateSettings(resamples=200)
DS = "2026-01-20"


def drawn(seed: int, rows: int = 600, error: float = 0.3) -> Scored:
    """An update whose logits differ from its head's by chance, of calibrated models."""
    random = np.random.default_rng(seed)
    truth = random.normal(-1.0, 1.0, rows)
    labels = (random.random(rows) < sigmoid(truth)).astype(float)
    mine, head = (truth + random.normal(0, error, rows) for _ in "ab")
    reference = log_losses(head, labels)
    return Scored(
        "mlp",
        random.integers(0, rows // 5, rows),
        log_losses(mine, labels),
        log_losses(np.full(rows, -0.9), labels),
        head_loss=reference,
        champion_loss=reference,
        logits=mine,
        labels=labels,
        reference_logits=head,
    )


def outcome(scored: Scored) -> str:
    return decide([scored], champion_family="mlp", gate=GATE, ds=DS)["mlp"].outcome


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_order_of_rows_changes_nothing_but_rounding(seed: int) -> None:
    scored = drawn(seed)
    order = np.random.default_rng(seed + 1).permutation(len(scored.loss))
    mixed = {
        name: value[order] for name, value in vars(scored).items() if isinstance(value, np.ndarray)
    }
    one, other = (
        decide([s], champion_family="mlp", gate=GATE, ds=DS)["mlp"].evidence["own"]
        for s in (scored, replace(scored, **mixed))
    )
    assert one["verdict"] == other["verdict"]
    for name in ("difference", "low", "high", "bound"):
        assert one[name] == pytest.approx(other[name], abs=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_order_of_candidates_changes_no_outcome(seed: int) -> None:
    first = drawn(seed)
    second = replace(drawn(seed, error=0.6), scorer="bert", head_loss=None)
    forth = decide([first, second], champion_family="mlp", gate=GATE, ds=DS)
    back = decide([second, first], champion_family="mlp", gate=GATE, ds=DS)
    assert forth == back


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_an_update_identical_to_its_head_passes(seed: int) -> None:
    scored = drawn(seed)
    assert scored.head_loss is not None
    same = replace(
        scored, loss=scored.head_loss, logits=scored.reference_logits, anchor_loss=scored.head_loss
    )
    assert outcome(same) == "champion"


@given(st.integers(0, 10_000), st.floats(0, 0.1))
@settings(max_examples=20, deadline=None)
def test_a_worse_loss_never_turns_a_rejection_into_a_pass(seed: int, worse: float) -> None:
    scored = drawn(seed)
    if outcome(scored) == "rejected":
        assert outcome(replace(scored, loss=scored.loss + worse)) == "rejected"


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_interval_is_the_normal_one_of_a_ratio_of_sums_over_users(seed: int) -> None:
    random = np.random.default_rng(seed)
    user = random.integers(0, 400, 3000)
    difference = random.normal(0.05, 1.0, 3000) + random.normal(0, 1.0, 400)[user]
    mean = difference.mean()
    sums = np.bincount(user, difference - mean, minlength=400)
    error = np.sqrt((sums**2).sum()) / 3000  # of a ratio, linearised (Cochran 1977)
    low, high = bootstrap_interval(user, difference, resamples=2000, confidence=0.95, seed=seed)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert (high + low) / 2 == pytest.approx(mean, abs=0.2 * error)


def decaying(days: int, anchor_days: int) -> list[bool]:
    """Whether each day's update passes; each is .4 % worse than what was the head before it."""
    random = np.random.default_rng(0)
    base = random.exponential(0.4, 5000)
    user = random.integers(0, 500, 5000)
    heads, passed = [1.0], []
    for day in range(days):
        now = heads[-1] * 1.004
        anchor = heads[-anchor_days] if len(heads) > anchor_days > 0 else None
        scored = Scored(
            "mlp",
            user,
            base * now,
            base * 2,
            head_loss=base * heads[-1],
            champion_loss=base * heads[-1],
            anchor_loss=None if anchor is None else base * anchor,
        )
        decision = decide([scored], champion_family="mlp", gate=GATE, ds=shift(DS, day))["mlp"]
        passed.append(decision.outcome == "champion")
        if not passed[-1]:
            assert "days ago" in decision.reason
            assert "against head-mlp" not in decision.reason
        heads.append(now if passed[-1] else heads[-1])
    return passed


def test_a_slow_decay_passes_beside_the_head_and_is_stopped_by_the_anchor() -> None:
    assert all(decaying(35, anchor_days=0))
    with_anchor = decaying(35, anchor_days=28)
    assert all(with_anchor[:28])
    assert not any(with_anchor[28:])


def test_an_update_that_is_better_than_its_head_passes_though_the_anchor_was_better() -> None:
    scored = drawn(1, rows=4000)
    better = replace(scored, head_loss=scored.loss + 0.1, anchor_loss=scored.loss - 0.1)
    assert outcome(better) == "champion"


def test_every_broken_bar_is_named_with_by_how_much() -> None:
    scored = drawn(2, rows=4000)
    assert scored.logits is not None
    assert scored.labels is not None
    off = scored.logits + 1.5
    worse = replace(scored, logits=off, loss=log_losses(off, scored.labels))
    decision = decide([worse], champion_family="mlp", gate=GATE, ds=DS)["mlp"]
    for bar in ("observed/expected", "expected calibration error", "log loss", "head-mlp"):
        assert bar in decision.reason
    broken = [g for g in decision.evidence["guardrails"] if g["passed"] is False]
    assert all(g["value"] > g["bar"] for g in broken)
    assert len(decision.evidence["broken"]) == 2


def test_rows_of_new_users_are_judged_where_there_are_enough_of_them() -> None:
    scored = drawn(3, rows=4000)
    assert scored.head_loss is not None
    new = scored.user < 100
    worse = replace(scored, loss=scored.head_loss + np.where(new, 0.2, -0.05), new_user=new)
    decision = decide([worse], champion_family="mlp", gate=GATE, ds=DS)["mlp"]
    assert decision.outcome == "rejected"
    assert "loss on new users" in decision.reason
    few = replace(worse, new_user=scored.user < 5)
    judged = decide([few], champion_family="mlp", gate=GATE, ds=DS)["mlp"].evidence["guardrails"]
    (guardrail,) = [g for g in judged if g["name"] == "loss on new users"]
    assert guardrail["passed"] is None
    assert "5 users" in guardrail["why"]
