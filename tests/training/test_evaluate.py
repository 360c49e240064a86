"""evaluate on real candidates: against their head, on the same rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from feature_store.tables import (
    CANDIDATE_SCORES,
    CANDIDATES,
    EVALUATIONS,
    EXAMPLES,
)
from tests.training.log_fixture import LINEAGE
from tests.training.promoted_home import LATER, SCORED, TRAINED, Home
from training import evaluate
from training.scoring.metrics import auc


@pytest.mark.parametrize("scorer", ["two_tower", "mlp"])
def test_a_first_candidate_has_no_head(promoted: Callable[[str], Home], scorer: str) -> None:
    home = promoted("impressions")
    scores = home.lake.read(CANDIDATE_SCORES, [TRAINED])
    mine = scores.filter(pc.equal(scores.column("scorer"), scorer))
    assert mine.num_rows == home.lake.read(EXAMPLES, [TRAINED]).num_rows
    assert np.isnan(mine.column("head_logit").to_numpy()).all()
    rows = [row for row in home.rows(EVALUATIONS, TRAINED) if row["scorer"] == scorer]
    values = {row["metric"]: row["value"] for row in rows}
    logits, labels = (mine.column(name).to_numpy() for name in ("logit", "label"))
    assert values["auc"] == pytest.approx(auc(logits, labels))
    assert "base_rate_log_loss" in values
    assert {"gauc", "auc_seen_users", "auc_seen_items"} <= values.keys()
    assert all(np.isnan(row["head_value"]) for row in rows)


def test_a_candidate_equal_to_its_head_scores_the_same(promoted: Callable[[str], Home]) -> None:
    home = promoted("sampled")
    # The checkpoint that became the head stands as the next day's candidate.
    rows = home.lake.read(CANDIDATES, [TRAINED]).to_pylist()
    for row in rows:
        partition = {"ds": SCORED, "scorer": row.pop("scorer")}
        row.pop("ds")
        home.lake.replace(CANDIDATES, partition, pa.Table.from_pylist([row]), LINEAGE)
        evaluate.run(home.context(SCORED, partition["scorer"]))
    scores = home.lake.read(CANDIDATE_SCORES, [SCORED])
    assert scores.num_rows == 2 * home.lake.read(EXAMPLES, [SCORED]).num_rows
    for mine, heads in (("logit", "head_logit"), ("percentile_rank", "head_percentile_rank")):
        np.testing.assert_array_equal(
            scores.column(mine).to_numpy(), scores.column(heads).to_numpy()
        )
    for row in home.rows(EVALUATIONS, SCORED):
        if row["metric"] == "list_churn":
            assert row["value"] == 0.0
        elif not str(row["metric"]).startswith(("popularity", "megabytes")):
            assert row["value"] == row["head_value"]


def test_a_scorer_that_was_not_trained_is_not_tested(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    result = evaluate.run(home.context(LATER[0], "mlp"))
    assert result.summary.startswith("mlp: no candidate")
    assert home.rows(CANDIDATE_SCORES, LATER[0]) == home.rows(EVALUATIONS, LATER[0]) == []
