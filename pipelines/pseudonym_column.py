"""The pseudonym of a user id as a column: the same HMAC as `conf.pseudonym`, without a UDF."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.pseudonym import PSEUDONYM_DIGITS

_BLOCK_BYTES = 64
_INNER, _OUTER = "_inner_pad", "_outer_pad"
_PADS = (_INNER, _OUTER)


def key_frame(spark: SparkSession, key: bytes) -> DataFrame:
    """One row with the key's two padded forms (RFC 2104).

    A frame, because a literal would be shown by `explain` and kept by event logs.
    """
    block = key.ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    # As an Arrow table it needs no Python worker.
    return spark.createDataFrame(pa.table({_INNER: [inner], _OUTER: [outer]}))


def with_pseudonym(rows: DataFrame, keys: DataFrame, name: str) -> DataFrame:
    """`rows` with each text in column `name` replaced by its pseudonym (32 hex digits).

    Null stays null.
    """
    keyed = rows.crossJoin(F.broadcast(keys))
    return keyed.withColumn(name, _hmac(F.col(name))).drop(*_PADS)


def _hmac(text: Column) -> Column:
    inner = F.sha2(F.concat(F.col(_INNER), text.cast("binary")), 256)
    outer = F.sha2(F.concat(F.col(_OUTER), F.unhex(inner)), 256)
    return F.substring(outer, 1, PSEUDONYM_DIGITS)
