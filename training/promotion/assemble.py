"""Putting a version together: the candidate as ranker, beside it a retriever and a snapshot."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path

from conf.lineage import digest, model_hash
from conf.training import TEXT_SCORERS
from feature_store.ledger import table_versions
from feature_store.promotion_ledger import blocked_before
from feature_store.step import StepContext
from feature_store.tables import EVALUATIONS
from training.features.digest import digest_of
from training.promotion.candidates import TrainedCandidate
from training.promotion.retriever import Retriever
from training.registry.light_folder import save_light
from training.registry.model_card import model_card
from training.registry.registry import Registry
from training.registry.snapshot import Snapshot, take_snapshot
from training.registry.versions import TABLE_VERSIONS
from training.scoring.composite import load_composite, save_composite
from training.text.kept import keep_texts_of


class Assembly:
    """Registers the versions of one day, all with the same retriever and snapshot."""

    def __init__(self, context: StepContext, registry: Registry, retriever: Retriever) -> None:
        self._context = context
        self._registry = registry
        self._retriever = retriever

    def register(self, candidate: TrainedCandidate) -> int:
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
            self._answers(directory, candidate, key)
            versions = table_versions(self._context.lake, self._context.ds)
            return self._registry.register(
                promote_key=key,
                directory=directory,
                run_id=candidate.run_id,
                tags={**tags, TABLE_VERSIONS: json.dumps(versions)},
            )

    def _answers(self, directory: Path, candidate: TrainedCandidate, key: str) -> None:
        """Write what the version answers with, and its model card."""
        context, snapshot = self._context, self._snapshot
        name = f"{context.ds}-{candidate.scorer}-{key[:8]}"
        keep_texts_of(context.settings)
        save_light(
            load_composite(directory, 0),
            snapshot,
            context.dataset,
            directory,
            version=name,
            top_n=context.settings.recommend.top_n,
        )
        tested = context.lake.read(EVALUATIONS, [context.ds]).to_pylist()
        card = model_card(
            context.dataset,
            self._tags(candidate),
            [row for row in tested if row["scorer"] == candidate.scorer],
            name=name,
            users=len(snapshot.user_ids) - 1,
            items=len(snapshot.item_ids) - 1,
        )
        (directory / "light" / "MODEL_CARD.md").write_text(card)

    @cached_property
    def _snapshot(self) -> Snapshot:
        settings = self._context.settings
        with_text = not TEXT_SCORERS.isdisjoint(settings.training.scorers)
        return take_snapshot(
            self._context.lake,
            self._context.ds,
            settings.recommend.active_days,
            with_text=with_text,
        )

    @cached_property
    def _snapshot_digest(self) -> str:
        snapshot = self._snapshot
        names = json.dumps([snapshot.day, snapshot.user_ids, snapshot.item_ids])
        return digest_of(chain(snapshot.users.arrays(), snapshot.items.arrays()), names)

    def _promote_key(self, candidate: TrainedCandidate) -> str:
        """Digest of the inputs of all that the version holds; of no weights, which are outputs."""
        return digest(
            {
                "dataset": self._context.dataset.name,
                "ds": self._context.ds,
                "scorer": candidate.scorer,
                "inputs": candidate.input_hash,
                "retriever": self._retriever.key,
                "snapshot": self._snapshot_digest,
                "config": model_hash(self._context.settings, self._context.dataset),
            }
        )

    def _tags(self, candidate: TrainedCandidate) -> Mapping[str, object]:
        blocked = blocked_before(self._context.lake, self._context.ds)
        left_out = blocked.days_within(candidate.first_day, candidate.last_day)
        return {
            "dataset": self._context.dataset.name,
            "ds": self._context.ds,
            "scorer": candidate.scorer,
            "parent": candidate.parent_version,
            "retriever": self._retriever.key,
            "vocabulary_day": candidate.last_day,
            "training_days": f"{candidate.first_day} to {candidate.last_day}",
            "blocked_days": ", ".join(left_out) or "none",
        }
