"""Putting a version together: the candidate as ranker, beside it a retriever and a snapshot."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conf.lineage import digest, model_hash
from feature_store.step import StepContext
from training.promotion.candidates import Candidate
from training.registry.bundle import Snapshot, save_snapshot, take_snapshot
from training.registry.champion import Standing
from training.registry.registry import Registry
from training.scoring.composite import save_composite


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
    passed: Candidate | None,
    trained: Candidate | None,
    scorer: str,
) -> Retriever | None:
    """The best that can recall for the day's versions; None if there is nothing that can.

    In this order: the day's candidate if it passed its gate; its head; while it has none, the
    day's candidate as it is, because what it recalls is ranked by a scorer that did pass; the
    champion's retriever.

    Args:
        registry: where the versions are.
        before: the standing with which the day begins.
        passed: the day's candidate of the scorer that recalls, if it passed.
        trained: the same, whether it passed or not.
        scorer: name of the scorer that recalls.
    """
    if passed is not None:
        return Retriever(f"input:{input_hash(passed)}", passed.directory)
    if before is not None and scorer in before.heads:
        head = before.heads[scorer]
        return Retriever(f"version:{head}", registry.version_directory(head) / "ranker")
    if trained is not None:
        return Retriever(f"input:{input_hash(trained)}", trained.directory)
    if before is not None:
        folder = registry.version_directory(before.version) / "retriever"
        return Retriever(f"version:{before.version}", folder)
    return None


def input_hash(candidate: Candidate) -> str:
    """What the candidate was trained on, as its evidence says."""
    return str(candidate.evidence["input_hash"])


class Assembly:
    """Registers the versions of one day; the snapshot is taken once, and only if one is new."""

    def __init__(self, context: StepContext, registry: Registry, retriever: Retriever) -> None:
        self._context = context
        self._registry = registry
        self._retriever = retriever

    def register(self, candidate: Candidate) -> int:
        """The version of `candidate`: the one that is there, or a new one."""
        key = self._promote_key(candidate)
        version = self._registry.version_of(key)
        if version is not None:
            return version
        tags = self._tags(candidate)
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch) / "composite"
            save_composite(
                directory,
                scorer=candidate.scorer,
                retriever=self._retriever.directory,
                ranker=candidate.directory,
                about={**tags, "promote_key": key},
            )
            save_snapshot(directory, self._snapshot, self._context.dataset)
            return self._registry.register(
                promote_key=key, directory=directory, run_id=candidate.run_id, tags=tags
            )

    @cached_property
    def _snapshot(self) -> Snapshot:
        settings = self._context.settings
        return take_snapshot(self._context.lake, self._context.ds, settings.recommend.active_days)

    def _promote_key(self, candidate: Candidate) -> str:
        return digest(
            {
                "dataset": self._context.dataset.name,
                "ds": self._context.ds,
                "scorer": candidate.scorer,
                "inputs": input_hash(candidate),
                "retriever": self._retriever.key,
                "config": model_hash(self._context.settings, self._context.dataset),
            }
        )

    def _tags(self, candidate: Candidate) -> Mapping[str, object]:
        return {
            "dataset": self._context.dataset.name,
            "ds": self._context.ds,
            "scorer": candidate.scorer,
            "parent": candidate.parent_version,
            "retriever": self._retriever.key,
            "vocabulary_day": candidate.last_day,
            "training_days": f"{candidate.first_day} to {candidate.last_day}",
        }
