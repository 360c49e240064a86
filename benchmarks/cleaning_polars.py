"""The cleaning rules of the simulated dataset, written for Polars."""

from __future__ import annotations

import hmac
from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl

from benchmarks.cleaning_duckdb import fresh_folder, limits


def clean_with_polars(raw: Path, ds: str, folder: Path, key: bytes) -> Counter[str]:
    """Rows by outcome; events and quarantine are written under `folder`."""
    fresh_folder(folder)
    earliest, latest, bot, types = limits(ds)
    parts = [
        pl.read_csv(
            path, has_header=False, separator="\x02", quote_char=None, new_columns=["text"],
            encoding="utf8-lossy", schema={"text": pl.String}, truncate_ragged_lines=True,
        ).with_row_index("line").with_columns(pl.lit(path.name).alias("file"))
        for path in sorted((raw / "events" / f"ds={ds}").glob("part-*"))
    ]  # fmt: skip
    lines = pl.concat(parts)
    names = ("event_id", "event_type", "event_timestamp", "user_id", "item_id", "value")
    names += ("request_id", "position", "device", "place")
    fields = lines.with_columns(
        pl.col("text").str.json_path_match(f"$.{name}").alias(name) for name in names
    )
    ids = fields.get_column("user_id").str.strip_chars().unique().drop_nulls().to_list()
    pseudonyms = {i: hmac.new(key, i.encode(), "sha256").hexdigest()[:32] for i in ids if i}
    moment = pl.col("event_timestamp").str.to_datetime("%+", time_zone="UTC", strict=False)
    judged = fields.with_columns(
        pl.col("user_id").str.strip_chars().replace_strict(pseudonyms, default=None).alias("who"),
        moment.alias("moment"),
    ).with_columns(_polars_reason(earliest, latest, types).alias("reason"))
    first = (
        pl.int_range(pl.len()).over(
            [pl.col("reason").fill_null(""), pl.col("event_id").fill_null(pl.col("text"))]
        )
        == 0
    )
    counted = judged.with_columns(first.alias("first")).with_columns(
        (pl.col("first") & pl.col("reason").is_null()).sum().over("who").alias("many")
    )
    final = counted.with_columns(
        pl.when(pl.col("reason").is_not_null()).then(pl.col("reason"))
        .when(~pl.col("first")).then(pl.lit("duplicate"))
        .when(pl.col("many") > bot).then(pl.lit("bot")).alias("reason")
    )  # fmt: skip
    good = final.filter(pl.col("reason").is_null()).select(
        "event_id", "moment", "who", "item_id", "event_type", "value", "request_id", "position",
        "device", "place",
    )  # fmt: skip
    good.sort("event_id").write_parquet(folder / "events.parquet")
    bad = final.filter(pl.col("reason").is_not_null()).select("file", "line", "text", "reason")
    bad.write_parquet(folder / "quarantine.parquet")
    counts = final.group_by(pl.col("reason").fill_null("clean")).len()
    return Counter(dict(counts.iter_rows()))


def _polars_reason(earliest: datetime, latest: datetime, types: list[str]) -> pl.Expr:
    text = pl.col("text")
    item = pl.col("item_id").fill_null("").str.strip_chars()
    whole = text.str.json_path_match("$").is_not_null()
    return (
        pl.when(text.fill_null("").str.strip_chars() == "").then(pl.lit("blank_line"))
        .when(text.str.contains("\ufffd", literal=True)).then(pl.lit("invalid_utf8"))
        .when(~whole).then(pl.lit("malformed"))
        .when(pl.col("who").is_null()).then(pl.lit("missing_user_id"))
        .when(item == "").then(pl.lit("missing_item_id"))
        .when(~pl.col("event_type").fill_null("").is_in(types)).then(pl.lit("unknown_event_type"))
        .when(pl.col("moment").is_null()).then(pl.lit("bad_timestamp"))
        .when(pl.col("moment") > latest).then(pl.lit("future_timestamp"))
        .when(pl.col("moment") < earliest).then(pl.lit("too_late"))
    )  # fmt: skip
