"""Pictures: they show what the arrays say, are not blank, small, and the same each time."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from training.measures.sketch import BINS, bin_of
from training.plots.calibration import calibration_of, draw_calibration
from training.plots.canvas import save
from training.plots.drift_tests import draw_drift_tests, of_the_day
from training.plots.over_days import draw_over_days
from training.plots.percentile_ranks import draw_percentile_ranks
from training.plots.score_histogram import draw_score_histogram
from training.plots.slices import draw_slices
from training.scoring.metrics import sigmoid
from training.scoring.slice_differences import SliceDifference

RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(-1.5, 1.0, 2400)
LABELS = (RANDOM.random(2400) < sigmoid(LOGITS)).astype(float)
DAYS = [f"2026-01-{day:02}" for day in range(1, 29)]


def pixels(figure: Any, path: Path) -> np.ndarray:
    save(figure, path)
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), dtype=float)


def sliced(name: str, low: float | None, high: float | None, rows: int = 90) -> SliceDifference:
    middle = None if low is None or high is None else (low + high) / 2
    return SliceDifference(name, rows, 40, 0.3, 0.3, middle, low, high)


def over_days() -> Any:
    lines = {"champion": {day: 0.6 + 0.001 * n for n, day in enumerate(DAYS)}, "mlp": {DAYS[3]: 1}}
    return draw_over_days(DAYS, {"auc": lines, "log_loss": {"champion": {}}}, {DAYS[3]: 7})


@cache
def every_picture() -> dict[str, Any]:
    histogram = np.bincount(bin_of(LOGITS), minlength=BINS).astype(float)
    return {
        "calibration": draw_calibration({"champion": (LOGITS, LABELS), "mlp": (-LOGITS, LABELS)}),
        "histogram": draw_score_histogram(
            histogram, np.tile(histogram, (9, 1)), version=3, probabilities=True
        ),
        "over_days": over_days(),
        "slices": draw_slices(
            [sliced("all", -0.1, 0.1), sliced("a=1", -0.2, -0.1), sliced("a=2", 0.1, 0.2)],
            against="its head",
            loss="log loss",
        ),
        "ranks": draw_percentile_ranks({"champion": RANDOM.random(50)}),
    }


@pytest.mark.parametrize("name", ["calibration", "histogram", "over_days", "slices", "ranks"])
def test_a_picture_is_not_blank_and_small(name: str, tmp_path: Path) -> None:
    path = tmp_path / "plots" / f"{name}.png"
    seen = pixels(every_picture()[name], path)
    assert seen.std() > 10
    assert min(seen.shape) > 150
    # white margins on all sides: nothing is cut off at the edge
    border = np.concatenate([seen[:3].ravel(), seen[-3:].ravel(), seen[:, -3:].ravel()])
    assert border.min() > 240
    assert path.stat().st_size < 80_000


def test_the_line_of_a_drift_test_is_of_the_day_alone() -> None:
    """The value of a test of several days would show a change days after it came."""
    test = {"value": 0.1, "normal": 0.0, "threshold": 0.3}
    by_day = {DAYS[0]: test, DAYS[1]: test | {"alone": 0.2}, DAYS[2]: test | {"alone": None}}
    axis = draw_drift_tests(DAYS[:4], {"label": by_day}, {DAYS[1]}).axes[0]
    line = next(line for line in axis.lines if line.get_label() == "the day")
    np.testing.assert_array_equal(line.get_ydata(), [0.1, 0.2, 0.1, np.nan])
    assert of_the_day(test | {"alone": 0.0}) == 0.0


def test_the_same_arrays_give_the_same_file(tmp_path: Path) -> None:
    for name in ("first.png", "second.png"):
        save(over_days(), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_calibration_is_that_of_scikit_learn_with_exact_intervals() -> None:
    found = calibration_of(LOGITS, LABELS, groups=8)
    observed, predicted = calibration_curve(LABELS, sigmoid(LOGITS), n_bins=8, strategy="quantile")
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.predicted, predicted)
    for group in range(8):
        hits, rows = round(found.observed[group] * found.rows[group]), int(found.rows[group])
        exact = binomtest(hits, rows).proportion_ci(0.95, method="exact")
        assert found.low[group] == pytest.approx(exact.low)
        assert found.high[group] == pytest.approx(exact.high)


def test_equal_scores_are_one_group_and_a_group_without_a_positive_has_an_interval() -> None:
    found = calibration_of(np.full(50, -2.0), np.zeros(50))
    assert found.rows.tolist() == [50]
    assert (found.low[0], found.observed[0]) == (0.0, 0.0)
    assert found.high[0] == pytest.approx(binomtest(0, 50).proportion_ci(0.95, "exact").high)
    full = calibration_of(np.full(50, 2.0), np.ones(50))
    assert (full.high[0], full.observed[0]) == (1.0, 1.0)


def test_labels_between_0_and_1_have_the_interval_of_their_mean() -> None:
    places = RANDOM.random(400)
    found = calibration_of(np.zeros(400), places)
    reach = 1.96 * places.std(ddof=1) / 20
    assert found.high[0] - found.observed[0] == pytest.approx(reach)


def test_what_has_nothing_to_show_is_no_picture() -> None:
    nothing = np.empty(0)
    assert draw_calibration({"champion": (nothing, nothing)}) is None
    assert draw_percentile_ranks({"champion": np.full(3, np.nan)}) is None
    assert draw_over_days(DAYS, {"auc": {"champion": {}}}, {}) is None
    assert draw_slices([sliced("all", None, None)], against="x", loss="y") is None
    empty = np.zeros(BINS)
    assert draw_score_histogram(empty, empty[None], version=1, probabilities=True) is None


def test_the_first_day_one_class_and_one_slice_are_drawn_too(tmp_path: Path) -> None:
    one = np.bincount(bin_of(np.array([0.3])), minlength=BINS).astype(float)
    figures = [
        draw_score_histogram(one, np.empty((0, BINS)), version=1, probabilities=False),
        draw_calibration({"champion": (LOGITS[:20], np.zeros(20))}),
        draw_calibration({"champion": (LOGITS[:1], np.ones(1))}),
        draw_slices([sliced("all", 0.0, 0.0)], against="x", loss="y"),
        draw_over_days(DAYS[:1], {"auc": {"champion": {DAYS[0]: 0.5}}}, {}),
    ]
    for number, figure in enumerate(figures):
        assert pixels(figure, tmp_path / f"{number}.png").std() > 5
