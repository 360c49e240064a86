"""Reads a mapping file; what is wrong with it is said by file, line or key, with the right form."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from conf.dataset import validation_message
from conf.errors import ConfigError
from pipelines.sources.mapping import Mapping

_NO_SPACE = re.compile(r"^\s*(?P<key>\w+):(?P<value>[^\s:].*?)\s*$")


def load_mapping(path: Path) -> Mapping:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing or not YAML, or a key in it is wrong.
    """
    content = _content(path)
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        lines = [validation_message(str(path), error), *_unknown_keys(error)]
        raise ConfigError(
            "\n".join(lines)
            + "\nCorrect these keys (docs/raw-zone.md explains them) and run the import again: "
            + _command(path)
        ) from error


def _content(path: Path) -> dict[str, object]:
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except FileNotFoundError as error:
        raise ConfigError(
            f"Expected a mapping file at {path}, found none. "
            "docs/raw-zone.md has one to begin with; then: dayfold import table --mapping FILE.yaml"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: expected text in UTF-8, found {error}. Save it as UTF-8, then: "
            f"{_command(path)}"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_yaml_problem(text, error)}, then: {_command(path)}") from error
    if not isinstance(content, dict):
        found = _missing_space(text.splitlines(), range(len(text.splitlines())))
        raise ConfigError(
            f"{path}{found}, then: {_command(path)}"
            if found
            else f"{path}: expected the keys events, items and profiles at the left margin, found "
            f"{'nothing' if content is None else type(content).__name__}. "
            f"docs/raw-zone.md has an example to begin with; then: {_command(path)}"
        )
    return content


def _command(path: Path) -> str:
    return f"dayfold import table --mapping {path} --raw DIR"


def _yaml_problem(text: str, error: yaml.YAMLError) -> str:
    lines = text.splitlines()
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f": expected YAML, found {str(error).splitlines()[0]}. Correct it"
    number = error.problem_mark.line
    begin = error.context_mark.line if error.context_mark else number
    if found := _missing_space(lines, range(max(0, min(begin, number - 1)), number + 1)):
        return found
    # Where a quote or a bracket was left open, the parser notices it at the end of the file.
    line = begin if error.context else number
    shown = lines[line].strip() if line < len(lines) else "the end of the file"
    return (
        f", line {line + 1}: expected YAML (`key: value`, indented with spaces), found `{shown}`: "
        f"{error.problem}. Correct the line"
    )


def _missing_space(lines: list[str], numbers: range) -> str:
    for number in numbers:
        match = _NO_SPACE.match(lines[number]) if number < len(lines) else None
        if match:
            return (
                f", line {number + 1}: expected a space after the colon, "
                f"`{match['key']}: {match['value']}`, found `{match[0].strip()}`. Correct the line"
            )
    return ""


def _unknown_keys(error: ValidationError) -> list[str]:
    """One line per key that there is none of, with what may stand there."""
    lines = []
    for problem in error.errors():
        if problem["type"] == "extra_forbidden":
            *place, key = problem["loc"]
            allowed = _allowed(place)
            near = get_close_matches(str(key), allowed, 1)
            meant = f"did you mean {near[0]}? " if near else ""
            section = f"under {'.'.join(map(str, place))}" if place else "at the top"
            lines.append(f"  {key} is no key: {meant}Allowed {section}: {', '.join(allowed)}")
    return lines


def _allowed(place: list[int | str]) -> list[str]:
    kind: Any = Mapping
    for part in place:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:
            kind = get_args(kind)[1]
        if get_origin(kind) in {Union, UnionType}:
            kind = next(option for option in get_args(kind) if option is not NoneType)
    return list(kind.model_fields)
