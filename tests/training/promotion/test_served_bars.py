"""Bars on what is served, beside those on the loss."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.training.promotion.test_gate import DS, GATE, noisy, only, scored, world
from training.promotion.gate import decide
from training.promotion.served_bars import Served


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
