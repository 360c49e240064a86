"""`dayfold drift report`: the page that the day's MLflow run has too, made again."""

from __future__ import annotations

from pathlib import Path

from conf.errors import MissingPartition
from dayfold.page_file import require_file, write_page
from dayfold.workplace import Workplace
from feature_store.step import StepContext
from feature_store.tables import DRIFT, SCORES


def write_drift_report(workplace: Workplace, ds: str | None, out: Path | None) -> Path:
    """Write the page of `ds` (one write, by rename); where it lies.

    Args:
        workplace: where the lake is.
        ds: the day; None = the last one that was decided.
        out: the file; None = in the home.

    Raises:
        ConfigError: `out` is a folder.
        MissingPartition: the day has no decision.
    """
    from training.review.day import score_histogram
    from training.review.drift_page import drift_page

    if out is not None:
        require_file(out)
    lake = workplace.existing_lake()
    decided = lake.days(DRIFT)
    if not decided or (ds is not None and ds not in decided):
        there = f"decided are {decided[0]} to {decided[-1]}" if decided else "no day is decided yet"
        raise MissingPartition(
            f"{ds or 'No day'} has no drift decision: {there}. Next: dayfold status"
        )
    day = ds or decided[-1]
    context = StepContext((day,), lake, workplace.dataset, workplace.settings)
    page = drift_page(context, score_histogram(context, lake.read(SCORES, [day])))
    path = out or workplace.home / f"drift-{workplace.dataset.name}-{day}.html"
    write_page(path, page or "")
    return path
