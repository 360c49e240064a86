"""encode_profiles: new values join the vocabularies; users and items are label-encoded.

A value is born on the first day on which it is seen, with the next id of its field; among the
values of one day, ids follow the order of the values. Ids never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from conf.dataset import Attribute, DatasetConfig
from feature_store.days import shift
from feature_store.step import StepContext, StepResult
from feature_store.tables import (
    ENCODED_ITEMS,
    EVENTS,
    FIRST_VALUE_ID,
    ITEMS,
    MISSING,
    PROFILES,
    USERS,
    VOCABULARIES,
)
from pipelines.reserved_words import reserved_words, with_reserved
from pipelines.spark import commit, kept, read_days, session, stage_all, starts_at
from pipelines.vocabulary import ITEM_ID, USER_ID, words_until


def run(context: StepContext) -> StepResult:
    """The days' new vocabulary values, and their new or changed users and items, encoded."""
    spark, lake, days = session(context.settings), context.lake, context.days
    dataset = context.dataset
    events = read_days(spark, lake, EVENTS, days, ["ds", USER_ID, ITEM_ID, "context"])
    profiles = read_days(spark, lake, PROFILES, days)
    items = read_days(spark, lake, ITEMS, days)
    known = words_until(spark, lake, shift(days[0], -1))
    seen = values_seen(events, profiles, items, dataset)
    with kept(known):
        born = with_reserved(new_words(seen, known), reserved_words(spark, lake, days))
        with kept(born):
            words = known.unionByName(born.select("field", "value", "id"))
            encoded = partial(encoded_entities, words=words, dataset=dataset)
            frames = {
                VOCABULARIES: lambda: born,
                USERS: lambda: encoded(
                    profiles, key=USER_ID, attributes=dataset.user_attributes
                ).withColumnRenamed("id", "user_index"),
                ENCODED_ITEMS: lambda: encoded(
                    items, key=ITEM_ID, attributes=dataset.item_attributes
                ).withColumnRenamed("id", "item_index"),
            }
            staged = stage_all(frames, lake, days)
    rows = commit(lake, staged, days, {"step": "encode_profiles", "ds": context.ds})
    return StepResult(
        f"{rows[VOCABULARIES.key]:,} new values; {rows[USERS.key]:,} users and "
        f"{rows[ENCODED_ITEMS.key]:,} items encoded"
    )


def values_seen(
    events: DataFrame, profiles: DataFrame, items: DataFrame, dataset: DatasetConfig
) -> DataFrame:
    """field, value and ds of every value that occurs, once per day at least."""
    of_events = [
        _word(USER_ID, F.col(USER_ID)),
        _word(ITEM_ID, F.col(ITEM_ID)),
        *(_word(f"context.{name}", F.col("context")[name]) for name in dataset.context),
    ]
    return (
        events.select("ds", F.explode(F.array(*of_events)).alias("word"))
        .unionByName(_words_of(profiles, USER_ID, dataset.user_attributes))
        .unionByName(_words_of(items, ITEM_ID, dataset.item_attributes))
        .select("word.field", "word.value", "ds")
        .where(F.col("value").isNotNull())
    )


def new_words(seen: DataFrame, known: DataFrame) -> DataFrame:
    """field, value, id and ds (day of birth) of the values that are not `known` yet."""
    first_seen = seen.groupBy("field", "value").agg(F.min("ds").alias("ds"))
    unknown = first_seen.join(known, on=["field", "value"], how="left_anti")
    last_ids = known.groupBy("field").agg(F.max("id").alias("last_id"))
    in_order = Window.partitionBy("field").orderBy("ds", "value")
    return (
        unknown.join(F.broadcast(last_ids), on="field", how="left")
        .withColumn("number", F.row_number().over(in_order))
        .select(
            "ds",
            "field",
            "value",
            (F.coalesce("last_id", F.lit(FIRST_VALUE_ID - 1)) + F.col("number"))
            .cast("int")
            .alias("id"),
        )
    )


def encoded_entities(
    rows: DataFrame,
    words: DataFrame,
    key: str,
    attributes: Sequence[Attribute],
    dataset: DatasetConfig,
) -> DataFrame:
    """`rows` label-encoded: ds, id, valid_from, availability where there is one, attr_<name>.

    All attributes of a row are looked up in one join, as (field, value) pairs.
    """
    valid_from = F.greatest("updated_at", starts_at(F.col("ds"), dataset.time_zone))
    direct: dict[str, Column] = {
        "valid_from": valid_from,
        **{
            name: F.col(name)
            for name in ("available_from", "available_until")
            if name in rows.columns
        },
        **{f"attr_{a.name}": _bin(a) for a in attributes if a.kind == "numeric"},
    }
    pairs = rows.select(
        "ds",
        F.col(key).alias("entity"),
        *(column.alias(name) for name, column in direct.items()),
        F.explode(_pairs(key, attributes)).alias("word"),
    ).select("*", "word.field", "word.value")
    found = pairs.where(F.col("value").isNotNull()).join(words, on=["field", "value"], how="inner")
    looked_up = [
        F.sort_array(F.collect_set(F.when(F.col("field") == field, F.col("id")))).alias(name)
        for name, field in _looked_up_fields(key, attributes).items()
    ]
    grouped = found.groupBy("ds", "entity", *direct).agg(*looked_up)
    return grouped.select(
        "ds",
        F.element_at("id", 1).alias("id"),
        *direct,
        *(_encoded(a).alias(f"attr_{a.name}") for a in attributes if a.kind != "numeric"),
    )


def _word(field: str, value: Column) -> Column:
    return F.struct(F.lit(field).alias("field"), value.cast("string").alias("value"))


def _field(key: str, attribute: Attribute) -> str:
    return f"{key.removesuffix('_id')}.{attribute.name}"


def _looked_up_fields(key: str, attributes: Sequence[Attribute]) -> dict[str, str]:
    named = {f"attr_{a.name}": _field(key, a) for a in attributes if a.kind != "numeric"}
    return {"id": key, **named}


def _words_of(rows: DataFrame, key: str, attributes: Sequence[Attribute]) -> DataFrame:
    return rows.select("ds", F.explode(_pairs(key, attributes)).alias("word"))


def _pairs(key: str, attributes: Sequence[Attribute]) -> Column:
    """The (field, value) structs of one row: its own id and its attributes' values."""
    single = [_word(key, F.col(key))]
    multiple = []
    for attribute in attributes:
        field, column = _field(key, attribute), F.col(f"attr_{attribute.name}")
        if attribute.kind == "categorical":
            single.append(_word(field, column))
        elif attribute.kind == "multi":
            values = F.coalesce(column, F.array().cast("array<string>"))
            multiple.append(F.transform(values, partial(_word, field)))
    return F.concat(F.array(*single), *multiple)


def _bin(attribute: Attribute) -> Column:
    value = F.col(f"attr_{attribute.name}")
    cuts = sum(((value >= cut).cast("int") for cut in attribute.bins), F.lit(FIRST_VALUE_ID))
    return F.when(value.isNull(), F.lit(MISSING)).otherwise(cuts)


def _encoded(attribute: Attribute) -> Column:
    ids = F.col(f"attr_{attribute.name}")
    missing = F.array(F.lit(MISSING))
    listed = F.when(F.size(ids) == 0, missing).otherwise(ids)
    return listed if attribute.kind == "multi" else F.element_at(listed, 1)
