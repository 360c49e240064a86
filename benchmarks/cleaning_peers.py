"""The cleaning rules of the simulated dataset, written for DuckDB and for Polars."""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb
import polars as pl

from conf.dataset import load_dataset

_BLOCK = 64
_DUCKDB = """
create temp table judged as
with lines as (
    select parse_filename(filename) as file, column0 as text, row_number() over () as line
    from read_csv($files, columns={'column0': 'VARCHAR'}, delim='\x02', quote='', escape='',
                  header=false, filename=true, null_padding=true, encoding='latin-1',
                  max_line_size=1048576)
),
parsed as (
    select file, line, text, contains(text, 'ÿ') as invalid,
        case when json_valid(text) then json_extract_string(text, [
            '$.event_id', '$.event_type', '$.event_timestamp', '$.user_id', '$.item_id',
            '$.value', '$.request_id', '$.position', '$.device', '$.place']) end as f
    from lines
),
fields as (
    select file, line, text, invalid, f is null as broken,
        f[1] as event_id, f[2] as event_type, try_cast(f[3] as timestamptz) as moment,
        nullif(trim(f[4]), '') as user_id, nullif(trim(f[5]), '') as item_id,
        try_cast(f[6] as double) as value, f[7] as request_id,
        try_cast(f[8] as integer) as position, f[6] as raw_value, f[8] as raw_position,
        f[9] as device, f[10] as place
    from parsed
),
ruled as (
    select * exclude (user_id, broken, invalid, raw_value, raw_position), user_id as raw_id,
        case when user_id is not null then
            sha256($outer || unhex(sha256($inner || user_id::blob)))[:32] end as user_id,
        case when coalesce(trim(text), '') = '' then 'blank_line'
             when invalid then 'invalid_utf8'
             when broken then 'malformed'
             when user_id is null then 'missing_user_id'
             when item_id is null then 'missing_item_id'
             when coalesce(event_type, '') not in ($types) then 'unknown_event_type'
             when moment is null then 'bad_timestamp'
             when moment > $latest then 'future_timestamp'
             when moment < $earliest then 'too_late'
             when (raw_value is not null and value is null)
               or (raw_position is not null and position is null) then 'bad_value'
        end as reason
    from fields
),
first as (
    select *, row_number() over (
        partition by coalesce(reason, ''), coalesce(event_id, sha256(text))
        order by file, line) = 1 as first
    from ruled
),
counted as (
    select *, count(*) filter (where first and reason is null) over (partition by user_id) as many
    from first
)
select * exclude (reason, first, many),
    case when reason is not null then reason
         when not first then 'duplicate'
         when many > $bot then 'bot' end as reason
from counted
"""
_EVENTS = """
copy (select event_id, moment as event_timestamp, user_id, item_id, event_type, value, request_id,
             position, map {'device': device, 'place': place} as context
      from judged where reason is null order by event_id)
to '%s' (format parquet, compression zstd)
"""
_QUARANTINE = """
copy (select file, line, replace(text, coalesce(raw_id, ' '), '***') as masked_line, reason
      from judged where reason is not null order by file, line)
to '%s' (format parquet, compression zstd)
"""


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _limits(ds: str) -> tuple[datetime, datetime, int, list[str]]:
    """Earliest and latest instant of an event that arrives on `ds`, the bot limit, the types."""
    dataset = load_dataset("simulated")
    begin = datetime.combine(date.fromisoformat(ds), time(), UTC)
    latest = begin + timedelta(days=1, minutes=dataset.cleaning.future_tolerance_minutes)
    earliest = begin - timedelta(days=dataset.cleaning.lateness_days)
    return earliest, latest, dataset.cleaning.bot_events_per_day, sorted(dataset.event_types)


def clean_with_duckdb(raw: Path, ds: str, folder: Path, key: bytes) -> Counter[str]:
    """Rows by outcome; events and quarantine are written under `folder`."""
    _fresh(folder)
    earliest, latest, bot, types = _limits(ds)
    padded = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = true")
    listed = ", ".join(f"'{name}'" for name in types)
    connection.execute(
        _DUCKDB.replace("$types", listed),
        {
            "files": sorted(map(str, (raw / "events" / f"ds={ds}").glob("part-*"))),
            "inner": bytes(byte ^ 0x36 for byte in padded),
            "outer": bytes(byte ^ 0x5C for byte in padded),
            "latest": latest,
            "earliest": earliest,
            "bot": bot,
        },
    )
    connection.execute(_EVENTS % (folder / "events.parquet"))
    connection.execute(_QUARANTINE % (folder / "quarantine.parquet"))
    counts = connection.execute("select coalesce(reason, 'clean'), count(*) from judged group by 1")
    return Counter(dict(counts.fetchall()))


def clean_with_polars(raw: Path, ds: str, folder: Path, key: bytes) -> Counter[str]:
    """Rows by outcome; events and quarantine are written under `folder`."""
    _fresh(folder)
    earliest, latest, bot, types = _limits(ds)
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
