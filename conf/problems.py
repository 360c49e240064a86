"""What pydantic found wrong, told to people: one line per key, with the keys that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_LONGEST_SHOWN = 60

Place = tuple[int | str, ...]


def validation_message(
    source: str, error: ValidationError, model: type[BaseModel] | None = None
) -> str:
    """One line per wrong key of a YAML file, each with its dotted key.

    With the `model` that was validated, an unknown key is answered with those that it knows.
    """
    return "\n".join([f"{source}: not valid", *problem_lines(error, model)])


def problem_lines(
    error: ValidationError,
    model: type[BaseModel] | None = None,
    origin: Callable[[Place], str] = lambda _: "",
    hide: Callable[[str], str] = str,
) -> Iterator[str]:
    """As `validation_message`, without its first line.

    Args:
        error: what pydantic found.
        model: what was validated.
        origin: where the value of a key comes from, to be added to what was found.
        hide: takes secrets out of a value that is shown.
    """
    for problem in error.errors():
        place = problem["loc"]
        shown = _short(problem.get("input"), hide)
        details = [] if _is_of_many(problem) else [f"found {shown}"]
        details += [origin(place)] if origin(place) else []
        key = f"{'.'.join(str(part) for part in place)}: " if place else ""
        said = _said(problem, model)
        yield f"  {key}{said}" + (f" ({', '.join(details)})" if details else "")


_WORDS = {
    "missing": "required, but not there",
    "model_type": "expected a mapping, lines of `key: value`",
    "dict_type": "expected a mapping, lines of `key: value`",
    "tuple_type": "expected a list, [one, two]",
    "list_type": "expected a list, [one, two]",
}


def _said(problem: Any, model: type[BaseModel] | None) -> str:
    if problem["type"] == "extra_forbidden" and model is not None:
        return _unknown(str(problem["loc"][-1]), _keys_at(model, problem["loc"][:-1]))
    if problem["type"] in _WORDS:
        return _WORDS[problem["type"]]
    if problem["type"] in {"too_long", "too_short"}:
        limits = problem["ctx"]
        least, most = limits.get("min_length"), limits.get("max_length")
        wanted = f"at least {least}" if most is None else f"at most {most}"
        return f"expected {wanted}, not {limits['actual_length']}"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return str(problem["msg"])


def _is_of_many(problem: Any) -> bool:
    """Whether what pydantic calls the input is the whole that the key is missing from, or holds."""
    whole = isinstance(problem.get("input"), dict)
    return whole and problem["type"] in {"missing", "value_error"}


def _unknown(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
    return f"no such key, {hint}" if known else "no such key"


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that the part of `model` at `place` knows."""
    models = {model}
    for part in place:
        fields = [m.model_fields[part] for m in models if part in m.model_fields]
        # An index of a list or a key of a free mapping stays within the type found before it.
        models = {m for f in fields for m in _models_in(f.annotation)} if fields else models
    return [name for found in models for name in found.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _short(value: object, hide: Callable[[str], str]) -> str:
    text = hide(repr(value))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]} ..."
