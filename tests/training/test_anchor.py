"""The anchor: what headed a family some time ago scores the day's rows too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.days import shift
from feature_store.tables import CANDIDATE_SCORES, CANDIDATES, PROMOTIONS
from tests.training.log_fixture import LINEAGE
from tests.training.promoted_home import SCORED, TRAINED, Home, copied
from training import evaluate
from training.evaluate import anchor_of
from training.promotion.candidates import aligned_scores


def with_earlier_head(home: Home, version: int) -> Home:
    """`home` where `version` headed two_tower on the day before TRAINED, which is the anchor's."""
    (row,) = home.lake.read(PROMOTIONS, [TRAINED]).to_pylist()
    earlier = shift(TRAINED, -1)
    row |= {"ds": earlier, "heads": json.dumps({"two_tower": version})}
    content = pa.Table.from_pylist([row], home.lake.schema(PROMOTIONS))
    home.lake.replace(PROMOTIONS, {"ds": earlier}, content, LINEAGE)
    gate = home.settings.gate.model_copy(update={"anchor_days": 2})
    return replace(home, settings=home.settings.model_copy(update={"gate": gate}))


def test_the_version_that_headed_the_family_then_scores_the_same_rows(
    promoted: Callable[[str], Home], tmp_path: Path
) -> None:
    # Version 2 holds the weights of version 1 as its retriever: they must score as the head does.
    home = with_earlier_head(copied(promoted("impressions"), tmp_path), 2)
    for row in home.lake.read(CANDIDATES, [TRAINED]).to_pylist():
        scorer = row.pop("scorer")
        row.pop("ds")
        partition = {"ds": SCORED, "scorer": scorer}
        home.lake.replace(CANDIDATES, partition, pa.Table.from_pylist([row]), LINEAGE)
        evaluate.run(home.context(SCORED, scorer))
    rows = home.lake.read(CANDIDATE_SCORES, [SCORED])
    own = {
        name: rows.filter(pc.equal(rows.column("scorer"), name)) for name in ("two_tower", "mlp")
    }
    np.testing.assert_array_equal(
        own["two_tower"].column("anchor_logit").to_numpy(),
        own["two_tower"].column("head_logit").to_numpy(),
    )
    assert own["mlp"].column("anchor_logit").null_count == own["mlp"].num_rows
    aligned = aligned_scores(
        home.lake, SCORED, ["two_tower", "mlp"], has_champion=True, half_life_days=7
    )
    two_tower, mlp = aligned.scored
    np.testing.assert_array_equal(two_tower.anchor_loss, two_tower.head_loss)
    assert mlp.anchor_loss is None


def test_there_is_no_anchor_where_it_is_the_head_or_is_gone_or_is_not_wanted(
    promoted: Callable[[str], Home], tmp_path: Path
) -> None:
    plain = copied(promoted("impressions"), tmp_path)
    lake, settings = plain.lake, plain.settings
    assert anchor_of(lake, settings, SCORED, "two_tower") is None  # nothing was there then
    for version in (1, 99):
        home = with_earlier_head(plain, version)
        assert anchor_of(lake, home.settings, SCORED, "two_tower") is None
    home = with_earlier_head(plain, 2)
    assert anchor_of(lake, home.settings, SCORED, "two_tower") is not None
    off = home.settings.gate.model_copy(update={"anchor_days": 0})
    unwanted = home.settings.model_copy(update={"gate": off})
    assert anchor_of(lake, unwanted, SCORED, "two_tower") is None
