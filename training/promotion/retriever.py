"""What recalls for the day's rankers: chosen here for the test and for the registration alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from feature_store.champion import Standing
from training.promotion.candidates import TrainedCandidate
from training.registry.registry import Registry


@dataclass(frozen=True)
class Retriever:
    """The scorer that recalls for the day's versions."""

    key: str
    """What tells it from others: a candidate's inputs, or a version."""
    directory: Path
    """Its checkpoint."""


def find_retriever(
    registry: Registry,
    before: Standing | None,
    *,
    trained: TrainedCandidate | None,
    scorer: str,
    may_lead: bool,
) -> Retriever | None:
    """What recalls for the day's versions; None if there is nothing that can.

    In this order: the day's candidate if it `may_lead`; its head; the day's candidate all the
    same, because what it recalls is ranked by a scorer that did pass; the champion's retriever.

    Args:
        registry: where the versions are.
        before: the standing with which the day begins.
        trained: the day's candidate of the scorer that recalls, whether it passed or not.
        scorer: name of the scorer that recalls.
        may_lead: whether the day's candidate comes before its head: it passed its gate, or labels
            are `sampled`, where a ranker's ranks depend on what is recalled and the pair is tested
            as a whole.
    """
    if trained is not None and may_lead:
        return _of_candidate(trained)
    if before is not None and scorer in before.heads:
        head = before.heads[scorer]
        return Retriever(f"version:{head}", registry.version_directory(head) / "ranker")
    if trained is not None:
        return _of_candidate(trained)
    if before is not None:
        folder = registry.version_directory(before.version) / "retriever"
        return Retriever(f"version:{before.version}", folder)
    return None


def _of_candidate(trained: TrainedCandidate) -> Retriever:
    return Retriever(f"input:{trained.input_hash}", trained.directory)
