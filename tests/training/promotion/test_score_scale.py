"""Two champions on the same rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc
import pytest

from feature_store.champion import standing_after
from feature_store.tables import (
    SKETCHES,
)
from tests.training.promoted_home import SCORED, TRAINED, Home
from training.measures.sketch import BINS, bin_edges
from training.promotion.candidates import Aligned
from training.promotion.score_scale import same_rows_logits


def test_two_champions_are_compared_on_the_rows_that_the_sketch_counts(
    promoted: Callable[[str], Home],
) -> None:
    home = promoted("sampled")
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    other = next(version for version in standing.heads.values() if version != standing.version)
    aligned = Aligned(scored=[], champion_logits=np.zeros(1), logits={})
    logits = same_rows_logits(home.context(SCORED), aligned, standing.version, other, "two_tower")
    assert logits is not None
    old, new = logits
    sketch = home.lake.read(SKETCHES, [SCORED])
    everything = sketch.filter(pc.equal(sketch.column("slice"), "all"))
    counts = np.zeros(BINS)
    counts[everything.column("bin").to_numpy()] = everything.column("n").to_numpy()
    assert np.histogram(old, bin_edges())[0].tolist() == counts.tolist()
    assert len(new) == len(old)
    assert not np.array_equal(old, new)


def test_where_no_negatives_are_drawn_the_aligned_scores_are_what_is_compared(
    promoted: Callable[[str], Home],
) -> None:
    home = promoted("impressions")
    old, new, other = (np.full(3, value) for value in (0.1, 0.2, 0.3))
    aligned = Aligned(scored=[], champion_logits=old, logits={"two_tower": new, "mlp": other})
    logits = same_rows_logits(home.context(SCORED), aligned, 1, 2, "two_tower")
    assert logits is not None
    np.testing.assert_array_equal(logits[0], old)
    np.testing.assert_array_equal(logits[1], new)


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_without_an_old_champion_there_is_nothing_to_lead_over_from(
    promoted: Callable[[str], Home], kind: str
) -> None:
    aligned = Aligned(scored=[], champion_logits=None, logits={"mlp": np.zeros(3)})
    assert same_rows_logits(promoted(kind).context(SCORED), aligned, 1, 2, "mlp") is None
