"""clean_events: raw files become clean events, profiles and items; the rest is quarantined.

Every raw row ends up in exactly one place: a clean table, or the quarantine with one reason.
That is verified on the files that were written, before they are committed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.errors import CheckFailed, SourceError
from conf.fields import STREAMS, Stream
from conf.pseudonym import fingerprint, load_key
from feature_store.days import shift
from feature_store.identity import require_key
from feature_store.raw_files import fingerprints
from feature_store.raw_zone import RawZone
from feature_store.rebuild import require_open, require_same_inputs
from feature_store.step import EXAMPLES, StepContext, StepResult
from feature_store.tables import EVENTS, INTAKE, ITEMS, PROFILES, QUARANTINE, RAW_FILES, Table
from feature_store.tombstones import forgotten_users
from pipelines.clean_entities import EntityStream, classified_entities
from pipelines.clean_rows import EARLIER, classified_events
from pipelines.cleaning_lookups import ORPHAN_CLICK, UNKNOWN_ITEM
from pipelines.cleaning_rules import require_patterns
from pipelines.cleaning_tombstones import forgotten_frame
from pipelines.noted_rows import Noted, noted_rows
from pipelines.personal_fields import read_fields
from pipelines.pseudonym_column import key_frame
from pipelines.raw_reader import count_rows, one_task_per_file, read_records
from pipelines.rejected_shares import excesses, refuse
from pipelines.schema_drift import schema_warnings
from pipelines.spark import (
    at_once,
    commit,
    discard,
    kept,
    read_days,
    session,
    stage_all,
    staged_rows,
)

_QUARANTINED = pa.schema(
    [(name, pa.string()) for name in ("stream", "file", "masked_line", "reason")]
    + [("line", pa.int64())]
)
_RAW_FILE_IN_AN_ERROR = re.compile(
    r"FAILED_READ_FILE.* reading file (?:file://)?(/\S+/(?:events|profiles|items)/ds=\S+?)\.?\s"
)
_TABLES: Mapping[str, Table] = {"events": EVENTS, "profiles": PROFILES, "items": ITEMS}


def run(context: StepContext) -> StepResult:
    """The days' clean events, profiles and items, the quarantine, and the counts that add up.

    Raises:
        CheckFailed: the rows written are not the rows read, a rule rejected more than it may, or
            the fields of the raw files changed in a way that fails the day.
        SourceError: a raw file cannot be read.
        ConfigError: there is no key for the user ids, or another one than the lake's, or a pattern
            of the dataset's rules cannot be read.
        OrderError: closed days were built on other raw files.
    """
    spark = session(context.settings)
    zone = RawZone(context.settings.path(context.settings.raw))
    days = context.days
    lineage = {"step": "clean_events", "ds": context.ds}
    # Before they are read: what changes meanwhile is noticed later.
    files = {ds: fingerprints(zone, ds) for ds in days}
    _require_unchanged(context, files)
    require_patterns(spark, context.dataset)
    drifted = schema_warnings(context, files)
    staged: dict[Table, Path] = {}
    try:
        warn = any(rule.severity == "warn" for rule in context.dataset.cleaning.rules.values())
        with one_task_per_file(spark), ExitStack() as stack:
            streams = _classified_streams(spark, zone, context, stack)
            valid = F.col("reason").isNull()
            frames = {_TABLES[s]: partial(rows.where, valid) for s, rows in streams.items()}
            frames[QUARANTINE] = partial(_rejected, streams)
            staged |= stage_all(frames, context.lake, days)
            noted = noted_rows(streams) if warn else []
            read = count_rows(spark, zone, STREAMS, days)
        outcomes = {ds: _outcomes(staged, ds) for ds in days}
        warnings = list(drifted)
        for ds in days:
            _check_sums(outcomes[ds], read, ds)
            warnings += _warnings(context, outcomes[ds], staged[QUARANTINE], noted, ds)
        commit(context.lake, staged, days, lineage)
    except (Py4JJavaError, PySparkException) as error:
        damaged = _RAW_FILE_IN_AN_ERROR.search(str(error))
        if damaged is None:
            raise
        raise SourceError(
            f"{unquote(damaged[1])} is cut off or damaged; nothing was committed. Next: write it "
            "again (`gzip -t`, `zstd -t` test it), then run the day again."
        ) from error
    finally:
        discard(staged.values())
    for ds in days:
        rows = _intake_rows(outcomes[ds], read, ds)
        context.lake.replace(INTAKE, {"ds": ds}, rows, lineage)
        context.lake.replace(RAW_FILES, {"ds": ds}, files[ds], lineage)
    return _result(outcomes, read, warnings)


def _require_unchanged(context: StepContext, files: Mapping[str, pa.Table]) -> None:
    """Refuse files that closed days do not know: they may have changed since `open_day` looked."""
    for ds in context.days:
        require_open(context.lake, ds, files[ds])
        require_same_inputs(context.lake, ds, files[ds])


# ---- rows --------------------------------------------------------------------------------------


def _classified_streams(
    spark: SparkSession, zone: RawZone, context: StepContext, stack: ExitStack
) -> dict[str, DataFrame]:
    """Each stream's rows in the columns of its clean table, with reason and masked line.

    What they are made from is kept as long as `stack`.
    """
    settings, dataset, days = context.settings, context.dataset, context.days
    key = load_key(settings.path(settings.key_file))
    require_key(context.lake.root, dataset.name, fingerprint(key), bind=True)
    keys = key_frame(spark, key)
    forgotten = forgotten_frame(spark, forgotten_users(context.lake))
    reach = dataset.cleaning.lateness_days + 1
    if dataset.cleaning.severity(ORPHAN_CLICK) != "off":
        reach += dataset.labels.attribution_days
    before = [shift(days[0], -n) for n in range(1, reach + 1)]

    def records(stream: Stream) -> DataFrame:
        fields = read_fields(list(dataset.fields(stream)), dataset.personal)
        return read_records(spark, zone, stream, days, fields)

    def events() -> DataFrame:
        earlier = read_days(spark, context.lake, EVENTS, before, EARLIER)
        return classified_events(
            records("events"), earlier, catalogue(), dataset, keys, forgotten, stack
        )

    def catalogue() -> DataFrame | None:
        if dataset.cleaning.severity(UNKNOWN_ITEM) == "off":
            return None
        known = [ds for ds in context.lake.days(ITEMS) if ds < days[0]]
        today = entities("items").where(F.col("reason").isNull()).select("ds", "item_id")
        return read_days(spark, context.lake, ITEMS, known, ["ds", "item_id"]).unionByName(today)

    def entities(stream: EntityStream) -> DataFrame:
        rows = classified_entities(records(stream), stream, dataset, keys, forgotten)
        stack.enter_context(kept(rows))
        return rows

    return at_once(
        {
            "events": events,
            "profiles": partial(entities, "profiles"),
            "items": partial(entities, "items"),
        }
    )


# ---- counts ------------------------------------------------------------------------------------


def _rejected(streams: Mapping[str, DataFrame]) -> DataFrame:
    frames = [
        rows.where(F.col("reason").isNotNull()).select(
            "ds", F.lit(stream).alias("stream"), "file", "line", "masked_line", "reason"
        )
        for stream, rows in streams.items()
    ]
    first, *others = frames
    for frame in others:
        first = first.unionByName(frame)
    return first


def _outcomes(staged: Mapping[Table, Path], ds: str) -> dict[str, Counter[str]]:
    """Rows written for `ds` by stream and outcome."""
    outcomes = {
        stream: Counter(clean=staged_rows(staged[table], ds)) for stream, table in _TABLES.items()
    }
    for file in sorted((staged[QUARANTINE] / f"ds={ds}").glob("*.parquet")):
        pairs = pq.read_table(file, columns=["stream", "reason"]).group_by(["stream", "reason"])
        for row in pairs.aggregate([([], "count_all")]).to_pylist():
            outcomes[row["stream"]][row["reason"]] += row["count_all"]
    return outcomes


def _check_sums(
    outcomes: Mapping[str, Counter[str]], read: Mapping[tuple[str, str], int], ds: str
) -> None:
    for stream, counts in outcomes.items():
        expected = read.get((ds, stream), 0)
        if counts.total() != expected:
            raise CheckFailed(
                f"clean_events, ds={ds}: read {expected} rows of {stream}, but wrote "
                f"{counts.total()} ({dict(counts)}). Nothing was committed. Were raw files changed "
                f"meanwhile? Next: dayfold step clean_events --ds {ds}"
            )


def _warnings(
    context: StepContext,
    outcomes: Mapping[str, Counter[str]],
    staging: Path,
    noted: Sequence[Noted],
    ds: str,
) -> list[tuple[str, str]]:
    """What a rule rejected or noted too much of; raises CheckFailed where that fails the day."""
    rules = context.dataset.cleaning.rules
    if not rules:
        return []
    folder = staging / f"ds={ds}"
    quarantine = (
        pq.read_table(folder, schema=_QUARANTINED)
        if folder.exists()
        else _QUARANTINED.empty_table()
    )
    found = excesses(outcomes, quarantine, [note for note in noted if note.ds == ds], rules)
    refuse(found, ds, context.dataset.name)
    return [(ds, f"{excess}{EXAMPLES}{excess.example}") for excess in found]


def _intake_rows(
    outcomes: Mapping[str, Counter[str]], read: Mapping[tuple[str, str], int], ds: str
) -> pa.Table:
    rows = [
        {"stream": stream, "outcome": outcome, "rows": count}
        for stream, counts in outcomes.items()
        for outcome, count in [("read", read.get((ds, stream), 0)), *sorted(counts.items())]
    ]
    schema = pa.schema([("stream", pa.string()), ("outcome", pa.string()), ("rows", pa.int64())])
    return pa.Table.from_pylist(rows, schema)


def _result(
    outcomes: Mapping[str, Mapping[str, Counter[str]]],
    read: Mapping[tuple[str, str], int],
    warnings: Sequence[tuple[str, str]],
) -> StepResult:
    total: Counter[str] = Counter()
    for streams in outcomes.values():
        total.update(streams["events"])
    clean = total.pop("clean", 0)
    rows_in = sum(count for (_, stream), count in read.items() if stream == "events")
    reasons = ", ".join(f"{reason} {count}" for reason, count in total.most_common(3))
    summary = f"{rows_in} events in, {clean} clean, {total.total()} quarantined"
    return StepResult(
        summary + (f" ({reasons})" if reasons else ""),
        {"rows_in": rows_in, "clean": clean, "quarantined": dict(total)},
        tuple(warnings),
    )
