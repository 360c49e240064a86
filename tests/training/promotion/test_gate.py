"""The gate on arrays whose outcome is known by hand or by a formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conf.settings import GateSettings
from training.promotion.comparison import bootstrap_interval, compare
from training.promotion.gate import GateDecision, Scored, decide
from training.promotion.guardrails import log_observed_expected
from training.scoring.metrics import log_losses, sigmoid

GATE = GateSettings()
DS = "2026-01-20"
ROWS = 20_000


def world(seed: int = 0, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, true logits and labels drawn from them."""
    random = np.random.default_rng(seed)
    user = random.integers(0, rows // 10, rows)
    truth = random.normal(-1.5, 1.0, rows)
    labels = (random.random(rows) < sigmoid(truth)).astype(float)
    return user, truth, labels


def scored(
    scorer: str,
    logits: np.ndarray,
    user: np.ndarray,
    labels: np.ndarray,
    head: np.ndarray | None = None,
    champion: np.ndarray | None = None,
) -> Scored:
    rate = np.log(labels.mean() / (1 - labels.mean()))
    return Scored(
        scorer=scorer,
        user=user,
        loss=log_losses(logits, labels),
        baseline_loss=log_losses(np.full(len(labels), rate), labels),
        head_loss=None if head is None else log_losses(head, labels),
        champion_loss=None if champion is None else log_losses(champion, labels),
        logits=logits,
        labels=labels,
        reference_logits=head if head is not None else champion,
    )


def noisy(truth: np.ndarray, size: float, seed: int) -> np.ndarray:
    """A model whose logits miss the truth by `size`, shrunk so that it stays calibrated."""
    noise = np.random.default_rng(seed).normal(0, size, len(truth))
    return np.asarray(-1.5 + (truth + 1.5 + noise) / (1 + size**2))


def only(decisions: dict[str, GateDecision]) -> GateDecision:
    (decision,) = decisions.values()
    return decision


def test_an_update_equal_to_its_head_takes_the_place_with_fresh_weights() -> None:
    user, truth, labels = world()
    same = scored("mlp", truth, user, labels, head=truth, champion=truth)
    decision = only(decide([same], champion_family="mlp", gate=GATE, ds=DS))
    assert decision.outcome == "champion"
    assert "+0.00000 [+0.00000, +0.00000]" in decision.reason


def test_a_worse_update_is_rejected_and_the_reason_names_the_bar_and_by_how_much() -> None:
    user, truth, labels = world()
    worse = scored("mlp", noisy(truth, 1.0, 1), user, labels, head=truth, champion=truth)
    decision = only(decide([worse], champion_family="mlp", gate=GATE, ds=DS))
    assert decision.outcome == "rejected"
    own = decision.evidence["own"]
    assert own["difference"] == pytest.approx((worse.loss - worse.head_loss).mean())
    assert own["margin"] == pytest.approx(0.01 * worse.head_loss.mean())  # type: ignore[union-attr]
    assert "head-mlp" in decision.reason
    assert f"{own['difference']:+.5f}" in decision.reason
    assert f"{own['margin']:+.5f}" in decision.reason


def test_without_a_head_the_champions_family_is_held_to_the_champion() -> None:
    """Beating the baseline would make a champion of what is worse than what serves."""
    user, truth, labels = world()
    worse = scored("mlp", noisy(truth, 0.4, 1), user, labels, champion=truth)
    decision = only(decide([worse], champion_family="mlp", gate=GATE, ds=DS))
    assert decision.outcome == "rejected"
    assert "against the champion the loss changes by" in decision.reason
    # as a family that has to begin, it would have passed
    assert only(decide([worse], champion_family="two_tower", gate=GATE, ds=DS)).outcome == "head"
    same = scored("mlp", truth, user, labels, champion=truth)
    assert only(decide([same], champion_family="mlp", gate=GATE, ds=DS)).outcome == "champion"


def test_another_family_that_is_superior_takes_the_champion() -> None:
    user, truth, labels = world()
    old = noisy(truth, 1.0, 1)
    better = scored("mlp", truth, user, labels, head=truth, champion=old)
    decision = only(decide([better], champion_family="two_tower", gate=GATE, ds=DS))
    assert decision.outcome == "champion"
    assert "superior to two_tower" in decision.reason
    assert "against the champion the loss changes by -" in decision.reason


def test_another_family_that_is_only_as_good_becomes_its_familys_head() -> None:
    user, truth, labels = world()
    equal = scored("mlp", noisy(truth, 0.5, 2), user, labels, noisy(truth, 0.5, 2), truth)
    decision = only(decide([equal], champion_family="two_tower", gate=GATE, ds=DS))
    assert decision.outcome == "head"


@pytest.mark.parametrize(
    ("update_is_better", "champion", "head"),
    [(True, "two_tower", "mlp"), (False, "mlp", "two_tower")],
)
def test_another_family_wins_only_if_it_beats_the_champions_own_update(
    update_is_better: bool, champion: str, head: str
) -> None:
    user, truth, labels = world()
    old = noisy(truth, 1.0, 1)
    logits = truth if update_is_better else old
    update = scored("two_tower", logits, user, labels, head=old, champion=old)
    other = scored("mlp", truth, user, labels, head=old, champion=old)
    outcomes = decide([update, other], champion_family="two_tower", gate=GATE, ds=DS)
    assert outcomes[champion].outcome == "champion"
    assert outcomes[head].outcome == "head"


def test_the_first_champion_is_the_best_of_those_that_beat_the_baseline() -> None:
    user, truth, labels = world()
    good = scored("mlp", truth, user, labels)
    fair = scored("two_tower", noisy(truth, 0.5, 1), user, labels)
    outcomes = decide([fair, good], champion_family=None, gate=GATE, ds=DS)
    assert {name: d.outcome for name, d in outcomes.items()} == {
        "two_tower": "head",
        "mlp": "champion",
    }


def test_a_first_model_that_knows_nothing_is_rejected() -> None:
    user, truth, labels = world()
    useless = scored("mlp", np.random.default_rng(5).permutation(truth), user, labels)
    assert only(decide([useless], champion_family=None, gate=GATE, ds=DS)).outcome == "rejected"


def test_an_inconclusive_update_needs_a_point_estimate_and_a_bound_that_are_no_worse() -> None:
    user, truth, labels = world(rows=300)
    near = [
        scored("mlp", noisy(truth, 0.6, seed), user, labels, head=noisy(truth, 0.6, 99))
        for seed in range(40)
    ]
    seen = set()
    for candidate in near:
        gate = GATE.model_copy(update={"inconclusive_confidence": 0.9})
        decision = only(decide([candidate], champion_family="mlp", gate=gate, ds=DS))
        own = decision.evidence["own"]
        if own["verdict"] == "inconclusive":
            assert own["high"] - own["low"] > 2 * own["margin"]
            passes = own["difference"] <= 0 and own["bound"] <= own["margin"]
            assert (decision.outcome == "champion") == passes == decision.passed
            seen.add(decision.outcome)
        if decision.outcome == "inconclusive":
            width = (own["high"] - own["low"]) / (2 * own["margin"])
            assert f"about {np.ceil(300 * width**2):,.0f} rows like these" in decision.reason
    assert seen == {"champion", "inconclusive"}


def test_a_candidate_that_is_off_by_half_a_logit_breaks_the_calibration_guardrail() -> None:
    user, truth, labels = world()
    # Better ranked than its head, so that only the guardrail speaks against it.
    off = scored("mlp", truth + 0.35, user, labels, head=noisy(truth, 2.0, 1))
    decision = only(decide([off], champion_family="mlp", gate=GATE, ds=DS))
    assert decision.outcome == "rejected"
    assert "observed/expected" in decision.reason


def test_after_a_change_the_candidate_that_is_less_off_than_the_champion_may_pass() -> None:
    user, truth, labels = world()
    old = truth + 0.8
    candidate = scored("mlp", truth + 0.4, user, labels, head=old, champion=old)
    assert only(decide([candidate], champion_family="mlp", gate=GATE, ds=DS)).outcome == "champion"


def test_a_score_that_is_not_finite_is_rejected() -> None:
    user, truth, labels = world(rows=100)
    broken = truth.copy()
    broken[7] = np.nan
    decision = only(
        decide(
            [scored("mlp", broken, user, labels, truth)], champion_family="mlp", gate=GATE, ds=DS
        )
    )
    assert "1 of 100 scores are not finite" in decision.reason


def test_a_day_without_rows_rejects_every_candidate() -> None:
    nothing = np.empty(0)
    empty = Scored("mlp", nothing.astype(int), nothing, nothing, nothing, nothing)
    decision = only(decide([empty], champion_family="mlp", gate=GATE, ds=DS))
    assert decision.reason == "rejected: the day has no rows to test it on"


def test_the_same_day_gives_the_same_interval() -> None:
    user, truth, labels = world(rows=1000)
    candidate = scored("mlp", noisy(truth, 0.3, 3), user, labels, head=truth)
    first, second = (decide([candidate], champion_family="mlp", gate=GATE, ds=DS) for _ in "ab")
    assert first == second
    other = decide([candidate], champion_family="mlp", gate=GATE, ds="2026-01-21")
    assert other["mlp"].evidence["own"]["low"] != first["mlp"].evidence["own"]["low"]


def test_the_interval_of_one_row_per_user_is_the_normal_one() -> None:
    difference = np.random.default_rng(0).normal(0.1, 1.0, 4000)
    low, high = bootstrap_interval(
        np.arange(4000), difference, resamples=4000, confidence=0.95, seed=1
    )
    half = 1.96 * difference.std() / np.sqrt(4000)
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)
    assert (high + low) / 2 == pytest.approx(difference.mean(), abs=0.1 * half)


def test_alike_rows_of_one_user_count_once() -> None:
    per_user = np.random.default_rng(0).normal(0.0, 1.0, 500)
    user = np.repeat(np.arange(500), 20)
    low, high = bootstrap_interval(
        user, np.repeat(per_user, 20), resamples=4000, confidence=0.95, seed=1
    )
    by_hand = 2 * 1.96 * per_user.std() / np.sqrt(500)
    assert high - low == pytest.approx(by_hand, rel=0.06)  # rows alone would give a fifth of it


def test_more_candidates_make_the_interval_wider() -> None:
    user, truth, labels = world(rows=2000)
    loss, other = log_losses(truth, labels), log_losses(noisy(truth, 0.5, 1), labels)
    one, three = (
        compare(
            "it", user=user, loss=loss, reference_loss=other, gate=GATE, seed=1, candidates=number
        )
        for number in (1, 3)
    )
    assert three.high - three.low > one.high - one.low
    assert three.difference == one.difference


def test_a_family_that_is_no_better_is_promoted_in_at_most_one_of_twenty_days() -> None:
    gate = replace_resamples(200)
    promoted = 0
    for seed in range(60):
        user, truth, labels = world(seed, rows=1000)
        candidate = scored(
            "mlp",
            noisy(truth, 0.5, seed),
            user,
            labels,
            noisy(truth, 0.5, seed),
            noisy(truth, 0.5, 1000 + seed),
        )
        decision = only(decide([candidate], champion_family="two_tower", gate=gate, ds=DS))
        promoted += decision.outcome == "champion"
    assert promoted <= 4  # 2.5 % of 60 are expected


def replace_resamples(resamples: int) -> GateSettings:
    return GATE.model_copy(update={"resamples": resamples})


def test_calibration_error_is_the_log_of_observed_over_expected() -> None:
    error, noise = log_observed_expected(np.zeros(400), 300.0)
    assert error == pytest.approx(np.log(300.5 / 200.5))
    assert noise == pytest.approx(2 * np.sqrt(400 * 0.25) / 200)


def test_where_negatives_are_drawn_the_rate_is_no_guardrail() -> None:
    random = np.random.default_rng(0)
    rank = random.random(2000)
    candidate = Scored("mlp", np.arange(2000), 1 - rank, np.full(2000, 0.6), 1 - rank, 1 - rank)
    decision = only(decide([candidate], champion_family="mlp", gate=GATE, ds=DS))
    assert decision.outcome == "champion"
    judged = {g["name"]: g["passed"] for g in decision.evidence["guardrails"]}
    assert judged.pop("scores not finite") is True
    assert set(judged.values()) == {None}
    worse = replace(candidate, loss=np.minimum(1 - rank + 0.05, 1.0))
    assert only(decide([worse], champion_family="mlp", gate=GATE, ds=DS)).outcome == "rejected"
