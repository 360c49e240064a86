"""A day that stands before its promotion: candidates with real checkpoints and designed scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from conf.errors import RegistryError
from conf.settings import Settings
from feature_store.champion import standing_before
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.step import StepContext, StepResult
from feature_store.tables import (
    CANDIDATE_SCORES,
    CANDIDATES,
    DRIFT,
    EXAMPLES,
    GATES,
    PROMOTIONS,
    SCORE_MAPS,
    SCORES,
    Table,
)
from training.fitting.checkpoint import Checkpoint, Training, save_scorer
from training.registry.registry import Registry
from training.scorers import Architecture, build
from training.scorers.schema import schema_on

D1, D2, D3 = "2026-01-08", "2026-01-09", "2026-01-10"
ARCHITECTURE = Architecture(embedding_dim=4, hidden=(8,), dropout=0.0)
GOOD, FAIR, BAD = 2.0, 1.0, -2.0
"""How strongly a model's logits follow the labels."""
BOTH = {"two_tower": (FAIR, None), "mlp": (GOOD, None)}
"""Both candidates of a first day."""


def write_drift(lake: Lake, ds: str, *, train: bool) -> None:
    row = {"ds": ds, "decision": "retrain" if train else "skip", "train": train}
    _put(lake, DRIFT, {"ds": ds}, [{**row, "reason": "by hand", "evidence": "{}"}])


def logits_like(labels: np.ndarray, follow: float, seed: int) -> np.ndarray:
    """Log-odds that follow the labels by `follow`, with noise, around the base rate."""
    noise = np.random.default_rng(seed).normal(0, 0.5, len(labels))
    return np.asarray(-1.2 + follow * (labels - labels.mean()) + noise)


def write_champion_scores(lake: Lake, ds: str, follow: float) -> None:
    """What score_day writes where there is a champion."""
    standing = standing_before(lake, ds)
    examples = lake.read(EXAMPLES, [ds])
    labels = examples.column("label").to_numpy()
    rows = _ids(examples) | {
        "model_version": pa.array([standing.version if standing else 0] * len(labels), pa.int32()),
        "logit": logits_like(labels, follow, 1),
        "label": labels,
        "percentile_rank": pa.nulls(len(labels), pa.float64()),
    }
    empty = lake.schema(SCORES).empty_table().drop_columns(["ds"])
    content = pa.table(rows) if standing else empty
    lake.replace(SCORES, {"ds": ds}, content, {"step": "test", "ds": ds})


def write_candidate(
    context: StepContext, scorer: str, follow: float, head_follow: float | None = None
) -> None:
    """What train and evaluate write; the checkpoint is real, its weights are as drawn."""
    lake, ds = context.lake, context.ds
    folder = Path("candidates") / ds / scorer
    about = Training(0, shift(ds, -1), shift(ds, -1), 100, 0, 7)
    net = build(scorer, schema_on(lake, shift(ds, -1)), ARCHITECTURE)
    save_scorer(
        Path(context.settings.home) / folder, Checkpoint(scorer, net, ARCHITECTURE, about, {})
    )
    row = {
        "scorer": scorer,
        "run_id": Registry(context.settings, lake.id).scorer_run(ds, scorer),
        "parent_version": 0,
        "first_day": shift(ds, -1),
        "last_day": shift(ds, -1),
        "rows": 100,
        "replay_rows": 0,
        "directory": folder.as_posix(),
        "evidence": json.dumps({"input_hash": f"{ds}-{scorer}"}),
    }
    _put(lake, CANDIDATES, {"ds": ds, "scorer": scorer}, [row])
    examples = lake.read(EXAMPLES, [ds])
    labels = examples.column("label").to_numpy()
    nothing = np.full(len(labels), np.nan)
    head = nothing if head_follow is None else logits_like(labels, head_follow, 1)
    scores = pa.table(
        _ids(examples)
        | {
            "logit": logits_like(labels, follow, 2),
            "head_logit": head,
            "label": labels,
            "percentile_rank": pa.nulls(len(labels), pa.float64()),
            "head_percentile_rank": pa.nulls(len(labels), pa.float64()),
            "anchor_logit": pa.nulls(len(labels), pa.float64()),
            "anchor_percentile_rank": pa.nulls(len(labels), pa.float64()),
        }
    )
    lake.replace(CANDIDATE_SCORES, {"ds": ds, "scorer": scorer}, scores, {"step": "test", "ds": ds})


def prepare(
    context: StepContext,
    candidates: Mapping[str, tuple[float, float | None]],
    champion: float = FAIR,
) -> None:
    """Write the inputs of promote: per scorer how well candidate and head follow the labels."""
    write_drift(context.lake, context.ds, train=bool(candidates))
    write_champion_scores(context.lake, context.ds, champion)
    for scorer, (follow, head) in candidates.items():
        write_candidate(context, scorer, follow, head)


def context_of(lake: Lake, settings: Settings, ds: str) -> StepContext:
    return StepContext((ds,), lake, lake.dataset, settings)


def promote(context: StepContext) -> StepResult:
    from training import promote as step

    return step.run(context)


def written(lake: Lake, ds: str) -> dict[str, list[dict[str, object]]]:
    """What promote wrote for `ds`."""
    return {t.name: lake.read(t, [ds]).to_pylist() for t in (GATES, SCORE_MAPS, PROMOTIONS)}


def _ids(examples: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: examples.column(name) for name in ("example_id", "user_index", "item_index")}


def _put(
    lake: Lake, table: Table, partition: Mapping[str, str], rows: list[dict[str, object]]
) -> None:
    schema = pa.schema([f for f in lake.schema(table) if f.name not in partition])
    content = [{k: v for k, v in row.items() if k not in partition} for row in rows]
    lake.replace(
        table, partition, pa.Table.from_pylist(content, schema), {"step": "test", **partition}
    )


def versions_of(registry: Registry) -> dict[int, dict[str, str]]:
    """Tags of every version."""
    found = {}
    for version in range(1, 20):
        try:
            found[version] = registry.version_tags(version)
        except RegistryError:
            return found
    return found


def first_promotion(lake: Lake, settings: Settings) -> None:
    context = context_of(lake, settings, D1)
    prepare(context, BOTH)
    promote(context)
