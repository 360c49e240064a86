"""What there is to read of an item, as encode_profiles writes it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from conf.dataset import Attribute
from pipelines.item_text import item_text

pytestmark = pytest.mark.spark

GENRE = Attribute(name="genre", kind="categorical")
TAGS = Attribute(name="tags", kind="multi")
YEAR = Attribute(name="release_year", kind="numeric", bins=(2000.0,))
ATTRIBUTES = (GENRE, TAGS, YEAR)
SCHEMA = (
    "title string, description string, attr_genre string, attr_tags array<string>, "
    "attr_release_year double"
)
Item = tuple[str | None, str | None, str | None, list[str | None] | None, float | None]


def texts(spark: SparkSession, items: list[Item]) -> list[str | None]:
    rows = spark.createDataFrame(items, SCHEMA)
    return [row["text"] for row in rows.select(item_text(ATTRIBUTES).alias("text")).collect()]


def test_an_items_text_is_its_title_its_attributes_and_its_description(
    spark: SparkSession,
) -> None:
    nan = float("nan")
    found = texts(
        spark,
        [
            (" Star\n Wars", "Far away.", "sci_fi", ["space", None, "war"], 1977.0),
            (None, None, None, [], nan),
            (None, " \t", "drama", None, None),
            ("红色　运动鞋", None, None, None, 0.5),
        ],
    )
    assert found == [
        "Star Wars. sci fi. space, war. release year 1977. Far away.",
        None,
        "drama",
        "红色 运动鞋. release year 0.5",
    ]


words = st.none() | st.text(st.sampled_from("ab _\n\t　.é"), max_size=6)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.tuples(words, words, words, st.none() | st.lists(words, max_size=3), st.none())))
def test_texts_are_those_of_plain_python(spark: SparkSession, items: list[Item]) -> None:
    def tidy(text: str | None) -> str:
        return " ".join((text or "").split())

    def expected(item: Item) -> str | None:
        title, description, genre, tags, _ = item
        listed = ", ".join(tag for tag in tags or () if tag is not None)
        said = [(value or "").replace("_", " ") for value in (genre, listed)]
        return ". ".join(filter(None, map(tidy, (title, *said, description)))) or None

    assert texts(spark, items) == [expected(item) for item in items]
