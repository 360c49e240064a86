"""What a candidate must not break, whatever its mean loss: one row of evidence each. Pure NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conf.settings import GateSettings
from training.promotion.comparison import Floats, Integers, bootstrap_interval
from training.scoring.metrics import calibration_error as expected_calibration_error
from training.scoring.metrics import log_losses, sigmoid

Bools = npt.NDArray[np.bool_]

_ECE_NOISE = 1.5
"""The mean of ten absolute normal deviates is below this many standard deviations in 99.9 %."""


@dataclass(frozen=True)
class Guardrail:
    """One bar."""

    name: str
    value: float | None
    """What was measured; None = it could not be."""
    bar: float | None
    """The largest value that passes."""
    passed: bool | None
    """None = it was not judged."""
    why: str
    """What was measured, and in what; or why it was not."""

    def sentence(self) -> str:
        """Which bar, and by how much."""
        if self.value is None or self.bar is None:
            return f"{self.name}: {self.why}"
        return f"{self.name} is {self.value:.4f}, at most {self.bar:.4f} passes ({self.why})"


def broken(guardrails: Sequence[Guardrail]) -> str:
    """All broken guardrails in words; empty = none."""
    return "; ".join(one.sentence() for one in guardrails if one.passed is False)


def finite(loss: Floats) -> Guardrail:
    """Every score must be a number."""
    bad = int((~np.isfinite(loss)).sum())
    return Guardrail(
        "scores not finite", float(bad), 0.0, not bad, f"{bad} of {len(loss)} scores are not finite"
    )


def not_comparable(name: str, loss: Floats | None) -> list[Guardrail]:
    """A row of evidence that `loss` (n,) of a reference says nothing, where it is not finite."""
    if loss is None or np.isfinite(loss).all():
        return []
    return [Guardrail(name, None, None, None, "not all of its scores are finite: not compared")]


def log_observed_expected(logits: Floats, clicks: float) -> tuple[float, float]:
    """log(observed/expected clicks) of log-odds (n,), and twice its standard error by chance."""
    probability = sigmoid(logits)
    expected = float(probability.sum())
    spread = float((probability * (1 - probability)).sum())
    error = float(np.log((clicks + 0.5) / (expected + 0.5)))
    return error, 2 * float(np.sqrt(spread)) / max(expected, 0.5)


def calibrated(
    logits: Floats | None, labels: Floats | None, reference: Floats | None, gate: GateSettings
) -> list[Guardrail]:
    """Observed over expected, and the expected calibration error, of log-odds (n,).

    Args:
        logits: of the candidate; None where negatives are drawn, which sets the rate.
        labels: what came.
        reference: of what it is compared with. Right after a change every model trained before it
            is off; the one that is less off than what serves is still the better one to serve.
        gate: the bars.
    """
    names = ("|log observed/expected|", "expected calibration error")
    if logits is None or labels is None:
        why = "labels are sampled: drawn negatives set the rate"
        return [Guardrail(name, None, None, None, why) for name in names]
    clicks = float(labels.sum())
    error, noise = log_observed_expected(logits, clicks)
    bars = [gate.max_calibration_error + noise, gate.max_ece + _ece_noise(logits)]
    if reference is not None:
        own = abs(log_observed_expected(reference, clicks)[0])
        bars = [max(bars[0], own), max(bars[1], expected_calibration_error(reference, labels))]
    values = (abs(error), expected_calibration_error(logits, labels))
    whys = ("nats", "share, 10 bins")
    return [
        Guardrail(name, value, bar, value <= bar, why)
        for name, value, bar, why in zip(names, values, bars, whys, strict=True)
    ]


def _ece_noise(logits: Floats) -> float:
    """What chance alone gives a calibrated model of these log-odds (n,), at most."""
    probability = sigmoid(logits)
    which = np.minimum((probability * 10).astype(np.int64), 9)
    spread = np.bincount(which, weights=probability * (1 - probability), minlength=10)
    return _ECE_NOISE * float(np.sqrt(spread).sum()) / len(logits)


def no_worse_log_loss(
    user: Integers,
    logits: Floats | None,
    labels: Floats | None,
    reference: Floats | None,
    gate: GateSettings,
    seed: int,
) -> Guardrail:
    """The log loss of the candidate beside that of what it is compared with."""
    name = "log loss"
    if logits is None or labels is None:
        return Guardrail(name, None, None, None, "labels are sampled: there is no log loss")
    if reference is None:
        return Guardrail(name, None, None, None, "there is nothing to compare with")
    return no_clear_increase(
        name,
        user,
        log_losses(logits, labels),
        log_losses(reference, labels),
        share=gate.max_log_loss_increase,
        gate=gate,
        seed=seed,
    )


def no_worse_on_new(
    name: str,
    rows: Bools | None,
    user: Integers,
    loss: Floats,
    reference: Floats | None,
    *,
    share: float,
    gate: GateSettings,
    seed: int,
) -> Guardrail:
    """The loss on `rows` (n,), those of new users or of new items."""
    if rows is None or reference is None:
        return Guardrail(name, None, None, None, "there is nothing to compare with")
    users = len(np.unique(user[rows]))
    if users < gate.min_slice_users:
        why = f"{users} users have such rows, {gate.min_slice_users} are needed"
        return Guardrail(name, None, None, None, why)
    return no_clear_increase(
        name, user[rows], loss[rows], reference[rows], share=share, gate=gate, seed=seed
    )


def no_clear_increase(
    name: str,
    user: Integers,
    loss: Floats,
    reference: Floats,
    *,
    share: float,
    gate: GateSettings,
    seed: int,
) -> Guardrail:
    """Broken where the whole interval of the increase lies above `share`, so never by few rows."""
    difference = loss - reference
    low, _ = bootstrap_interval(
        user, difference, resamples=gate.resamples, confidence=gate.confidence, seed=seed
    )
    mean = max(float(reference.mean()), 1e-12)
    why = (
        f"increase of the loss, lower end of its interval, as a share of {mean:.5f}; "
        f"{difference.mean() / mean:+.4f} on average of {len(loss)} rows"
    )
    return Guardrail(name, low / mean, share, low / mean <= share, why)
