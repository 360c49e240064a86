"""Mistakes in YAML: one line with the place and what was expected, no parser's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.errors import ConfigError
from conf.yaml_files import read_yaml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("events:\n  path: x\n  format:csv\n  columns: {a: b}\n", ", line 3, column 3: expected"),
        ("events:\n  format:csv\n  columns: x\n", ", line 3, column 10: a colon where none"),
        ("a:\n\tb: 1\n", ", line 2, column 1: a tab indents the line, expected spaces"),
        ("a: [1, 2\nb: 3\n", ", line 1, column 4: a list opens here"),
        ("a: {b: 1\nc: 2\n", ", line 1, column 4: a mapping opens here"),
        ("b: 1\na: 'x\n", ", line 2, column 4: a quotation mark opens here"),
        ("a: @x\n", ", line 1, column 4: expected quotes"),
        ("x:\n  - 1\n 2\n", ", line 3, column 2: the line does not continue"),
        ("name: x\nb: 1\nname: y\n", ", line 3, column 1: the key `name` stands in line 1"),
        ("a:\n  b: 1\n  b: 1\n", ", line 3, column 3: the key `b` stands in line 2"),
        ("a: {b: 1, b: 2}\n", ", line 1, column 11: the key `b` stands in line 1"),
        ("day: 2026-13-45\n", ": a value is not what it looks like (month must be"),
        ("a: \x01\n", ": character 4 is one that YAML does not allow"),
        ("a: !!python/name:os.system x\n", ", line 1, column 4: could not determine"),
        ("name:csv\n", ": found 'name:csv', expected a mapping"),
        ("- a\n", ": found ['a'], expected a mapping"),
        ("", ": found nothing, expected a mapping"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_yaml(path)
    assert str(raised.value).startswith(f"{path}{said}")
    assert "Next: correct the line" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_text_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with pytest.raises(ConfigError, match=r"x\.yaml does not exist"):
        read_yaml(path)
    path.write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match=r"x\.yaml: byte 4 is not UTF-8.*Next: save"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="is a folder, expected a YAML file"):
        read_yaml(tmp_path)


def test_a_merged_key_may_be_overruled(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {k: 1, l: 2}\nb: &b\n  <<: *a\n  k: 2\nc:\n  <<: *b\n  k: 3\n")
    assert read_yaml(path)["c"] == {"k": 3, "l": 2}
