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


def masked_row(
    cells: Mapping[str, Column], personal: Collection[str], user_id: Column | None = None
) -> Column:
    """A readable row as JSON of its `cells`.

    Those named in `personal` are masked where present, the user's id wherever it occurs.
    """
    columns = [
        (F.when(cell.isNotNull(), F.lit(MASK)) if name in personal else _without(cell, user_id))
        for name, cell in cells.items()
    ]
    # Shortened last: half an id is an id.
    named = [column.alias(name) for name, column in zip(cells, columns, strict=True)]
    return _shortened(F.to_json(F.struct(*named)))


def _without(cell: Column, user_id: Column | None) -> Column:
    """`cell` with the id masked, as it stands and as JSON inside the cell would write it."""
    if user_id is None:
        return cell
    in_json = F.regexp_replace(user_id, r'(["\\])', r"\\$1")
    findable = F.length(user_id) >= SHORTEST_ID_LOOKED_FOR
    hidden = F.replace(F.replace(cell, in_json, F.lit(MASK)), user_id, F.lit(MASK))
    return F.when(findable, hidden).otherwise(cell)


def _valid(text: Column) -> Column:
    return F.make_valid_utf8(F.substring(text, 1, _LONGEST_MASKED_INPUT))


def _shortened(line: Column) -> Column:
    return F.substring(line, 1, LONGEST_LINE)
