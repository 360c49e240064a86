"""score_day on a real champion, and on days without one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc
import pytest

from feature_store.champion import standing_after
from feature_store.tables import (
    DAILY_METRICS,
    EXAMPLES,
    SCORES,
    SKETCHES,
)
from tests.training.log_fixture import FIRST_DAY
from tests.training.promoted_home import SCORED, TRAINED, Home
from training import score_day
from training.scoring.metrics import auc, log_loss, logit_of, sigmoid


def test_every_example_is_scored_once_by_the_champion(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    scores = home.lake.read(SCORES, [SCORED])
    examples = home.lake.read(EXAMPLES, [SCORED])
    ids = examples.column("example_id").to_pylist()
    assert scores.column("example_id").to_pylist() == sorted(ids)
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    assert set(scores.column("model_version").to_pylist()) == {standing.version}
    assert scores.column("percentile_rank").null_count == scores.num_rows


def test_the_sketch_adds_up_to_the_scores(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    scores = home.lake.read(SCORES, [SCORED])
    sketch = (
        home.lake.read(SKETCHES, [SCORED])
        .group_by("slice")
        .aggregate([("n", "sum"), ("clicks", "sum"), ("expected", "sum")])
    )
    by_slice = {row["slice"]: row for row in sketch.to_pylist()}
    everything = by_slice["all"]
    assert everything["n_sum"] == scores.num_rows
    assert everything["clicks_sum"] == pc.sum(scores.column("label")).as_py()
    expected = sigmoid(scores.column("logit").to_numpy()).sum()
    assert everything["expected_sum"] == pytest.approx(expected)
    for field in ("history=", "ctx_device="):
        parts = [row["n_sum"] for name, row in by_slice.items() if name.startswith(field)]
        assert sum(parts) == scores.num_rows


def test_the_champions_metrics_are_those_of_its_scores(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    scores = home.lake.read(SCORES, [SCORED])
    logits, labels = (scores.column(name).to_numpy() for name in ("logit", "label"))
    found = home.metrics(SCORED)
    assert found["champion.auc"] == (pytest.approx(auc(logits, labels)), len(labels))
    assert found["champion.log_loss"][0] == pytest.approx(log_loss(logits, labels))
    best = log_loss(np.full(len(labels), logit_of(labels.mean())), labels)
    assert found["base_rate.log_loss"] == (pytest.approx(best), len(labels))
    assert found["lists.recall_at_10"][1] == found["popularity_7d.recall_at_10"][1] > 0
    assert 0 < found["lists.coverage"][0] <= 1
    rows = [found[f"champion.log_loss_{part}_users"][1] for part in ("new", "seen")]
    assert sum(rows) == len(labels)


def test_sampled_sketches_hold_ten_drawn_negatives_per_positive(
    promoted: Callable[[str], Home],
) -> None:
    home = promoted("sampled")
    positives = home.lake.read(EXAMPLES, [SCORED]).num_rows
    sketch = home.lake.read(SKETCHES, [SCORED])
    everything = sketch.filter(pc.equal(sketch.column("slice"), "all"))
    assert pc.sum(everything.column("n")).as_py() == 11 * positives
    assert pc.sum(everything.column("clicks")).as_py() == positives
    ranks = home.lake.read(SCORES, [SCORED]).column("percentile_rank")
    found = home.metrics(SCORED)["champion.mean_percentile_rank"]
    assert found == (pytest.approx(pc.mean(ranks).as_py()), positives - ranks.null_count)
    spread = home.metrics(SCORED)["champion.std_percentile_rank"]
    assert spread == (pytest.approx(pc.stddev(ranks).as_py()), found[1])


def test_a_day_without_a_champion_has_only_baselines(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    result = score_day.run(home.context(FIRST_DAY))
    assert home.rows(SCORES, FIRST_DAY) == home.rows(SKETCHES, FIRST_DAY) == []
    assert "base_rate.log_loss" in home.metrics(FIRST_DAY)
    assert not any(name.startswith(("champion", "lists")) for name in home.metrics(FIRST_DAY))
    assert "no champion" in result.summary


def test_an_empty_day_writes_empty_partitions(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    result = score_day.run(home.context("2026-01-20"))
    assert home.rows(SCORES, "2026-01-20") == home.rows(DAILY_METRICS, "2026-01-20") == []
    assert result.summary.startswith("0 examples")
