"""The cleaning rule of tombstones: nothing of a forgotten user is taken in again."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

FORGOTTEN = "forgotten"

_PSEUDONYM = "_forgotten_user"


def forgotten_frame(spark: SparkSession, pseudonyms: Sequence[str]) -> DataFrame | None:
    """The pseudonyms of forgotten users as a frame; None where there are none.

    A frame, because literals would be shown by `explain`.
    """
    if not pseudonyms:
        return None
    return spark.createDataFrame(pa.table({_PSEUDONYM: list(pseudonyms)}))


def with_forgotten(rows: DataFrame, forgotten: DataFrame | None) -> DataFrame:
    """`rows` with the fault `forgotten` where their user is, whatever else is wrong with them.

    Args:
        rows: fault (null where there is none), user_id (pseudonym), ...
        forgotten: of `forgotten_frame`.
    """
    if forgotten is None:
        return rows
    known = F.broadcast(forgotten)
    joined = rows.join(known, on=F.col("user_id") == F.col(_PSEUDONYM), how="left")
    fault = F.when(F.col(_PSEUDONYM).isNotNull(), F.lit(FORGOTTEN)).otherwise(F.col("fault"))
    return joined.withColumn("fault", fault).drop(_PSEUDONYM)
