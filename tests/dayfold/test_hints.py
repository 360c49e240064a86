"""A command in a message acts on the places that the flags of this process named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conf.origins import FLAGS
from conf.settings import overrides_to_environment
from dayfold.hints import complete

VARIABLES = ("DAYFOLD__DATASET", "DAYFOLD__RAW", "DAYFOLD__LAKE")


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(FLAGS)
    FLAGS.clear()
    for variable in VARIABLES:
        # Set first: what is unset now would else not be unset again after the test.
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    yield
    FLAGS.clear()
    FLAGS.update(before)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`dayfold ui --mlflow-port 5001`", "ui --raw 'a b' --lake x --mlflow-port 5001`"),
        ("Next: dayfold status; dayfold report", "status --lake x; dayfold report --lake x"),
        ("`dayfold audit leaks --day D`", "audit leaks --raw 'a b' --day D`"),
        ("`dayfold quarantine replay --ds D`", "quarantine replay --raw 'a b' --lake x --ds D`"),
        ("`dayfold quarantine --ds D`", "quarantine --lake x --ds D`"),
        ("`dayfold upkeep --lake other`", "dayfold upkeep --lake other`"),
        ("`dayfold simulate --users 5`", "dayfold simulate --users 5`"),
    ],
)
def test_raw_zone_and_lake_are_repeated_where_the_command_takes_them(
    text: str, expected: str
) -> None:
    overrides_to_environment(raw="a b", lake="x", dataset=None)
    said = complete(text)
    assert said.endswith(expected)
    assert complete(said) == said


def test_what_only_the_environment_names_is_not_repeated_but_the_dataset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAYFOLD__LAKE", "x")
    assert complete("`dayfold status`") == "`dayfold status`"
    monkeypatch.setenv("DAYFOLD__DATASET", "movietweetings")
    assert complete("`dayfold status`") == "`dayfold status --dataset movietweetings`"
