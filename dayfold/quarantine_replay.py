"""Rejected events, mended or judged by other rules, delivered once more."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.errors import ConfigError, OrderError, SourceError
from dayfold.hints import complete
from dayfold.mended_rows import require_raw_rows
from dayfold.quarantine import rejected_rows
from dayfold.workplace import Workplace

if TYPE_CHECKING:
    from conf.fields import Stream

STREAM: Stream = "events"
"""Profiles and items are delivered whole again when they change: only events are taken in again."""
_HASH_DIGITS = 16


def replay_rows(
    workplace: Workplace, ds: str, into: str, reason: str | None, repaired: Path | None
) -> str:
    """Deliver rejected events of `ds` once more, as arrivals of the open day `into`.

    What earlier days read stays as it was. The same rows given twice are delivered once: their
    files are replaced, and an event that was accepted meanwhile is a duplicate. Each file appears
    whole under its name or not at all, and none does where one of them is refused.

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
        SourceError: a raw file is not there any more, or `repaired` has another suffix, or holds
            rows as the quarantine shows them.
    """
    if (reason is None) == (repaired is None):
        raise ConfigError("Give either --reason (rows as they stand) or --file (rows mended).")
    if reason == "forgotten":
        raise ConfigError("--reason forgotten: rows of forgotten users are never taken in again.")
    _require_open(workplace, ds, into)
    if repaired is not None:
        files = _mended(ds, repaired)
        rows_in = require_raw_rows(repaired)
        what = f"{rows_in:,} row(s) of {repaired} arrive"
    else:
        _require_in_time(workplace, ds, into)
        rows = rejected_rows(workplace, ds, reason, STREAM)
        files = _as_they_stand(workplace, ds, str(reason), rows)
        what = f"{len(rows)} rows rejected as {reason} on {ds} arrive"
        if reason == "too_late":
            days = workplace.dataset.cleaning.lateness_days
            what = f"Events more than {days} days older than {into} will be too_late again. {what}"
        for name, rule in workplace.dataset.cleaning.own_rules.items():
            if rule.severity == "reject" and reason == (rule.reason or name):
                what = f"cleaning.rules.{name} is on: rows that break it come back. {what}"
    if not files:
        return f"No event of {ds} was rejected as {reason}: there is nothing to deliver."
    delivered = ", ".join(_deliver(workplace, into, files))
    return complete(f"{what} on {into} as {delivered}. Next: dayfold run --from {into} --to {into}")


def copy_rows(source: Path, lines: list[int], target: Path) -> None:
    """Write the rows of `source` at `lines` (from 1) to `target`."""
    if source.name.endswith(".parquet"):
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(source).take([line - 1 for line in lines]), target)
        return
    import pyarrow as pa

    def text(stream: Any) -> io.TextIOWrapper:
        # Lines end as they do for Spark (with CR too); latin-1 gives back any bytes.
        return io.TextIOWrapper(stream, encoding="latin-1", newline="")

    header = ".csv" in source.suffixes
    wanted = {*lines, 1} if header else set(lines)
    with (
        text(pa.input_stream(str(source), compression="detect")) as read,
        text(pa.output_stream(str(target), compression="detect")) as written,
    ):
        for number, line in enumerate(read, start=1):
            if number in wanted:
                written.write(line.rstrip("\r\n") + "\n")


def _require_open(workplace: Workplace, ds: str, into: str) -> None:
    from feature_store.ledger import closed_days
    from feature_store.tables import STEP_RUNS

    if into <= ds:
        raise ConfigError(f"--into {into} must be a day after {ds}: what {ds} read stays.")
    lake = workplace.lake()
    closed = closed_days(lake).get(into)
    if closed or lake.read(STEP_RUNS, [into]).num_rows:
        state = f"is {closed.state}" if closed else "has been begun"
        raise OrderError(f"--into {into} {state}. Next: a day that has not run.")


def _require_in_time(workplace: Workplace, ds: str, into: str) -> None:
    from feature_store.days import gap

    lateness = workplace.dataset.cleaning.lateness_days
    if gap(ds, into) > lateness:
        raise ConfigError(
            f"--into {into} lies more than cleaning.lateness_days ({lateness}) after {ds}: events "
            f"of {ds} would be too_late there. Next: an earlier day that has not run, or a larger "
            "cleaning.lateness_days in the dataset's YAML file."
        )


_Write = Callable[[Path], object]
"""Writes a file at the path it is given."""


def _mended(ds: str, repaired: Path) -> dict[str, _Write]:
    """The file to deliver; its name tells its content."""
    from feature_store.raw_files import sha256_of
    from feature_store.raw_zone import SUFFIXES

    if not repaired.is_file():
        raise SourceError(f"--file {repaired}: there is no such file.")
    suffix = next((s for s in SUFFIXES if repaired.name.endswith(s)), None)
    if suffix is None:
        raise SourceError(f"--file {repaired}: expected a name with one of {', '.join(SUFFIXES)}.")
    content = repaired.read_bytes()
    name = f"{ds}-repaired-{sha256_of(repaired)[:_HASH_DIGITS]}{suffix}"
    return {name: lambda target: target.write_bytes(content)}


def _as_they_stand(
    workplace: Workplace, ds: str, reason: str, rows: list[dict[str, Any]]
) -> dict[str, _Write]:
    """One file to deliver for each raw file with such rows."""
    from feature_store.raw_files import sha256_of
    from feature_store.tables import RAW_FILES

    read = workplace.lake().read(RAW_FILES, [ds], ["stream", "file", "sha256"]).to_pylist()
    hashes = {row["file"]: row["sha256"] for row in read if row["stream"] == STREAM}
    by_file: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_file[row["file"]].append(row["line"])
    folder = workplace.raw_zone().folder(STREAM, ds)
    for name in by_file:
        if not (folder / name).is_file() or sha256_of(folder / name) != hashes.get(name):
            raise SourceError(
                f"{folder / name} is gone or has changed since {ds} read it: its rows cannot be "
                "found by their line numbers. Next: give them with --file."
            )
    return {
        f"{ds}-{reason}-{name}": partial(copy_rows, folder / name, sorted(lines))
        for name, lines in by_file.items()
    }


def _deliver(workplace: Workplace, into: str, files: Mapping[str, _Write]) -> list[str]:
    """The names of `files` (name -> what writes it) in the folder of `into`, when written."""
    from feature_store.raw_zone import REPLAYED

    target = workplace.raw_zone().folder(STREAM, into)
    target.mkdir(parents=True, exist_ok=True)
    names = {f"{REPLAYED}{name}": write for name, write in files.items()}
    for name, write in names.items():
        begun = target / f".{name}"  # readers look for part-*
        write(begun)
        begun.replace(target / name)
    return list(names)
