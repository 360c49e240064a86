"""Squared error where values are ratings: the loss, what it learns, its metrics and its gate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError
from scipy.special import expit
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from conf.dataset import Labels
from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import CANDIDATE_SCORES, EXAMPLES
from tests.training.log_fixture import FIRST_DAY, LINEAGE
from training.features.reader import FeatureReader
from training.fitting.candidate import train_candidate
from training.fitting.losses import loss_of, rating_loss
from training.promotion.candidates import aligned_scores
from training.scorers.batch import batch_of_rows
from training.scorers.schema import schema_on
from training.scorers.trained import TrainedScorer
from training.scoring.day_scores import DayScores, baseline_metrics, day_metrics
from training.scoring.metrics import logit_of, rating_metrics

LakeOf = Callable[[str], Lake]
LEARNING = TrainingSettings(
    batch_size=128, embedding_dim=8, hidden=(16, 8), bootstrap_epochs=16, learning_rate=0.005
)
LAST = shift(FIRST_DAY, 11)


@pytest.mark.parametrize("seed", range(3))
def test_errors_of_ratings_are_those_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits, label = generator.normal(0, 2, 200), generator.integers(0, 5, 200) / 4
    said, given = 1 + 4 * expit(logits), 1 + 4 * label
    found = rating_metrics(logits, label, (1.0, 5.0))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(given, said), abs=1e-12)
    assert found["mae"] == pytest.approx(mean_absolute_error(given, said), abs=1e-12)
    assert found["mean_error"] == pytest.approx((said - given).mean(), abs=1e-12)
    assert rating_metrics([], [], (1.0, 5.0)) == {}


def test_the_loss_is_the_weighted_sum_of_squared_errors(lake_of: LakeOf) -> None:
    lake = lake_of("rating")
    schema = schema_on(lake, LAST)
    assert loss_of(schema.labels) is rating_loss
    rows = FeatureReader(lake, LAST, LAST).rows(lake.read(EXAMPLES, [LAST])).take(slice(0, 40))
    generator = np.random.default_rng(1)
    logits, label, weight = generator.normal(size=40), generator.random(40), generator.random(40)
    batch = batch_of_rows(rows, schema, label, weight)
    found = rating_loss(torch.tensor(logits)[:, None], batch)
    assert float(found) == pytest.approx((weight * (expit(logits) - label) ** 2).sum(), rel=1e-5)


def test_a_planted_linear_signal_is_recovered(lake_of: LakeOf) -> None:
    lake = lake_of("rating")
    schema = schema_on(lake, LAST)
    one = FeatureReader(lake, LAST, LAST).rows(lake.read(EXAMPLES, [LAST])).take(slice(0, 1))
    generator = np.random.default_rng(3)
    inputs, planted = generator.normal(size=(2000, 4)), np.array([0.8, -0.5, 0.0, 1.2])
    label = expit(inputs @ planted) + generator.normal(0, 0.05, 2000)
    batch = batch_of_rows(one.take(np.zeros(2000, dtype=np.int64)), schema, label)
    net = torch.nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=50, line_search_fn="strong_wolfe")
    columns = torch.tensor(inputs, dtype=torch.float32)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = rating_loss(net(columns), batch)
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(net.weight.detach().numpy()[0], planted, atol=0.03)


@pytest.mark.parametrize("scorer", ["ncf", "mlp"])
def test_a_scorer_of_ratings_beats_their_mean(lake_of: LakeOf, scorer: str) -> None:
    lake = lake_of("rating")
    candidate = train_candidate(lake, LEARNING, scorer, LAST)
    known = lake.read(EXAMPLES, [shift(FIRST_DAY, d) for d in range(11)]).column("label")
    assert min(candidate.validation_losses) < 0.95 * known.to_numpy().var()
    examples = lake.read(EXAMPLES, [LAST])
    rows = FeatureReader(lake, LAST, LAST).rows(examples)
    logits = TrainedScorer(scorer, candidate.checkpoint.net).logits(rows)
    said = DayScores(logits, np.full(len(logits), np.nan))
    found = day_metrics(said, examples, lake.dataset)
    assert set(found) == {"rmse", "mae", "mean_error"}
    reader = FeatureReader(lake, LAST, LAST)
    baseline = {m.name: m.value for m in baseline_metrics(reader, examples, lake.dataset, 7)}
    value = examples.column("value").to_numpy()
    assert baseline["rmse"] == pytest.approx(value.std(), rel=1e-9)
    assert found["rmse"] < baseline["rmse"]


def test_the_gate_compares_squared_errors(own_lake_of: LakeOf) -> None:
    lake = own_lake_of("rating")
    examples = lake.read(EXAMPLES, [LAST]).sort_by("example_id")
    n = examples.num_rows
    generator = np.random.default_rng(4)
    logit, head = generator.normal(size=(2, n))
    columns = ("example_id", "user_index", "item_index", "label")
    scores = pa.table(
        {
            **{name: examples.column(name) for name in columns},
            "logit": logit,
            "head_logit": head,
            "percentile_rank": pa.nulls(n, pa.float64()),
            "head_percentile_rank": pa.nulls(n, pa.float64()),
            "anchor_logit": pa.nulls(n, pa.float64()),
            "anchor_percentile_rank": pa.nulls(n, pa.float64()),
        }
    )
    lake.replace(CANDIDATE_SCORES, {"ds": LAST, "scorer": "ncf"}, scores, LINEAGE)
    aligned = aligned_scores(lake, LAST, ["ncf"], has_champion=False, half_life_days=7)
    label = examples.column("label").to_numpy()
    (scored,) = aligned.scored
    np.testing.assert_allclose(scored.loss, (expit(logit) - label) ** 2)
    np.testing.assert_allclose(scored.head_loss, (expit(head) - label) ** 2)
    np.testing.assert_allclose(scored.baseline_loss, (label.mean() - label) ** 2)
    assert logit_of(0.5) == 0.0


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"kind": "rating", "threshold": 4}, r"labels\.scale is required"),
        ({"kind": "sampled", "scale": (1, 5)}, r"labels\.scale is required"),
        ({"kind": "rating", "scale": (1, 5)}, r"labels\.threshold is required"),
        ({"kind": "rating", "threshold": 4, "scale": (5, 1)}, r"\[5\.0, 1\.0\], expected the low"),
    ],
)
def test_a_rating_needs_its_scale_and_what_counts_as_positive(
    labels: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Labels.model_validate(labels)
