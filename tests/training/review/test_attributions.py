"""What the fields add to a score sums to the score, and goes to the fields that matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.promoted_home import SCORED as TESTED
from training.features.reader import FeatureReader
from training.features.rows import Rows
from training.plots.attributions import MOST, draw_attributions
from training.review.attributions import ROWS, attribute, field_names
from training.scorers import Architecture, build
from training.scorers.schema import schema_on
from training.scorers.trained import TrainedScorer

SHAPE = Architecture(embedding_dim=4, hidden=(8,), dropout=0.0)


@pytest.fixture(scope="module")
def rows(lake_of: Callable[[str], Lake]) -> tuple[Lake, Rows]:
    lake = lake_of("impressions")
    examples = lake.read(EXAMPLES, [TESTED]).sort_by("example_id")
    return lake, FeatureReader(lake, TESTED, TESTED).rows(examples)


@pytest.mark.parametrize("scorer", ["mlp", "two_tower", "sequence", "lstm"])
def test_they_sum_to_the_score_less_that_of_the_empty_row(
    rows: tuple[Lake, Rows], scorer: str
) -> None:
    lake, asked = rows
    torch.manual_seed(3)
    net = build(scorer, schema_on(lake, TESTED), SHAPE)
    with torch.no_grad():  # what begins at zero would explain nothing
        for weights in net.parameters():
            weights.add_(torch.randn_like(weights) * 0.2)
    model = TrainedScorer(scorer, net)
    found = attribute(model, asked, 7)
    assert found.added.shape == (min(ROWS, len(asked)), len(found.fields))
    expected = model.logits(asked.take(found.rows)) - found.start
    np.testing.assert_allclose(found.added.sum(axis=1), expected, atol=1e-5)
    assert np.abs(expected).max() > 1e-3
    # the empty row is the same for all
    assert np.ptp(found.start) < 1e-6
    again = attribute(model, asked, 7)
    np.testing.assert_array_equal(found.added, again.added)


class Known:
    """A scorer whose shares can be told by hand: two numbers, and whether the item is known."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema

    def logits(self, rows: Rows) -> np.ndarray:
        first, last = rows.user.numeric[:, 0], rows.item.numeric[:, -1]
        return np.asarray(2.0 * first - 0.5 * last + 1.5 * (rows.item.index > 0), dtype=np.float64)


def test_a_sum_of_fields_is_shared_as_it_was_summed(rows: tuple[Lake, Rows]) -> None:
    lake, asked = rows
    schema = schema_on(lake, TESTED)
    found = attribute(Known(schema), asked, 7)  # type: ignore[arg-type]
    sample = asked.take(found.rows)
    first, last = sample.user.numeric[:, 0], sample.item.numeric[:, -1]
    expected = {
        f"user {schema.user.numeric[0].replace('_', ' ')}": 2.0 * (first - first.mean()),
        f"item {schema.item.numeric[-1].replace('_', ' ')}": -0.5 * (last - last.mean()),
        "item id": 1.5 * (sample.item.index > 0),
    }
    for position, name in enumerate(found.fields):
        np.testing.assert_allclose(
            found.added[:, position], expected.get(name, np.zeros(len(sample))), atol=1e-5
        )
    assert {name for name, size, _ in found.by_field() if size > 1e-4} == expected.keys()
    sizes = [size for _, size, _ in found.by_field()]
    assert sizes == sorted(sizes, reverse=True)


def test_every_field_of_the_declaration_has_a_name_of_its_own(rows: tuple[Lake, Rows]) -> None:
    lake, asked = rows
    schema = schema_on(lake, TESTED)
    names = list(field_names(schema, asked))
    assert len(set(names)) == len(names)
    sides = (schema.user, schema.item)
    declared = sum(len(side.fields) + len(side.numeric) for side in sides) + len(schema.context)
    assert len(names) == declared + 1  # the history


def test_the_picture_holds_the_fields_that_add_most(settings: Settings) -> None:
    fields = [(f"field {n}", 1.0 / (n + 1), 0.1) for n in range(MOST + 5)]
    figure = draw_attributions(fields, 200)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [name for name, _, _ in reversed(fields[:MOST])]
    assert draw_attributions([], 0) is None
