"""A candidate's run: how calibrated it is, and in which slices it is better or worse."""

from __future__ import annotations

import tempfile
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from feature_store.days import ordinal, shift
from feature_store.step import StepContext
from feature_store.tables import EXAMPLES, SCORES
from training.features.rows import Rows
from training.plots.attributions import draw_attributions
from training.plots.calibration import draw_calibration
from training.plots.canvas import save
from training.plots.percentile_ranks import draw_percentile_ranks
from training.plots.slices import draw_slices
from training.registry.inputs import DataInput, log_inputs, version_on
from training.registry.pages import log_table
from training.registry.registry import Registry
from training.review.attributions import attribute
from training.review.losses import loss_name, losses_of
from training.scorers.trained import TrainedScorer
from training.scoring.attribute_slices import attribute_slices, words_of
from training.scoring.day_scores import DayScores
from training.scoring.metrics import Bools, Floats
from training.scoring.slice_differences import SliceDifference, slice_differences

SLICES = "slices.json"
ATTRIBUTIONS = "attributions.json"


@dataclass(frozen=True)
class Tested:
    """What a candidate was tested on, and what it and its head said; all aligned, n rows."""

    examples: pa.Table
    rows: Rows
    slices: dict[str, Bools]
    """New and seen users and items."""
    said: DayScores
    head: DayScores | None
    """None = its family has no head."""
    ranker: TrainedScorer


def review_candidate(context: StepContext, scorer: str, tested: Tested) -> None:
    """Log pictures, the table of slices and the tested data to the scorer's run."""
    lake, ds = context.lake, context.ds
    registry = Registry(context.settings, lake.id)
    run_id = registry.scorer_run(ds, scorer)
    n = tested.examples.num_rows
    log_inputs(
        registry,
        context.settings.path(context.settings.home),
        run_id,
        lake,
        DataInput(EXAMPLES, version_on(lake, EXAMPLES, ds), ds, ds, n, "evaluation"),
    )
    champion = champion_scores(context, tested.examples)
    against, other = "its head", tested.head
    if other is None:
        against, other = "the champion", champion
    found = _slices(context, tested, other)
    models = _named(scorer, tested, champion)
    labels = tested.examples.column("label").to_numpy()
    pictures = {
        **score_picture(models, labels, sampled=lake.dataset.labels.kind == "sampled"),
        "slices": draw_slices(found, against=against, loss=loss_name(lake.dataset)),
    }
    if n:
        explained = attribute(tested.ranker, tested.rows, ordinal(ds))
        fields_of = explained.by_field()
        pictures["attributions"] = draw_attributions(fields_of, len(explained.added))
        log_table(registry, run_id, ATTRIBUTIONS, ["field", "absolute", "signed"], fields_of)
    log_pictures(registry, run_id, pictures)
    names = [field.name for field in fields(SliceDifference)]
    log_table(registry, run_id, SLICES, ["slice", *names[1:]], [astuple(one) for one in found])


def champion_scores(context: StepContext, examples: pa.Table) -> DayScores | None:
    """What the day's champion said of `examples`, in their order; None where it scored not all."""
    columns = ["example_id", "logit", "percentile_rank"]
    rows = context.lake.read(SCORES, [context.ds], columns).sort_by("example_id")
    if rows.column("example_id").to_pylist() != examples.column("example_id").to_pylist():
        return None
    if not rows.num_rows:
        return None
    logits, percentile = (rows.column(name).to_numpy() for name in columns[1:])
    return DayScores(logits, np.asarray(percentile, dtype=np.float64))


def score_picture(
    models: dict[str, DayScores], labels: Floats, *, sampled: bool
) -> dict[str, Any | None]:
    """Calibration; or where negatives are drawn, which set the rate, the positives' ranks.

    Args:
        models: scores (n,) by name; the champion first.
        labels: (n,) 0 to 1.
        sampled: whether negatives are drawn.
    """
    if sampled:
        ranks = {name: scores.percentile for name, scores in models.items()}
        return {"percentile_ranks": draw_percentile_ranks(ranks)}
    return {
        "calibration": draw_calibration(
            {name: (scores.logits, labels) for name, scores in models.items()}
        )
    }


def log_pictures(registry: Registry, run_id: str, pictures: dict[str, Any | None]) -> None:
    """Log figures as plots/<name>.png; None = there was nothing to draw."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, figure in pictures.items():
            if figure is not None:
                save(figure, Path(scratch) / "plots" / f"{name}.png")
        registry.log(run_id, artifacts=Path(scratch))


def log_page(registry: Registry, run_id: str, name: str, page: str) -> None:
    """Log a page of HTML under `name`."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / name).write_text(page, encoding="utf-8")
        registry.log(run_id, artifacts=Path(scratch))


def _named(scorer: str, tested: Tested, champion: DayScores | None) -> dict[str, DayScores]:
    """The models of a picture by name; a head that is the champion is drawn once."""
    head, name = tested.head, "champion"
    if head is not None and champion is not None and np.array_equal(head.logits, champion.logits):
        head, name = None, "champion, its head"
    named = {name: champion, scorer: tested.said, "its head": head}
    return {name: scores for name, scores in named.items() if scores is not None}


def _slices(context: StepContext, tested: Tested, other: DayScores | None) -> list[SliceDifference]:
    lake, ds, examples = context.lake, context.ds, tested.examples
    words = words_of(lake, shift(ds, -1))
    masks = {
        "all": np.ones(examples.num_rows, dtype=np.bool_),
        **tested.slices,
        **attribute_slices(tested.rows, lake.dataset, words),
    }
    labels = examples.column("label").to_numpy()
    return slice_differences(
        examples.column("user_index").to_numpy(),
        losses_of(tested.said, labels, lake.dataset),
        None if other is None else losses_of(other, labels, lake.dataset),
        masks,
        ordinal(ds),
    )
