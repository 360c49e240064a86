"""`gate.json`: what the gate saw and decided, among the artifacts of the runs of a day."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from conf.settings import GateSettings
from training.promotion.gate import GateDecision
from training.registry.registry import Registry

FILE = "gate.json"


def log_gates(
    registry: Registry,
    ds: str,
    run_of: Mapping[str, str],
    decisions: Mapping[str, GateDecision],
    gate: GateSettings,
) -> None:
    """Log each candidate's evidence to its run, and all of them to the run of `ds`.

    Args:
        registry: where the runs are.
        ds: the day.
        run_of: run id of each candidate, by scorer.
        decisions: what became of each, by scorer.
        gate: the bars.
    """
    for scorer, decision in decisions.items():
        tags = {"gate": decision.outcome, "gate.reason": decision.reason}
        _log(registry, run_of[scorer], ds, {scorer: decision}, gate, tags)
    if decisions:
        _log(registry, registry.day_run(ds), ds, decisions, gate, {})


def _log(
    registry: Registry,
    run_id: str,
    ds: str,
    decisions: Mapping[str, GateDecision],
    gate: GateSettings,
    tags: Mapping[str, str],
) -> None:
    content = {
        "ds": ds,
        "settings": gate.model_dump(),
        "candidates": {
            scorer: {
                "outcome": decision.outcome,
                "reason": decision.reason,
                **decision.evidence,
            }
            for scorer, decision in decisions.items()
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        registry.log(run_id, tags=tags, artifacts=Path(folder))
