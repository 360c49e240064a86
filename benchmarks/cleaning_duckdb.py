"""The cleaning rules of the simulated dataset, written for DuckDB."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb

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


def fresh_folder(folder: Path) -> Path:
    """`folder`, there and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def limits(ds: str) -> tuple[datetime, datetime, int, list[str]]:
    """Earliest and latest instant of an event that arrives on `ds`, the bot limit, the types."""
    dataset = load_dataset("simulated")
    begin = datetime.combine(date.fromisoformat(ds), time(), UTC)
    latest = begin + timedelta(days=1, minutes=dataset.cleaning.future_tolerance_minutes)
    earliest = begin - timedelta(days=dataset.cleaning.lateness_days)
    return earliest, latest, dataset.cleaning.bot_events_per_day, sorted(dataset.event_types)


def clean_with_duckdb(raw: Path, ds: str, folder: Path, key: bytes) -> Counter[str]:
    """Rows by outcome; events and quarantine are written under `folder`."""
    fresh_folder(folder)
    earliest, latest, bot, types = limits(ds)
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
