"""Bars on what is served, beside those on the loss."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.training.promotion.test_gate import DS, GATE, noisy, only, scored, world
from training.promotion.gate import decide
from training.promotion.served_bars import Served, served_well


def test_too_few_rows_do_not_hide_what_else_speaks_against_it() -> None:
    user, truth, labels = world(rows=300)
    for seed in range(40):
        near = scored("mlp", noisy(truth, 0.6, seed), user, labels, head=noisy(truth, 0.6, 99))
        far = replace(near, served=Served(churn=0.99))
        before, after = (
            only(decide([one], champion_family="mlp", gate=GATE, ds=DS)) for one in (near, far)
        )
        assert after.outcome == "rejected"
        assert "list churn is 0.9900, at most 0.9500 passes" in after.reason
        if before.outcome == "inconclusive":
            return
    pytest.fail("no update was inconclusive")


@pytest.mark.parametrize(
    ("served", "gate", "reason"),
    [
        (Served(churn=0.96), {}, "list churn is 0.9600, at most 0.9500 passes"),
        (
            Served(coverage=0.02, head_coverage=0.5),
            {},
            r"loss of list coverage is 0.9600, at most 0.8000 passes \(its lists show 2.0% of",
        ),
        (Served(megabytes=12.5), {"max_megabytes": 10.0}, "model size is 12.5000, at most 10.0000"),
        (Served(p99_ms=7.0), {"max_p99_ms": 5.0}, "p99 latency is 7.0000, at most 5.0000 passes"),
    ],
)
def test_what_is_served_has_bars_of_its_own(
    served: Served, gate: dict[str, float], reason: str
) -> None:
    user, truth, labels = world()
    good = scored("mlp", noisy(truth, 0.3, 2), user, labels, head=noisy(truth, 0.9, 1))
    bars = GATE.model_copy(update=gate)
    fine = replace(served, **{k: v / 100 for k, v in vars(served).items() if v and k != "coverage"})
    fine = replace(fine, coverage=fine.head_coverage)
    passed = only(decide([replace(good, served=fine)], champion_family="mlp", gate=bars, ds=DS))
    assert passed.outcome == "champion"
    stopped = only(decide([replace(good, served=served)], champion_family="mlp", gate=bars, ds=DS))
    assert stopped.outcome == "rejected"
    assert re.search(reason, stopped.reason)


def test_a_bar_that_is_not_set_or_not_measured_does_not_judge() -> None:
    user, truth, labels = world()
    good = scored("mlp", noisy(truth, 0.3, 2), user, labels, head=noisy(truth, 0.9, 1))
    huge = replace(good, served=Served(megabytes=1e6))
    decision = only(decide([huge], champion_family="mlp", gate=GATE, ds=DS))
    assert decision.outcome == "champion"
    rows = {row["name"]: row for row in decision.evidence["guardrails"]}
    assert rows["model size"]["value"] == 1e6
    assert rows["model size"]["passed"] is None
    assert rows["list churn"]["passed"] is None


def test_the_words_say_what_is_missing_a_bar_a_measurement_or_a_head() -> None:
    def why(name: str, served: Served, **bars: float) -> str:
        (row,) = [
            one for one in served_well(served, GATE.model_copy(update=bars)) if one.name == name
        ]
        assert row.passed is None
        return row.why

    assert why("model size", Served(megabytes=3.0)).endswith("no bar is set")
    assert why("model size", Served(), max_megabytes=5.0).endswith("it was not measured")
    assert why("loss of list coverage", Served(coverage=0.1)) == "there is no head to compare with"
    nothing = why("loss of list coverage", Served(coverage=0.1, head_coverage=0.0))
    assert nothing == "its head's lists show none of the sampled items"


def test_an_anchor_that_is_not_finite_is_evidence_and_no_bar() -> None:
    user, truth, labels = world()
    good = scored("mlp", noisy(truth, 0.3, 2), user, labels, head=noisy(truth, 0.9, 1))
    lost = np.where(np.arange(len(labels)) == 5, np.nan, good.loss)
    (decision,) = decide(
        [replace(good, anchor_loss=lost)], champion_family="mlp", gate=GATE, ds=DS
    ).values()
    assert decision.outcome == "champion"
    (row,) = [one for one in decision.evidence["guardrails"] if one["name"] == "anchor"]
    assert row["why"] == "not all of its scores are finite: not compared"
    assert decision.evidence.get("anchor") is None


@pytest.mark.parametrize(
    ("users", "outcome"), [(1, "inconclusive"), (9, "inconclusive"), (10, "champion")]
)
def test_a_day_of_a_few_users_decides_nothing(users: int, outcome: str) -> None:
    """However many rows they have: what two people like is no evidence of what all do."""
    _, truth, labels = world()
    user = np.arange(len(labels)) % users
    good = scored("mlp", noisy(truth, 0.3, 2), user, labels, head=noisy(truth, 0.9, 1))
    decision = only(decide([good], champion_family="mlp", gate=GATE, ds=DS))
    assert decision.outcome == outcome
    if outcome == "inconclusive":
        assert f"({users} users have rows, 10 are needed)" in decision.reason
    first = replace(good, head_loss=None)
    found = only(decide([first], champion_family=None, gate=GATE, ds=DS))
    assert (found.outcome == "champion") == (users >= 10)
