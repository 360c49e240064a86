"""Values of foreign files as the raw zone wants them."""

from __future__ import annotations

import math
from decimal import Decimal

from pipelines.sources.mapping import AttributeMapping


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
