"""The candidates' scores, aligned, on a lake with designed tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from feature_store.lake import Lake
from feature_store.tables import CANDIDATE_SCORES, EXAMPLES, SCORES
from tests.training.log_fixture import LINEAGE
from training.features.reader import FeatureReader
from training.promotion.candidates import aligned_scores
from training.scoring.catalogue_ranks import popularity_percentile_ranks

DS = "2026-01-10"
HALF_LIFE = 7


def write_scores(lake: Lake, scorer: str, head_rank: float, rows: slice = slice(None)) -> None:
    """Candidate scores of the day's examples: rank .9 for each, `head_rank` by the head."""
    examples = lake.read(EXAMPLES, [DS]).sort_by("example_id")
    n = examples.num_rows
    columns = {name: examples.column(name) for name in ("example_id", "user_index", "item_index")}
    content = pa.table(
        {
            **columns,
            "logit": np.zeros(n),
            "head_logit": np.zeros(n),
            "label": np.ones(n),
            "percentile_rank": np.full(n, 0.9),
            "head_percentile_rank": pa.array(np.full(n, head_rank), from_pandas=True),
            "anchor_logit": pa.nulls(n, pa.float64()),
            "anchor_percentile_rank": pa.nulls(n, pa.float64()),
        }
    ).take(pa.array(np.arange(n)[rows]))
    lake.replace(CANDIDATE_SCORES, {"ds": DS, "scorer": scorer}, content, LINEAGE)


def write_champion(lake: Lake) -> None:
    examples = lake.read(EXAMPLES, [DS]).sort_by("example_id")
    n = examples.num_rows
    columns = {name: examples.column(name) for name in ("example_id", "user_index", "item_index")}
    content = pa.table(
        {
            **columns,
            "model_version": pa.array([1] * n, pa.int32()),
            "logit": np.zeros(n),
            "label": np.ones(n),
            "percentile_rank": np.full(n, 0.8),
        }
    )
    lake.replace(SCORES, {"ds": DS}, content, LINEAGE)


@pytest.mark.parametrize("has_champion", [True, False])
def test_the_bar_of_a_family_without_a_head_is_popularity(
    own_lake_of: Callable[[str], Lake], has_champion: bool
) -> None:
    lake = own_lake_of("sampled")
    write_scores(lake, "two_tower", 0.85)
    write_scores(lake, "mlp", np.nan)
    if has_champion:
        write_champion(lake)
    aligned = aligned_scores(
        lake, DS, ["two_tower", "mlp"], has_champion=has_champion, half_life_days=HALF_LIFE
    )
    headless = next(scored for scored in aligned.scored if scored.scorer == "mlp")
    assert headless.head_loss is None
    examples = lake.read(EXAMPLES, [DS]).sort_by("example_id")
    ranks = popularity_percentile_ranks(FeatureReader(lake, DS, DS), examples, HALF_LIFE)
    np.testing.assert_array_equal(headless.baseline_loss, 1 - ranks[~np.isnan(ranks)])
    assert len(np.unique(headless.baseline_loss)) > 10


def test_the_rows_of_those_that_were_evaluated_are_kept(
    own_lake_of: Callable[[str], Lake],
) -> None:
    lake = own_lake_of("impressions")
    write_scores(lake, "two_tower", 0.5, slice(0, 7))
    aligned = aligned_scores(
        lake, DS, ["two_tower", "mlp"], has_champion=False, half_life_days=HALF_LIFE
    )
    assert [scored.scorer for scored in aligned.scored] == ["two_tower"]
    assert len(aligned.scored[0].loss) == 7
