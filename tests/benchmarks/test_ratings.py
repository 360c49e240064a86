"""The baselines that predicted ratings stand beside, against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ratings import biases_before, means_before

ratings = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(1, 5)), min_size=1, max_size=30
)


@given(ratings, st.lists(st.integers(0, 8), min_size=1, max_size=5))
def test_an_items_mean_is_of_its_own_ratings_and_of_all_where_it_has_none(
    log: list[tuple[int, int, int]], asked: list[int]
) -> None:
    item, value = np.array([i for _, i, _ in log]), np.array([float(v) for *_, v in log])
    found = means_before(item, value, np.array(asked))
    for one, mean in zip(asked, found, strict=True):
        own = [v for _, i, v in log if i == one] or [v for *_, v in log]
        assert mean == pytest.approx(sum(own) / len(own))


@given(ratings)
def test_biases_are_damped_means_of_what_is_left(log: list[tuple[int, int, int]]) -> None:
    user, item, value = (np.array(column) for column in zip(*log, strict=True))
    found = biases_before(user, item, value.astype(float), (user, item))
    mean = sum(v for *_, v in log) / len(log)

    def of_item(one: int) -> float:
        apart = [v - mean for _, i, v in log if i == one]
        return sum(apart) / (len(apart) + 25)

    for (who, what, _), predicted in zip(log, found, strict=True):
        apart = [v - mean - of_item(i) for u, i, v in log if u == who]
        assert predicted == pytest.approx(mean + of_item(what) + sum(apart) / (len(apart) + 10))
