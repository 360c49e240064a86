"""The day's candidates as the gate sees them: read from the lake, aligned on the same examples."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from conf.settings import Settings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import (
    CANDIDATE_SCORES,
    CANDIDATES,
    EVALUATIONS,
    EXAMPLES,
    FIRST_VALUE_ID,
    SCORES,
)
from feature_store.vocabularies import born_by
from training.promotion.gate import Scored
from training.promotion.served_bars import Served
from training.scoring.metrics import log_losses, logit_of, squared_errors

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainedCandidate:
    """One scorer trained that day."""

    scorer: str
    run_id: str
    parent_version: int
    first_day: str
    last_day: str
    directory: Path
    """Its checkpoint."""
    evidence: dict[str, Any]

    @property
    def input_hash(self) -> str:
        """What it was trained on, as its evidence says."""
        return str(self.evidence["input_hash"])


@dataclass(frozen=True)
class Aligned:
    """The scores of the candidates and of the champion on the same examples, ordered by id."""

    scored: list[Scored]
    """Of each candidate that was evaluated."""
    champion_logits: Floats | None
    logits: dict[str, Floats]
    """Of each candidate that was evaluated."""


def candidates_of(lake: Lake, settings: Settings, ds: str) -> list[TrainedCandidate]:
    """The candidates of `ds` whose scorer is enabled, in the order of `training.scorers`."""
    rows = {row["scorer"]: row for row in lake.read(CANDIDATES, [ds]).to_pylist()}
    return [
        TrainedCandidate(
            scorer=name,
            run_id=rows[name]["run_id"],
            parent_version=rows[name]["parent_version"],
            first_day=rows[name]["first_day"],
            last_day=rows[name]["last_day"],
            directory=settings.path(settings.home) / rows[name]["directory"],
            evidence=json.loads(rows[name]["evidence"]),
        )
        for name in settings.training.scorers
        if name in rows
    ]


def aligned_scores(
    lake: Lake, ds: str, scorers: list[str], *, has_champion: bool, half_life_days: int
) -> Aligned:
    """The scores of `scorers` and of the champion on the examples that all of them scored.

    A scorer that was not evaluated has no rows; it is left out, so that the others keep theirs.
    """
    rows = lake.read(CANDIDATE_SCORES, [ds])
    tables = {
        name: rows.filter(pc.equal(rows.column("scorer"), name)).sort_by("example_id")
        for name in scorers
    }
    tables = {name: table for name, table in tables.items() if table.num_rows}
    if not tables:
        return Aligned([], None, {})
    champion = lake.read(SCORES, [ds]).sort_by("example_id") if has_champion else None
    common = _common([*tables.values(), *([champion] if champion is not None else [])])
    tables = {name: _only(table, common) for name, table in tables.items()}
    champion = None if champion is None else _only(champion, common)
    ids = _known_ids(lake, shift(ds, -1))
    served = _served(lake, ds)
    if lake.dataset.labels.kind == "sampled":
        baseline = _popularity_losses(lake, ds, common, half_life_days)
        scored = [_by_rank(name, t, champion, baseline, ids) for name, t in tables.items()]
    else:
        losses = squared_errors if lake.dataset.labels.kind == "rating" else log_losses
        scored = [_by_label(name, t, champion, losses, ids) for name, t in tables.items()]
    return Aligned(
        [replace(one, served=served.get(one.scorer, one.served)) for one in scored],
        None if champion is None else _numbers(champion, "logit"),
        {name: _numbers(table, "logit") for name, table in tables.items()},
    )


def _served(lake: Lake, ds: str) -> dict[str, Served]:
    """What step evaluate measured of each scorer besides its scores."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for row in lake.read(EVALUATIONS, [ds]).to_pylist():
        found.setdefault(row["scorer"], {})[row["metric"]] = (row["value"], row["head_value"])
    return {scorer: Served.of(metrics) for scorer, metrics in found.items()}


def _known_ids(lake: Lake, day: str) -> dict[str, int]:
    """Per side the number below which ids were given by the end of `day`.

    As `training.scoring.slices` has it, without the scorers, whose import takes seconds.
    """
    born = born_by(lake, day, ["field", "id"]).group_by("field").aggregate([("id", "max")])
    largest = dict(
        zip(born.column("field").to_pylist(), born.column("id_max").to_pylist(), strict=True)
    )
    ids = {side: largest.get(f"{side}_id", FIRST_VALUE_ID - 1) for side in ("user", "item")}
    return {side: max(int(last) + 1, FIRST_VALUE_ID) for side, last in ids.items()}


def _with_new(scored: Scored, table: pa.Table, known: Mapping[str, int]) -> Scored:
    """`scored` with its rows of new users and of new items; `table` has the same rows."""
    new = {}
    for side, size in known.items():
        ids = table.column(f"{side}_index").to_numpy()
        new[side] = np.asarray((ids == 0) | (ids >= size))
    return replace(scored, new_user=new["user"], new_item=new["item"])


def _by_label(
    name: str,
    table: pa.Table,
    champion: pa.Table | None,
    losses: Callable[[Floats, Floats], Floats],
    ids: Mapping[str, int],
) -> Scored:
    """Losses of the logits against labels; the baseline is the best constant."""
    labels, logits = _numbers(table, "label"), _numbers(table, "logit")
    head = _numbers(table, "head_logit")
    has_head = bool(len(head)) and not np.isnan(head).any()
    anchor = _numbers(table, "anchor_logit")
    has_anchor = bool(len(anchor)) and not np.isnan(anchor).any()
    serving = None if champion is None else _numbers(champion, "logit")
    rate = float(np.clip(labels.mean(), 1e-6, 1 - 1e-6)) if len(labels) else 0.5
    scored = Scored(
        scorer=name,
        user=table.column("user_index").to_numpy(),
        loss=losses(logits, labels),
        baseline_loss=losses(np.full(len(labels), logit_of(rate)), labels),
        head_loss=losses(head, labels) if has_head else None,
        champion_loss=None if serving is None else losses(serving, labels),
        logits=logits,
        labels=labels,
        reference_logits=head if has_head else serving,
        anchor_loss=losses(anchor, labels) if has_anchor else None,
    )
    return _with_new(scored, table, ids)


def _by_rank(
    name: str,
    table: pa.Table,
    champion: pa.Table | None,
    baseline: Floats,
    ids: Mapping[str, int],
) -> Scored:
    """Losses are 1 - percentile rank, of the positives whose item was known."""
    loss = 1 - _numbers(table, "percentile_rank")
    head = 1 - _numbers(table, "head_percentile_rank")
    serving = None if champion is None else 1 - _numbers(champion, "percentile_rank")
    anchor = 1 - _numbers(table, "anchor_percentile_rank")
    known = ~np.isnan(loss) & ~np.isnan(baseline)
    scored = Scored(
        scorer=name,
        user=table.column("user_index").to_numpy()[known],
        loss=loss[known],
        baseline_loss=baseline[known],
        head_loss=None if np.isnan(head[known]).any() or not known.any() else head[known],
        champion_loss=None if serving is None else serving[known],
        anchor_loss=None if np.isnan(anchor[known]).any() or not known.any() else anchor[known],
    )
    return _with_new(scored, table.filter(pa.array(known)), ids)


def _popularity_losses(lake: Lake, ds: str, ids: pa.Array, half_life_days: int) -> Floats:
    """1 - percentile rank of each example's item by decayed popularity, (n,)."""
    from training.features.reader import FeatureReader
    from training.scoring.catalogue_ranks import popularity_percentile_ranks

    examples = _only(lake.read(EXAMPLES, [ds]).sort_by("example_id"), ids)
    if not examples.num_rows:
        return np.empty(0)
    ranks = popularity_percentile_ranks(FeatureReader(lake, ds, ds), examples, half_life_days)
    return np.asarray(1 - ranks)


def _common(tables: list[pa.Table]) -> pa.Array:
    """The example ids that are in every table, ascending."""
    ids = tables[0].column("example_id")
    for table in tables[1:]:
        ids = ids.filter(pc.is_in(ids, value_set=table.column("example_id")))
    return ids.combine_chunks()


def _only(table: pa.Table, ids: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table.column("example_id"), value_set=ids))


def _numbers(table: pa.Table, column: str) -> Floats:
    """A column as floats, (n,); null = NaN."""
    return np.asarray(table.column(column).to_numpy(), dtype=np.float64)
