"""Two champions on the same rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc

from feature_store.tables import (
    SKETCHES,
)
from tests.training.promoted_home import SCORED, TRAINED, Home
from training.measures.sketch import BINS, bin_edges
from training.promotion.candidates import Aligned
from training.promotion.score_scale import same_rows_logits
from training.registry.champion import standing_after


def test_two_champions_are_compared_on_the_rows_that_the_sketch_counts(
    promoted: Callable[[str], Home],
) -> None:
    home = promoted("sampled")
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    other = next(version for version in standing.heads.values() if version != standing.version)
    aligned = Aligned([], {}, np.zeros(1))
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
