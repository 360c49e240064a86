"""encode_profiles: new values join the vocabularies; users and items are label-encoded.

A value is born on the first day by whose end it occurred `min_count` times in clean rows, with the
next id of its field; among the values of one day, ids follow the order of the values. Ids never
change and are never given to another value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial, reduce

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from conf.dataset import Attribute, DatasetConfig
from conf.errors import OrderError
from feature_store.lake import Lake
from feature_store.step import StepContext, StepResult
from feature_store.tables import (
    ENCODED_ITEMS,
    EVENTS,
    EXPIRIES,
    FIRST_VALUE_ID,
    ITEMS,
    LAST_SEEN,
    MISSING,
    PENDING_VALUES,
    PROFILES,
    UNKNOWN,
    USERS,
    VOCABULARIES,
    Table,
)
from pipelines.bases import base_days, carried_rows, entities_with_bases
from pipelines.item_text import item_text
from pipelines.reserved_words import reserved_words
from pipelines.spark import commit, read_days, session, stage_all, starts_at
from pipelines.vocabulary import ITEM_ID, USER_ID, known_on
from pipelines.vocabulary_days import Frames, VocabularyDays, known_before, vocabulary_days

_WRITTEN = (VOCABULARIES, PENDING_VALUES, LAST_SEEN, EXPIRIES, USERS, ENCODED_ITEMS)
_SIDES = {USERS: (PROFILES, USER_ID, "user_index"), ENCODED_ITEMS: (ITEMS, ITEM_ID, "item_index")}


def run(context: StepContext) -> StepResult:
    """The days' new vocabulary values, and their new or changed users and items, encoded.

    Raises:
        ConcurrentWrite: another process wrote one of these tables since this one read them.
        OrderError: a later day was encoded already, upon other values than these days have now.
    """
    spark, lake, days = session(context.settings), context.lake, context.days
    read_versions = {table: lake.version(table) for table in _WRITTEN}
    before = known_before(spark, lake, days[0])
    events = read_days(spark, lake, EVENTS, days, ["ds", USER_ID, ITEM_ID, "context"])
    profiles, items = (read_days(spark, lake, table, days) for table in (PROFILES, ITEMS))
    seen = values_seen(events, profiles, items, context.dataset)
    with ExitStack() as stack:
        reserved = reserved_words(spark, lake, days)
        vocabulary = vocabulary_days(
            seen, before, days, context.dataset.vocabulary, reserved, stack
        )
        _refuse_taken_ids(spark, lake, vocabulary.born, days[-1])
        frames = vocabulary.frames(lake)
        for table, rows in ((USERS, profiles), (ENCODED_ITEMS, items)):
            frames[table] = partial(_side, spark, lake, table, rows, vocabulary)
        staged = stage_all(frames, lake, days)
    lineage = {"step": "encode_profiles", "ds": context.ds}
    written = commit(lake, staged, days, lineage, read_versions)
    for table in (PENDING_VALUES, LAST_SEEN, EXPIRIES):
        if table not in frames:
            lake.clear(table, days, lineage)
    return StepResult(_summary(lake, days, frames, written))


def _summary(lake: Lake, days: Sequence[str], frames: Frames, written: Mapping[str, int]) -> str:
    def new(table: Table) -> str:
        return f"{written[table.key] - carried_rows(lake, table, days):,}"

    waiting = f", {new(PENDING_VALUES)} wait" if PENDING_VALUES in frames else ""
    turned = f", {new(EXPIRIES)} expired or came back" if EXPIRIES in frames else ""
    return (
        f"{new(VOCABULARIES)} new values{waiting}{turned}; {new(USERS)} users and "
        f"{new(ENCODED_ITEMS)} items encoded"
    )


def values_seen(
    events: DataFrame, profiles: DataFrame, items: DataFrame, dataset: DatasetConfig
) -> DataFrame:
    """ds, field, value, times and described of every value that occurs, once per day.

    `times`: rows that hold it. `described`: whether one of them is the profile of this user_id or
    the item of this item_id.
    """
    of_events = [
        _word(USER_ID, F.col(USER_ID)),
        _word(ITEM_ID, F.col(ITEM_ID)),
        *(_word(f"context.{name}", F.col("context")[name]) for name in dataset.context),
    ]
    described = F.max(F.col("of_entity") & F.col("field").isin(USER_ID, ITEM_ID))
    return (
        events.select("ds", F.explode(F.array(*of_events)).alias("word"))
        .withColumn("of_entity", F.lit(False))
        .unionByName(_words_of(profiles, USER_ID, dataset.user_attributes))
        .unionByName(_words_of(items, ITEM_ID, dataset.item_attributes))
        .select("ds", "word.field", "word.value", "of_entity")
        .where(F.col("value").isNotNull())
        .groupBy("ds", "field", "value")
        .agg(F.count(F.lit(1)).alias("times"), described.alias("described"))
    )


def _refuse_taken_ids(spark: SparkSession, lake: Lake, born: DataFrame, last_day: str) -> None:
    """Refuse births whose value, or id, a day after `last_day` has given already.

    Also those that a later base day does not have: the days after it would give their ids again.
    """
    days = [day for day in lake.days(VOCABULARIES) if day > last_day]
    if not days:
        return
    words = read_days(spark, lake, VOCABULARIES, days)
    later = words.where(F.col("born_on") == F.col("ds")).select(
        "field", *(F.col(name).alias(f"later_{name}") for name in ("value", "id", "ds"))
    )
    found = reduce(
        DataFrame.unionByName,
        (
            born.join(later.withColumn(name, F.col(f"later_{name}")), on=["field", name])
            .select(*born.columns, *(f"later_{other}" for other in ("value", "id", "ds")))
            .orderBy("field", "id")
            .limit(1)
            for name in ("value", "id")
        ),
    )
    for row in found.collect():
        said = f"but {row['later_ds']} gave {row['later_value']!r} the id {row['later_id']}"
        raise _taken(row, said)
    for base in base_days(lake, VOCABULARIES, days):
        held = read_days(spark, lake, VOCABULARIES, [base], ["field", "value", "id"])
        missing = born.join(held, on=held.columns, how="left_anti").orderBy("field", "id").limit(1)
        for row in missing.collect():
            raise _taken(row, f"which {base}, that holds all values born before, does not know")


def _taken(row: Row, said: str) -> OrderError:
    return OrderError(
        f"{VOCABULARIES.key}, ds={row['ds']}: {row['field']} {row['value']!r} would get id "
        f"{row['id']}, {said}: it was encoded when this day had other rows, and ids never change. "
        f"Nothing was committed. Next: bring back the raw files of {row['ds']} as they were, or "
        f"build the days again, in order, in a new DAYFOLD__HOME."
    )


def _side(
    spark: SparkSession, lake: Lake, table: Table, rows: DataFrame, vocabulary: VocabularyDays
) -> DataFrame:
    """Rows of USERS or of ENCODED_ITEMS."""
    changed = _encoded_side(spark, lake, table, rows, vocabulary)
    return entities_with_bases(spark, lake, table, changed, vocabulary.days)


def _encoded_side(
    spark: SparkSession, lake: Lake, table: Table, rows: DataFrame, vocabulary: VocabularyDays
) -> DataFrame:
    """`rows` and those described before their birth, in the columns of `table`."""
    dataset = lake.dataset
    source, key, index = _SIDES[table]
    attributes = dataset.user_attributes if table is USERS else dataset.item_attributes
    encoded = partial(encoded_entities, key=key, attributes=attributes, dataset=dataset)
    sides = encoded(rows, vocabulary.sighted)
    late = _described_earlier(spark, lake, source, key, vocabulary)
    if late is not None:
        words = _words_of(late, key, attributes).select("ds", "word.field", "word.value")
        sides = sides.unionByName(encoded(late, known_on(words.distinct(), vocabulary.lives)))
    return sides.withColumnRenamed("id", index)


def _described_earlier(
    spark: SparkSession, lake: Lake, source: Table, key: str, vocabulary: VocabularyDays
) -> DataFrame | None:
    """The profiles (items) of those born on a later day than theirs, as rows of that later day."""
    if vocabulary.waiting is None:
        return None
    born = vocabulary.waiting.born.where(
        (F.col("field") == key) & (F.col("described_on") < F.col("ds"))
    ).select(F.col("value").alias(key), "described_on", F.col("ds").alias("born_on"))
    days = [row["described_on"] for row in born.select("described_on").distinct().collect()]
    if not days:
        return None
    described = read_days(spark, lake, source, days).withColumnRenamed("ds", "described_on")
    found = described.join(F.broadcast(born), on=[key, "described_on"], how="inner")
    return found.drop("described_on").withColumnRenamed("born_on", "ds")


def encoded_entities(
    rows: DataFrame,
    words: DataFrame,
    key: str,
    attributes: Sequence[Attribute],
    dataset: DatasetConfig,
) -> DataFrame:
    """`rows` label-encoded: ds, id, valid_from, an item's availability and text, attr_<name>.

    All attributes of a row are looked up in one join, as (field, value) pairs; one without an id
    reads as unknown. A row whose own id is unknown is left out.

    Args:
        rows: profiles or items.
        words: ds, field, value, id: what has an id on which of the days.
        key: user_id or item_id.
        attributes: those of `rows`.
        dataset: whose days begin in its time zone.
    """
    valid_from = F.greatest("updated_at", starts_at(F.col("ds"), dataset.time_zone))
    direct: dict[str, Column] = {
        "valid_from": valid_from,
        **{
            name: F.col(name)
            for name in ("available_from", "available_until")
            if name in rows.columns
        },
        **({"text": item_text(attributes)} if key == ITEM_ID else {}),
        **{f"attr_{a.name}": _bin(a) for a in attributes if a.kind == "numeric"},
    }
    pairs = rows.select(
        "ds",
        F.col(key).alias("entity"),
        *(column.alias(name) for name, column in direct.items()),
        F.explode(_pairs(key, attributes)).alias("word"),
    ).select("*", "word.field", "word.value")
    given = pairs.where(F.col("value").isNotNull())
    found = given.join(words, on=["ds", "field", "value"], how="left")
    known = F.coalesce("id", F.lit(UNKNOWN))
    looked_up = [
        F.sort_array(F.collect_set(F.when(F.col("field") == field, known))).alias(name)
        for name, field in _looked_up_fields(key, attributes).items()
    ]
    grouped = found.groupBy("ds", "entity", *direct).agg(*looked_up)
    return grouped.select(
        "ds",
        F.element_at("id", 1).alias("id"),
        *direct,
        *(_encoded(a).alias(f"attr_{a.name}") for a in attributes if a.kind != "numeric"),
    ).where(F.col("id") >= FIRST_VALUE_ID)


def _word(field: str, value: Column) -> Column:
    return F.struct(F.lit(field).alias("field"), value.cast("string").alias("value"))


def _field(key: str, attribute: Attribute) -> str:
    return f"{key.removesuffix('_id')}.{attribute.name}"


def _looked_up_fields(key: str, attributes: Sequence[Attribute]) -> dict[str, str]:
    named = {f"attr_{a.name}": _field(key, a) for a in attributes if a.kind != "numeric"}
    return {"id": key, **named}


def _words_of(rows: DataFrame, key: str, attributes: Sequence[Attribute]) -> DataFrame:
    words = F.explode(_pairs(key, attributes)).alias("word")
    return rows.select("ds", words, F.lit(True).alias("of_entity"))


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
    value = F.nanvl(F.col(f"attr_{attribute.name}"), F.lit(None).cast("double"))
    cuts = sum(((value >= cut).cast("int") for cut in attribute.bins), F.lit(FIRST_VALUE_ID))
    return F.when(value.isNull(), F.lit(MISSING)).otherwise(cuts)


def _encoded(attribute: Attribute) -> Column:
    ids = F.col(f"attr_{attribute.name}")
    missing = F.array(F.lit(MISSING))
    listed = F.when(F.size(ids) == 0, missing).otherwise(ids)
    return listed if attribute.kind == "multi" else F.element_at(listed, 1)
