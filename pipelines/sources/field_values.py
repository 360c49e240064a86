"""Values of foreign files as the raw zone wants them."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from pipelines.sources.mapping import AttributeMapping

_TITLE_AND_YEAR = re.compile(r"^(?P<title>.*\S)\s*\((?P<year>\d{4})\)\s*$")


def title_and_year(name: str) -> tuple[str, int | None]:
    """The two parts of a film's name such as `Heat (1995)`; None where it names no year."""
    match = _TITLE_AND_YEAR.match(name)
    return (match["title"], int(match["year"])) if match else (name.strip(), None)


def text(value: object) -> str | None:
    """The value as an id or a name; a whole float loses its ".0", nothing becomes None."""
    if value is None or value != value:  # noqa: PLR0124 - NaN is how data frames write nothing
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal) and value == value // 1:
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value).strip() or None


def number(value: object) -> float | None:
    """The value as a number.

    Raises:
        ValueError: there is a value and it is not a finite number.
    """
    stripped = text(value)
    if stripped is None:
        return None
    parsed = float(stripped)
    if not math.isfinite(parsed):
        raise ValueError(f"{value!r} is not a finite number")
    return parsed


def values(value: object, separator: str) -> list[str]:
    """The values of a list, or of a text cut at `separator`."""
    parts = value if isinstance(value, list) else (text(value) or "").split(separator)
    return [part for part in map(text, parts) if part is not None]


def attribute_value(value: object, mapping: AttributeMapping) -> object:
    """One attribute as its kind wants it.

    Raises:
        ValueError: it is `numeric` and the value is not a number.
    """
    if mapping.kind == "numeric":
        return number(value)
    return values(value, mapping.separator) if mapping.kind == "multi" else text(value)
