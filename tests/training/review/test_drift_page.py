"""The drift page in words: why a day trains, and what the values of inputs are."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.step import StepContext
from tests.training.lake_fixture import small_dataset
from training.review.drift_page import _meaning, _tests, _value


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ({"labels_drifted": True}, "What users do is not what the champion predicts"),
        ({"labels_drifted": False}, "a change that was found before goes on training"),
        ({}, "The day trains because nothing serves yet"),
    ],
)
def test_only_labels_that_drifted_are_said_to_be_other_than_predicted(
    evidence: dict[str, bool], said: str
) -> None:
    assert said in _meaning({"decision": "retrain", "train": True}, evidence)


def test_a_quiet_day_that_trains_is_said_to_be_both() -> None:
    said = _meaning({"decision": "skip", "train": True}, {})
    assert "Nothing beyond" in said
    assert "trains all the same" in said
    assert "trains" not in _meaning({"decision": "skip", "train": False}, {})


def test_what_moved_is_said_in_words(tmp_path: Path) -> None:
    dataset = small_dataset()
    settings = Settings(dataset="small")
    context = StepContext(("2026-01-05",), Lake(tmp_path, dataset), dataset, settings)
    said = {
        ("context.weekday", 0): "Monday",
        ("context.weekday", 6): "Sunday",
        ("context.hour", 7): "7:00",
        ("item.slope_1_7", -1): "scaled, about -0.25",
        ("item.known", 4): "yes",
        ("item_id", 1): "new",
    }
    assert {key: _value(*key, context, {}) for key in said} == said


def test_the_table_sets_the_day_beside_the_days_that_were_tested() -> None:
    test = {"name": "label", "window": 3, "value": -0.11, "normal": 0.0, "threshold": -0.09}
    row = test | {"p": 0.001, "drifted": True, "alone": -0.22}
    table = _tests({"tests": [row]})
    assert "<td class=n>-0.22</td><td class=n>-0.11</td>" in table
    assert "<td class=n>-0.11</td><td class=n>-0.11</td>" in _tests(
        {"tests": [row | {"alone": None}]}
    )
