"""What may be kept of a rejected row: enough to find the fault, no id of a user, no profile."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

MASK = "***"
LONGEST_LINE = 500
"""Characters of a rejected row that are kept."""

_LONGEST_MASKED_INPUT = 4_000
SHORTEST_ID_LOOKED_FOR = 3
"""An id of one or two characters occurs in every row by chance."""


def masked_json_line(text: Column, fields: Sequence[str]) -> Column:
    """An unreadable line: every word and number but the names of `fields` is masked."""
    words = r"[\p{L}\p{N}\p{M}_@.+\-\\]+"
    names = "|".join(sorted(fields))
    kept = rf"(?<![\p{{L}}\p{{N}}_])(?!(?:{names})\"\s*:){words}"
    return _shortened(F.regexp_replace(_valid(text), kept, MASK))


def masked_csv_line(text: Column) -> Column:
    """An unreadable CSV row: every cell is masked, the separators stay."""
    return _shortened(F.regexp_replace(_valid(text), "[^,]+", MASK))


def masked_row(cells: Mapping[str, Column], personal: Collection[str]) -> Column:
    """A readable row as JSON of its `cells`, those named in `personal` masked where present."""
    columns = [
        (F.when(cell.isNotNull(), F.lit(MASK)) if name in personal else cell).alias(name)
        for name, cell in cells.items()
    ]
    return _shortened(F.to_json(F.struct(*columns)))


def without_id(text: Column, user_id: Column) -> Column:
    """`text` with the user's id masked wherever it occurs."""
    findable = F.length(user_id) >= SHORTEST_ID_LOOKED_FOR
    return F.when(findable, F.replace(text, user_id, F.lit(MASK))).otherwise(text)


def _valid(text: Column) -> Column:
    return F.make_valid_utf8(F.substring(text, 1, _LONGEST_MASKED_INPUT))


def _shortened(line: Column) -> Column:
    return F.substring(line, 1, LONGEST_LINE)
