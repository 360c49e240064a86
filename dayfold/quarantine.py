"""Rejected rows: what they look like, and how repaired ones are taken in again."""

from __future__ import annotations

import io
import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table as RichTable

from conf.cleaning import REASONS
from conf.errors import ConfigError, MissingPartition, OrderError, SourceError
from dayfold.workplace import Workplace

if TYPE_CHECKING:
    from feature_store.raw_zone import Stream

STREAM: Stream = "events"
"""Profiles and items are delivered whole again when they change: only events are taken in again."""


def rejected_rows(
    workplace: Workplace, ds: str, reason: str | None, stream: str | None = None
) -> list[dict[str, Any]]:
    """The rows that the cleaning of `ds` rejected, in the order of the raw files.

    Raises:
        ConfigError: there is no such reason.
        MissingPartition: the day was not cleaned.
    """
    from feature_store.tables import INTAKE, QUARANTINE

    if reason is not None and reason not in REASONS:
        raise ConfigError(f"--reason {reason!r} is not known: expected one of {REASONS}.")
    lake = workplace.lake()
    if not lake.read(INTAKE, [ds]).num_rows:
        raise MissingPartition(
            f"{ds} was not cleaned. Next: dayfold status, or `dayfold run --from {ds} --to {ds}`."
        )
    rows = lake.read(QUARANTINE, [ds]).sort_by(
        [("stream", "ascending"), ("file", "ascending"), ("line", "ascending")]
    )
    return [
        row
        for row in rows.to_pylist()
        if reason in (None, row["reason"]) and stream in (None, row["stream"])
    ]


def rejected_table(ds: str, rows: list[dict[str, Any]], limit: int) -> RichTable:
    """The first `limit` rows as a table."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[f"{row['stream']} {row['reason']}"] += 1
    title = ", ".join(f"{what} {n:,}" for what, n in sorted(counts.items())) or "nothing rejected"
    table = RichTable(title=f"{ds}: {title}", title_justify="left")
    for heading in ("stream", "file", "line", "reason", "row, masked"):
        table.add_column(heading, justify="right" if heading == "line" else "left")
    for row in rows[:limit]:
        cells = (row["stream"], row["file"], f"{row['line']}", row["reason"], row["masked_line"])
        table.add_row(*(escape(cell or "") for cell in cells))
    return table


def replay_rows(
    workplace: Workplace, ds: str, into: str, reason: str | None, repaired: Path | None
) -> str:
    """Deliver rejected events of `ds` once more, as arrivals of the open day `into`.

    What earlier days read stays as it was. Doing it twice delivers once: the files are replaced,
    and an event that was accepted meanwhile is a duplicate.

    Args:
        workplace: settings and dataset.
        ds: the day on which the rows were rejected.
        into: a later day that has not run.
        reason: take the rows that were rejected for it, as they stand in the raw files; for a
            rule or a declaration that has changed since.
        repaired: a file with the rows, mended by hand, in any format of the raw zone.

    Raises:
        ConfigError: neither or both of `reason` and `repaired`; the reason is `forgotten`; `into`
            is not later, or so late that cleaning would reject the rows again.
        OrderError: `into` has been begun.
        SourceError: a raw file is not there any more, or `repaired` has another suffix.
    """
    from feature_store.days import gap
    from feature_store.ledger import closed_days
    from feature_store.raw_files import sha256_of
    from feature_store.raw_zone import REPLAYED, SUFFIXES
    from feature_store.tables import RAW_FILES, STEP_RUNS

    if (reason is None) == (repaired is None):
        raise ConfigError("Give either --reason (rows as they stand) or --file (rows mended).")
    if reason == "forgotten":
        raise ConfigError("--reason forgotten: rows of forgotten users are never taken in again.")
    if into <= ds:
        raise ConfigError(f"--into {into} must be a day after {ds}: what {ds} read stays.")
    lake = workplace.lake()
    if into in closed_days(lake) or lake.read(STEP_RUNS, [into]).num_rows:
        raise OrderError(f"{into} has been begun. Next: --into a day that has not run.")
    lateness = workplace.dataset.cleaning.lateness_days
    if repaired is None and gap(ds, into) > lateness:
        raise ConfigError(
            f"--into {into} lies more than cleaning.lateness_days ({lateness}) after {ds}: events "
            f"of {ds} would be too_late there. Next: an earlier day that has not run, or a larger "
            "cleaning.lateness_days in the dataset's YAML file."
        )
    target = workplace.raw_zone().folder(STREAM, into)
    target.mkdir(parents=True, exist_ok=True)
    if repaired is not None:
        suffix = next((s for s in SUFFIXES if repaired.name.endswith(s)), None)
        if suffix is None or not repaired.is_file():
            raise SourceError(f"{repaired}: expected a file with one of {', '.join(SUFFIXES)}.")
        shutil.copyfile(repaired, target / f"{REPLAYED}{ds}-repaired{suffix}")
        return f"{repaired} arrives on {into}. Next: dayfold run --from {into} --to {into}"
    rows = rejected_rows(workplace, ds, reason, STREAM)
    read = lake.read(RAW_FILES, [ds], ["stream", "file", "sha256"]).to_pylist()
    hashes = {row["file"]: row["sha256"] for row in read if row["stream"] == STREAM}
    by_file: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_file[row["file"]].append(row["line"])
    for name, lines in by_file.items():
        source = workplace.raw_zone().folder(STREAM, ds) / name
        if not source.is_file() or sha256_of(source) != hashes.get(name):
            raise SourceError(
                f"{source} is gone or has changed since {ds} read it: its rows cannot be found by "
                "their line numbers. Next: give them with --file."
            )
        copy_rows(source, sorted(lines), target / f"{REPLAYED}{ds}-{name}")
    done = f"{len(rows)} rows rejected as {reason} on {ds} arrive on {into}."
    return f"{done} Next: dayfold run --from {into} --to {into}"


def copy_rows(source: Path, lines: list[int], target: Path) -> None:
    """Write the rows of `source` at `lines` (from 1, a CSV header not counted) to `target`."""
    if source.name.endswith(".parquet"):
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(source).take([line - 1 for line in lines]), target)
        return
    import pyarrow as pa

    def text(stream: Any) -> io.TextIOWrapper:
        # Lines end as they do for Spark (with CR too); latin-1 gives back any bytes.
        return io.TextIOWrapper(stream, encoding="latin-1", newline="")

    header = ".csv" in source.suffixes
    wanted = {line + header for line in lines} | ({1} if header else set())
    with (
        text(pa.input_stream(str(source), compression="detect")) as read,
        text(pa.output_stream(str(target), compression="detect")) as written,
    ):
        for number, line in enumerate(read, start=1):
            if number in wanted:
                written.write(line.rstrip("\r\n") + "\n")


def as_json(rows: list[dict[str, Any]]) -> str:
    """The rows for programs."""
    return json.dumps({"rows": rows})
