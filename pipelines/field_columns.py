"""Fields of text as typed columns.

The work is done in layers of `select`, each of which refers to the columns of the one before:
a column that is used several times is then computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.fields import Kind

RAW = "raw_"
"""Prefix of a field's text beside its typed column: null when it holds nothing but blanks."""

_EPOCH = "epoch_"
_NUMBERS = ("instant", "number", "whole")
_JSON_NAN = '"NaN"'
"""How Spark shows the token NaN (what Python writes for a missing id) as text."""
_WITHOUT_SECONDS = r"^(.{16})([Z+-].*)$"
_ISO_WITH_OFFSET = (
    r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?\s?(Z|[+-]\d{2}(:?\d{2})?)$"
)
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_LIST_SEPARATOR = r"\|"
_NESTED = r'^(\{["}]|\[(["\[{\]]|(-?[\d.]+|true|false|null)[,\]]))'
_MILLISECONDS_FROM = 1e11
"""Epoch numbers from here on are milliseconds: as seconds they would lie after the year 5138."""
_LATEST_EPOCH_MICROS = 4e17
_INT32 = 2**31


def typed(records: DataFrame, kinds: Mapping[str, Kind]) -> DataFrame:
    """`records` with each field of `kinds` typed, and its text as `raw_<field>`.

    A field that cannot be read as its kind is null, while its text is not.
    """
    others = [name for name in records.columns if name not in kinds]
    trimmed = records.select(*others, *(_trimmed(name) for name in kinds))
    given = trimmed.select(*others, *(_given(name, kind) for name, kind in kinds.items()))
    numbers = given.select("*", *(_parsed(n) for n, kind in kinds.items() if kind in _NUMBERS))
    return numbers.select(
        *others,
        *(RAW + name for name in kinds),
        *(_typed(name, kind).alias(name) for name, kind in kinds.items()),
    )


def is_bad(names: Sequence[str]) -> Column:
    """Whether one of the fields holds something that is not of its kind."""
    bad = F.lit(False)
    for name in names:
        bad = bad | (F.col(RAW + name).isNotNull() & F.col(name).isNull())
    return bad


def is_nested(raw: Column) -> Column:
    """Whether text is a JSON list or object: what stands in it would be read by nobody.

    An id in braces or brackets, as `{3f25}`, is none.
    """
    # The search for the pattern is dear, and such beginnings are rare.
    return F.substring(raw, 1, 1).isin("[", "{") & raw.rlike(_NESTED)


def _without_blanks(value: Column) -> Column:
    return F.trim(value)


def _trimmed(name: str) -> Column:
    return _without_blanks(F.col(name)).alias(name)


def _given(name: str, kind: Kind) -> Column:
    nothing = ("",) if kind in _NUMBERS else ("", _JSON_NAN)
    return F.when(~F.col(name).isin(*nothing), F.col(name)).alias(RAW + name)


def _parsed(name: str) -> Column:
    raw = F.col(RAW + name)
    return F.when(raw.rlike(_NUMBER), raw.try_cast("double")).alias(_EPOCH + name)


def _typed(name: str, kind: Kind) -> Column:
    raw = F.col(RAW + name)
    match kind:
        case "id":
            return F.when(~is_nested(raw), raw)
        case "text":
            return raw
        case "values":
            return _values(raw)
        case "instant":
            return F.coalesce(_epoch(F.col(_EPOCH + name)), _iso(raw))
        case "number":
            number = F.col(_EPOCH + name)
            return F.when(F.abs(number) < float("inf"), number)
        case "whole":
            number = F.col(_EPOCH + name)
            fits = (number == F.floor(number)) & (F.abs(number) < _INT32)
            return F.when(fits, number.cast("int"))


def _epoch(number: Column) -> Column:
    micros = number * F.when(F.abs(number) < _MILLISECONDS_FROM, 1e6).otherwise(1e3)
    in_range = F.abs(number) < _LATEST_EPOCH_MICROS / 1e3
    return F.when(in_range, F.timestamp_micros(F.round(micros).cast("long")))


def _iso(raw: Column) -> Column:
    # Spark wants the seconds, ISO-8601 does not.
    with_seconds = F.regexp_replace(raw, _WITHOUT_SECONDS, "$1:00$2")
    parsed = F.coalesce(raw.try_cast("timestamp"), with_seconds.try_cast("timestamp"))
    return F.when(raw.rlike(_ISO_WITH_OFFSET), parsed)


def _values(raw: Column) -> Column:
    listed = F.when(raw.startswith("["), F.from_json(raw, "array<string>")).otherwise(
        F.split(raw, _LIST_SEPARATOR)
    )
    # `transform` hands the index to a function that takes a second argument, as F.trim does.
    trimmed = F.transform(listed, lambda value: F.trim(value))  # noqa: PLW0108
    return F.array_distinct(F.filter(trimmed, lambda value: value != ""))
