"""YAML files as people write them: read strictly, their mistakes told in one line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from conf.errors import ConfigError

_NAME_IT = "Next: name the file, then run the same command again."
_NEXT = "Next: correct the line, then run the same command again."
_MERGE = "tag:yaml.org,2002:merge"
_BEGINS_EARLIER = ("':'", "unexpected end of stream", "',' or ']'", "',' or '}'")
"""Problems that YAML notices lines after the one to be corrected."""
_IN_WORDS = (
    ("could not find expected ':'", "expected `key: value`, with a space after the colon"),
    (
        "mapping values are not allowed",
        "a colon where none can be; expected one `key: value` on a line, a space after the colon "
        "(also on the line before), and quotes around a value that holds a colon and a space",
    ),
    ("'\\t' that cannot start", "a tab indents the line, expected spaces"),
    ("cannot start any token", "expected quotes around a value that begins with this character"),
    (
        "expected <block end>",
        "the line does not continue what stands before it; expected the same indentation as the "
        "other keys of its block",
    ),
    ("unexpected end of stream", "a quotation mark opens here, expected another that closes it"),
    ("',' or ']'", "a list opens here with [, expected commas and a closing ]"),
    ("',' or '}'", "a mapping opens here with {, expected commas and a closing }"),
)
"""What PyYAML says (a part of it), and what it means."""


class _Loader(yaml.SafeLoader):
    """YAML in which a key stands once: of two, the parser would silently take the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            line = key.start_mark.line + 1
            if first := seen.get((key.tag, key.value)):
                raise yaml.MarkedYAMLError(
                    problem=f"the key `{key.value}` stands in line {first} already, "
                    "expected each key once",
                    problem_mark=key.start_mark,
                )
            seen[key.tag, key.value] = line
        return node


def read_yaml(path: Path) -> dict[str, object]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, not YAML in UTF-8, or not a mapping; one line.
    """
    try:
        content = _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist, expected a YAML file. {_NAME_IT}") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder, expected a YAML file. {_NAME_IT}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start + 1} is not UTF-8. Next: save the file as UTF-8, then run "
            "the same command again."
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}{_place_and_problem(error)}. {_NEXT}") from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else repr(content)[:60]
        raise ConfigError(
            f"{path}: found {found}, expected a mapping: lines of `key: value`, with a space after "
            f"the colon. {_NEXT}"
        )
    return content


def _parsed(text: str) -> object:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _place_and_problem(error: Exception) -> str:
    """`, line 3, column 7: what is wrong`, in words for people."""
    if isinstance(error, yaml.reader.ReaderError):
        return f": character {error.position + 1} is one that YAML does not allow"
    if not isinstance(error, yaml.MarkedYAMLError):
        return f": a value is not what it looks like ({error}); put it in quotes"
    said = str(error.problem or error.context or "not YAML")
    mark = error.problem_mark or error.context_mark
    if error.context_mark and any(part in said for part in _BEGINS_EARLIER):
        mark = error.context_mark
    words = next((words for part, words in _IN_WORDS if part in said), said)
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{place}: {words}"
