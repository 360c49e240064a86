"""Guardrails on what is served: how much lists change, how much they show, size and latency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from conf.settings import GateSettings
from training.promotion.guardrails import Guardrail

_NOT_MEASURED = "there is no head to compare with"


@dataclass(frozen=True)
class Served:
    """What was measured of a candidate when it was evaluated; None = it was not."""

    churn: float | None = None
    """1 - the mean share of its lists' items that stand in its head's lists."""
    coverage: float | None = None
    """Share of the sampled items that its lists show."""
    head_coverage: float | None = None
    megabytes: float | None = None
    p99_ms: float | None = None

    @classmethod
    def of(cls, evaluations: Mapping[str, tuple[float, float]]) -> Served:
        """From rows of table `evaluations`: value and the head's value, by metric."""
        churn, coverage = (evaluations.get(name) for name in ("list_churn", "list_coverage"))
        size, late = (evaluations.get(name) for name in ("megabytes", "p99_ms"))
        return cls(
            churn and churn[0],
            coverage and coverage[0],
            coverage and coverage[1],
            size and size[0],
            late and late[0],
        )


def served_well(served: Served, gate: GateSettings) -> list[Guardrail]:
    """One row of evidence per bar."""
    return [
        _churn(served, gate),
        _coverage(served, gate),
        _limit("model size", served.megabytes, gate.max_megabytes, "MB of its files"),
        _limit("p99 latency", served.p99_ms, gate.max_p99_ms, "ms for 100 scores, by torch"),
    ]


def _churn(served: Served, gate: GateSettings) -> Guardrail:
    if served.churn is None:
        return Guardrail("list churn", None, None, None, _NOT_MEASURED)
    why = "share of its lists' items that its head's lists do not have"
    return Guardrail(
        "list churn", served.churn, gate.max_list_churn, served.churn <= gate.max_list_churn, why
    )


def _coverage(served: Served, gate: GateSettings) -> Guardrail:
    name = "loss of list coverage"
    if served.coverage is None or served.head_coverage is None:
        return Guardrail(name, None, None, None, _NOT_MEASURED)
    if not served.head_coverage > 0:
        return Guardrail(name, None, None, None, "its head's lists show none of the sampled items")
    lost = 1 - served.coverage / served.head_coverage
    why = (
        f"its lists show {served.coverage:.1%} of the sampled items, its head's "
        f"{served.head_coverage:.1%}"
    )
    return Guardrail(name, lost, gate.max_coverage_loss, lost <= gate.max_coverage_loss, why)


def _limit(name: str, value: float | None, bar: float | None, unit: str) -> Guardrail:
    if bar is None:
        return Guardrail(name, value, None, None, f"{unit}; no bar is set")
    if value is None:
        return Guardrail(name, None, bar, None, f"{unit}; it was not measured")
    return Guardrail(name, value, bar, value <= bar, unit)
