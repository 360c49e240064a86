"""What a request may hold, and what is said of what it may not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.light.request import Attribute, Declared, RequestError, checked

DECLARED = Declared(
    (Attribute("age", "numeric", (18.0, 40.0)), Attribute("city", "categorical")),
    (Attribute("category", "categorical"), Attribute("tags", "multi")),
    ("device",),
)
MISTAKES: dict[str, tuple[Any, str]] = {
    "no object": ([1], r"^request: \[1\] \(a list\), expected an object"),
    "a misspelt field": ({"user": "u"}, r"^request\.user: not a field here, expected user_id, "),
    "a user that is true": ({"user_id": True}, r"^user_id: True \(true or false\), expected text"),
    "an unknown attribute": (
        {"profile": {"town": "x"}},
        r"^profile\.town: not a field here, expected age",
    ),
    "text for a number": (
        {"profile": {"age": "old"}},
        r"^profile\.age: 'old' \(text\), expected a finite",
    ),
    "no number": ({"profile": {"age": float("nan")}}, r"^profile\.age: nan .*finite number"),
    "a number too large": ({"profile": {"age": 10**400}}, r"^profile\.age: .*finite number"),
    "a list for one value": ({"profile": {"city": ["x"]}}, r"^profile\.city: .*a list.*text"),
    "text for a list": ({"history": "i1"}, r"^history: 'i1' \(text\), expected a list"),
    "nothing in a list": ({"history": ["i1", None]}, r"^history\[1\]: nothing, expected text"),
    "too many": ({"candidates": ["i"] * 10_001}, r"^candidates: 10001 entries, expected at most"),
    "a candidate without id": (
        {"candidates": [{"attributes": {}}]},
        r"^candidates\[0\]\.item_id: nothing, expected text",
    ),
    "a wrong attribute of a candidate": (
        {"candidates": ["a", {"item_id": "b", "attributes": {"tags": "x"}}]},
        r"^candidates\[1\]\.attributes\.tags: 'x' \(text\), expected a list",
    ),
    "an hour too late": ({"context": {"hour": 24}}, r"^context\.hour: 24 .*whole number 0 to 23"),
    "half an hour": ({"context": {"hour": 1.5}}, r"^context\.hour: 1\.5 .*whole number"),
    "no place in a list": ({"top_n": 0}, r"^top_n: 0 \(a number\), expected a whole number 1 to"),
    "an endless list": ({"top_n": float("inf")}, r"^top_n: inf .*expected a whole number"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_field_and_what_was_expected(name: str) -> None:
    raw, message = MISTAKES[name]
    with pytest.raises(RequestError, match=message):
        checked(raw, DECLARED, 10)


def test_what_is_not_said_has_its_default() -> None:
    nothing = checked({}, DECLARED, 7)
    assert (nothing.user_id, nothing.history, nothing.candidates, nothing.top_n) == (
        None,
        None,
        None,
        7,
    )
    nulls = dict.fromkeys(("user_id", "profile", "history", "candidates", "context", "top_n"))
    assert checked(nulls, DECLARED, 7) == nothing


def test_a_whole_number_stands_for_its_text_as_in_a_log() -> None:
    asked = checked({"user_id": 7, "history": [1, " b "], "top_n": 3.0}, DECLARED, 10)
    assert (asked.user_id, asked.history, asked.top_n) == ("7", ("1", "b"), 3)


def test_a_candidate_that_is_named_twice_is_one() -> None:
    twice = [{"item_id": "a", "attributes": {"tags": ["x"]}}, "b", "a"]
    asked = checked({"candidates": twice}, DECLARED, 10)
    assert asked.candidates is not None
    assert [c.item_id for c in asked.candidates] == ["a", "b"]
    assert asked.candidates[0].attributes == {"tags": ["x"]}
    # named by its id alone first: what is said of it is not lost
    again = checked({"candidates": ["a", "b", twice[0]]}, DECLARED, 10)
    assert again.candidates == asked.candidates


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["user_id", "profile", "age", "city", "item_id", "attributes", "tags"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
FIELDS = ["user_id", "profile", "history", "candidates", "context", "top_n"]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=6))
def test_whatever_comes_is_answered_or_named_and_nothing_else_happens(raw: dict[str, Any]) -> None:
    said, asked = "", None
    try:
        asked = checked(raw, DECLARED, 10)
    except RequestError as error:
        said = str(error)
    if asked is None:
        assert re.split(r"[:.\[]", said)[0] in FIELDS
    else:
        assert 1 <= asked.top_n <= 1000
        json.dumps([asked.user_id, dict(asked.profile), asked.history])
