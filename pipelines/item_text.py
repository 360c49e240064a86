"""What there is to read of an item: its title, its attributes' values and its description."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from conf.dataset import Attribute

_BETWEEN = ". "
_LARGEST_INTEGER = 1e15


def item_text(attributes: Sequence[Attribute]) -> Column:
    """One text of a row of clean items; null where nothing is known.

    A number stands with its attribute's name, any other value alone; `_` reads as a space, and so
    does any run of white space.
    """
    said = [_said(attribute) for attribute in attributes]
    parts = [_tidy(part) for part in (F.col("title"), *said, F.col("description"))]
    text = F.concat_ws(_BETWEEN, *parts)
    return F.when(text != "", text)


def _said(attribute: Attribute) -> Column:
    value = F.col(f"attr_{attribute.name}")
    if attribute.kind == "numeric":
        number = F.nanvl(value, F.lit(None).cast("double"))
        integral = (number == F.floor(number)) & (F.abs(number) < _LARGEST_INTEGER)
        digits = F.when(integral, number.cast("bigint").cast("string"))
        name = F.lit(attribute.name.replace("_", " "))
        return F.concat(name, F.lit(" "), F.coalesce(digits, number.cast("string")))
    words = value if attribute.kind == "categorical" else F.array_join(value, ", ")
    return F.translate(words, "_", " ")


def _tidy(text: Column) -> Column:
    """Null where there is nothing but white space."""
    one_line = F.trim(F.regexp_replace(text, r"(?U)\s+", " "))
    return F.when(one_line != "", one_line)
