"""JSON that is valid but odd: a key twice, half a surrogate pair. As docs/raw-zone.md says it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from feature_store.tables import EVENTS, QUARANTINE
from tests.pipelines.workbench import MONDAY, Row, Workbench

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]


def line(event_id: str, user: str, more: str = "", item: str = "i1") -> bytes:
    """A raw line as it stands in a file: `user`, `item` and `more` are JSON text."""
    text = f'{{"event_timestamp":"{MONDAY}T10:00:00Z","user_id":"{user}","item_id":"{item}"'
    return f'{text},"event_type":"click","event_id":"{event_id}"{more}}}'.encode()


@pytest.fixture
def rows(bench: Bench) -> dict[str, Row]:
    """The clean events by event_id; what was rejected stands with its reason."""
    shop = bench()
    shop.write(
        MONDAY,
        [
            line("twice", "u1", ',"item_id":"i2","value":1,"value":2,"user_id":"u9"'),
            line("once", "u9", item="i2"),
            line("other case", "u9", ',"Item_Id":"I2"', item="i2"),
            line("twice, then null", "u9", ',"item_id":null'),
            line("first half", r"u\ud800", item=r"i\udbff"),
            line("second half", r"u\udc00", item=r"i\udfff"),
            line("question mark", "u?", item="i?"),
            line("pair", r"u\ud83d\ude00"),
            line("the same, written out", "u\U0001f600"),
            b'{"user_id":"first-secret","user_id":"second-secret","event_id":"cut',
            line("wrong order", r"u\ude00\ud83d"),
            line("two firsts", r"u\uD83D\uD83D\uDE00"),
            line("two seconds", r"u\ud83d\ude00\ude00"),
            line("a backslash", "u1", item=r"i\\ud800"),
        ],
    )
    shop.run("clean_events", MONDAY)
    rejected = {f"line {row['line']}": row for row in shop.rows(QUARANTINE)}
    return {row["event_id"]: row for row in shop.rows(EVENTS)} | rejected


def test_the_last_of_a_key_given_twice_counts(rows: dict[str, Row]) -> None:
    twice, once = rows["twice"], rows["once"]
    assert (twice["user_id"], twice["item_id"], twice["value"]) == (once["user_id"], "i2", 2.0)
    assert rows["other case"]["item_id"] == "i2"
    assert rows["line 4"]["reason"] == "missing_item_id"


def test_of_a_cut_line_with_a_key_twice_neither_value_is_kept(rows: dict[str, Row]) -> None:
    assert rows["line 10"]["reason"] == "malformed"
    assert "secret" not in rows["line 10"]["masked_line"]


def test_half_a_surrogate_pair_is_no_text(rows: dict[str, Row]) -> None:
    for number in (5, 6, 11, 12, 13):
        assert rows[f"line {number}"]["reason"] == "invalid_utf8"
    assert "d800" not in rows["line 5"]["masked_line"]
    assert rows["a backslash"]["item_id"] == r"i\ud800"


def test_a_whole_surrogate_pair_is_its_character(rows: dict[str, Row]) -> None:
    assert rows["pair"]["user_id"] == rows["the same, written out"]["user_id"]
    assert rows["pair"]["user_id"] != rows["question mark"]["user_id"]


def test_a_list_or_an_object_is_no_id(bench: Bench) -> None:
    shop = bench()
    nested = ['["hidden-1"]', '{"id":"hidden-1"}', "[7]", "[]", "{}", '[["hidden-1"]]', "[null]"]
    fine = ['"{3f2504e0}"', '"[abc]"', '"[7"', "17", '"null"']
    text = (
        f'{{{{"event_timestamp":"{MONDAY}T10:00:00Z","event_type":"click","request_id":"hidden-1",'
        '"user_id":{},"item_id":{},"event_id":"e-hidden-1-{}"}}'
    )
    users = [text.format(value, '"i1"', number) for number, value in enumerate(nested + fine)]
    items = [text.format('"u1"', value, f"i{number}") for number, value in enumerate(nested)]
    shop.write(MONDAY, [line.encode() for line in users + items])
    shop.run("clean_events", MONDAY)
    rejected = shop.rows(QUARANTINE)
    assert [row["reason"] for row in sorted(rejected, key=lambda row: row["line"])] == (
        ["missing_user_id"] * len(nested) + ["missing_item_id"] * len(nested)
    )
    assert len(shop.rows(EVENTS)) == len(fine)
    masked = [row["masked_line"] for row in rejected if row["reason"] == "missing_user_id"]
    assert not [line for line in masked if "hidden" in line]
