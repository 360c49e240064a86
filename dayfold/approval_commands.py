"""`dayfold approve` and `dayfold reject`: a human's word on the version that waits."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from dayfold.options import Dataset, LakeRoot
from dayfold.rollback_commands import Reason, said, workplace_of
from dayfold.workplace import Workplace

if TYPE_CHECKING:
    from feature_store.promotion_ledger import PromotionEvent

Waiting = Annotated[int, typer.Argument(help="Version that waits, as `dayfold history` says.")]
Actor = Annotated[str, typer.Option("--by", help="Who decided [the user of this machine].")]
AsJson = Annotated[bool, typer.Option("--json", help="The last line is JSON, for programs.")]


def approve(
    version: Waiting,
    reason: Reason = "",
    by: Actor = "",
    as_json: AsJson = False,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Make the version that waits the champion (`promotion.approval: required`)."""
    from dayfold import approval

    workplace = workplace_of(dataset, lake)
    event = approval.approve(workplace, version, reason=reason, say=_say(as_json), actor=by)
    _end(as_json, event.kind, event.version, event.scorer, event.ds)
    if not as_json:
        said()(answered(workplace, event))


def answered(workplace: Workplace, event: PromotionEvent) -> str:
    """How an answer ends: what serves, or that a pool serves without it; what is blocked."""
    from feature_store.promotion_ledger import blocked_now
    from training.registry.pool import pool_of, without_share
    from training.registry.registry import Registry

    if event.kind == "rejection":
        named = ", ".join(map(str, event.versions))
        return f"blocked versions: {named}; the champion stays. Next: dayfold history"
    lake, version, scorer = workplace.existing_lake(), event.version, event.scorer
    pool = pool_of(Registry(workplace.settings, lake.id), version, blocked_now(lake).versions)
    if left_out := without_share(pool, version):
        return f"version {version} ({scorer}) is the champion, but {left_out}"
    return f"version {version} ({scorer}) serves. Next: dayfold history"


def reject(
    version: Waiting,
    reason: Reason = "",
    by: Actor = "",
    as_json: AsJson = False,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Block the version that waits: the champion stays, and the family goes back to its parent."""
    from dayfold import approval

    workplace = workplace_of(dataset, lake)
    event = approval.reject(workplace, version, reason=reason, say=_say(as_json), actor=by)
    _end(as_json, event.kind, event.version, event.scorer, event.ds)
    if not as_json:
        said()(answered(workplace, event))


def _say(as_json: bool) -> Callable[[str], None]:
    if as_json:
        return lambda line: print(line, file=sys.stderr)  # noqa: T201
    return said()


def _end(as_json: bool, kind: str, version: int, scorer: str, ds: str) -> None:
    if as_json:
        facts = {"kind": kind, "version": version, "scorer": scorer, "ds": ds}
        print(json.dumps(facts))  # noqa: T201
