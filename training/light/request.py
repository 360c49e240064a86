"""What a service may ask: checked field by field, so that a mistake is named and not guessed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_ITEMS = 10_000
"""Most candidates, and most items of a history, that one request may hold."""
MOST_WANTED = 1_000
_FIELDS = ("user_id", "profile", "history", "candidates", "context", "top_n")
_SHOWN = 60
_CLOCK = {"hour": 24, "weekday": 7}


class RequestError(ValueError):
    """A request that cannot be answered: the message names the field, and what was expected."""


@dataclass(frozen=True)
class Attribute:
    """One declared attribute of users or items."""

    name: str
    kind: str
    """categorical, multi or numeric."""
    bins: tuple[float, ...] = ()


@dataclass(frozen=True)
class Declared:
    """The fields that a dataset declares."""

    user: tuple[Attribute, ...]
    item: tuple[Attribute, ...]
    context: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """One item to rank."""

    item_id: str
    attributes: Mapping[str, Any] | None = None
    """Of an item that the version may not know."""


@dataclass(frozen=True)
class Request:
    """One checked question."""

    user_id: str | None
    profile: Mapping[str, Any]
    history: tuple[str, ...] | None
    """Items that the user took, newest first; None = what the version knows."""
    candidates: tuple[Candidate, ...] | None
    """None = recalled from the whole catalogue."""
    context: Mapping[str, Any] = field(default_factory=dict)
    top_n: int = 10


def checked(raw: object, declared: Declared, top_n: int) -> Request:
    """`raw` as a request; `top_n` where it does not say.

    Raises:
        RequestError: a field is not declared, or its value is of the wrong type or out of range.
    """
    given = _mapping("request", raw)
    _known("request", given, _FIELDS)
    candidates = given.get("candidates")
    history = given.get("history")
    return Request(
        None if given.get("user_id") is None else text_of("user_id", given["user_id"]),
        _values("profile", given.get("profile"), declared.user),
        None if history is None else tuple(_texts("history", history)),
        None if candidates is None else _candidates(candidates, declared.item),
        _context(given.get("context"), declared.context),
        top_n if given.get("top_n") is None else _whole("top_n", given["top_n"], 1, MOST_WANTED),
    )


def _candidates(raw: object, declared: Sequence[Attribute]) -> tuple[Candidate, ...]:
    found: dict[str, Candidate] = {}
    for position, one in enumerate(_list("candidates", raw)):
        if type(one) is str:  # nearly all are
            name = one.strip()
            found.setdefault(name, Candidate(name))
            continue
        where = f"candidates[{position}]"
        if isinstance(one, Mapping):
            _known(where, one, ("item_id", "attributes"))
            item_id = text_of(f"{where}.item_id", one.get("item_id"))
            raw_attributes = one.get("attributes")
            attributes = _values(f"{where}.attributes", raw_attributes, declared)
            candidate = Candidate(item_id, attributes if raw_attributes is not None else None)
        else:
            candidate = Candidate(text_of(where, one))
        known = found.setdefault(candidate.item_id, candidate)
        if known.attributes is None:  # named before by its id alone
            found[candidate.item_id] = candidate
    return tuple(found.values())


def _values(where: str, raw: object, declared: Sequence[Attribute]) -> dict[str, Any]:
    """The attributes that were given: text, a list of texts, or a number, by kind."""
    given = {} if raw is None else _mapping(where, raw)
    _known(where, given, [attribute.name for attribute in declared])
    found: dict[str, Any] = {}
    for attribute in declared:
        value = given.get(attribute.name)
        if value is None:
            continue
        name = f"{where}.{attribute.name}"
        if attribute.kind == "multi":
            found[attribute.name] = _texts(name, value)
        elif attribute.kind == "numeric":
            found[attribute.name] = _number(name, value)
        else:
            found[attribute.name] = text_of(name, value)
    return found


def _context(raw: object, declared: Sequence[str]) -> dict[str, Any]:
    given = {} if raw is None else _mapping("context", raw)
    _known("context", given, [*_CLOCK, *declared])
    return {
        name: _whole(f"context.{name}", value, 0, _CLOCK[name] - 1)
        if name in _CLOCK
        else text_of(f"context.{name}", value)
        for name, value in given.items()
        if value is not None
    }


# ---- one value -----------------------------------------------------------------------------------


def _mapping(where: str, raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise RequestError(f"{where}: {_shown(raw)}, expected an object")
    return raw


def _known(where: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in given:
        if name not in names:
            expected = ", ".join(names) or "no field, the dataset declares none"
            raise RequestError(f"{where}.{name}: not a field here, expected {expected}")


def _list(where: str, raw: object) -> Sequence[Any]:
    if isinstance(raw, str | bytes | Mapping) or not isinstance(raw, Sequence):
        raise RequestError(f"{where}: {_shown(raw)}, expected a list")
    if len(raw) > MOST_ITEMS:
        raise RequestError(f"{where}: {len(raw)} entries, expected at most {MOST_ITEMS}")
    return raw


def _texts(where: str, raw: object) -> list[str]:
    return [text_of(f"{where}[{place}]", value) for place, value in enumerate(_list(where, raw))]


def text_of(where: str, raw: object) -> str:
    """`raw` as text, without blanks around it; whole numbers too, and nothing else.

    Raises:
        RequestError: it is something else.
    """
    # a JSON log may hold an id or a category as a whole number: the same text in the lake
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise RequestError(f"{where}: {_shown(raw)}, expected text")
    text = str(raw).strip()
    if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise RequestError(f"{where}: {_shown(raw)}, expected text of whole characters")
    return text


def _number(where: str, raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not _finite(raw):
        raise RequestError(f"{where}: {_shown(raw)}, expected a finite number")
    return float(raw)


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that no float holds
        return False


def _whole(where: str, raw: object, least: int, most: int) -> int:
    whole = isinstance(raw, int | float) and not isinstance(raw, bool) and raw == raw // 1
    if not whole or not least <= raw <= most:  # type: ignore[operator]
        raise RequestError(f"{where}: {_shown(raw)}, expected a whole number {least} to {most}")
    return int(raw)  # type: ignore[call-overload, no-any-return]


def _shown(raw: object) -> str:
    """The value as it came, cut short, with what it is."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    if raw is None:
        return "nothing"
    kind = kinds.get(type(raw), "a number" if isinstance(raw, int | float) else type(raw).__name__)
    text = repr(raw)
    return f"{text if len(text) <= _SHOWN else text[:_SHOWN] + '...'} ({kind})"
