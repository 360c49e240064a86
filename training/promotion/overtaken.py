"""Whether what serves was changed by hand while the day was under way."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.compute as pc

from conf.errors import OrderError
from feature_store.champion import Standing
from feature_store.lake import Lake
from feature_store.promotion_ledger import blocked_before
from feature_store.tables import SCORES
from training.promotion.candidates import TrainedCandidate


def require_not_overtaken(
    lake: Lake, ds: str, before: Standing | None, candidates: Sequence[TrainedCandidate]
) -> None:
    """Pass if the day was scored by what serves, and trained from what is not blocked.

    Raises:
        OrderError: an approval, a rejection or a rollback came between the day's steps.
    """
    again = f"Next: dayfold run --from {ds} --to {ds}"
    scored_by = pc.unique(lake.read(SCORES, [ds], ["model_version"]).column("model_version"))
    others = sorted({*scored_by.to_pylist()} - {0 if before is None else before.version})
    if others:
        serves = "nothing" if before is None else f"version {before.version}"
        raise OrderError(
            f"{ds} was scored by version {others[0]}, and {serves} serves since: it was changed "
            f"by hand while the day was under way. {again}"
        )
    blocked = blocked_before(lake, ds).versions
    for candidate in candidates:
        if candidate.parent_version in blocked:
            raise OrderError(
                f"{candidate.scorer} of {ds} was trained from version {candidate.parent_version}, "
                f"which was blocked by hand since. {again}"
            )
