"""Schema drift: fields of the raw files that are new, gone or of another kind than before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from conf.cleaning import SchemaDrift
from conf.errors import CheckFailed
from conf.fields import OWN_FIELDS, STREAMS
from feature_store.raw_fields import NULL, SOMETIMES, UNTYPED
from feature_store.step import StepContext
from feature_store.tables import RAW_FILES

Change = Literal["new_field", "missing_field", "other_kind", "never_delivered"]
FileFields = Mapping[str, Any]
"""A row of table `raw_files`: ds, stream, file and fields."""

REFERENCE_DAYS = 7
"""Days with files, before a day, with which its fields are compared."""
_SHOWN = 3
_CHANGES: tuple[Change, ...] = ("new_field", "missing_field", "other_kind", "never_delivered")


@dataclass(frozen=True)
class FieldChange:
    """One field of one stream that is not as it was."""

    change: Change
    ds: str
    stream: str
    field: str
    file: str
    was: str = ""
    now: str = ""

    def __str__(self) -> str:
        """What has changed, where."""
        where = f"{self.stream}/ds={self.ds}/{self.file}"
        return {
            "new_field": f"{self.field} ({self.now}) is new in {where}",
            "missing_field": f"{self.field} ({self.was}) is gone from {where}",
            "other_kind": f"{self.field} is {self.now} in {where}, was {self.was}",
            "never_delivered": f"{self.field} is declared, but no row of {where} has it",
        }[self.change]


def schema_warnings(context: StepContext, files: Mapping[str, pa.Table]) -> list[tuple[str, str]]:
    """(day, what has changed in its raw fields, compared with the days before).

    Args:
        context: of the step that reads the files.
        files: rows of table `raw_files` by day.

    Raises:
        CheckFailed: there is a change that fails the day, by the dataset's policy.
    """
    declared = {
        str(stream): [
            name for name in context.dataset.fields(stream) if name not in OWN_FIELDS[stream]
        ]
        for stream in STREAMS
    }
    known = [ds for ds in context.lake.days(RAW_FILES) if ds < context.days[0]]
    by_day = [_rows(context.lake.read(RAW_FILES, [ds])) for ds in known[-REFERENCE_DAYS:]]
    warnings = []
    for ds in context.days:
        today = [{**row, "ds": ds} for row in _rows(files[ds])]
        earlier = [row for rows in by_day[-REFERENCE_DAYS:] for row in rows]
        changes = field_changes(today, earlier, declared)
        warnings += warnings_of(changes, context.dataset.cleaning.schema_drift)
        if today:
            by_day.append(today)
    return warnings


def _rows(files: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = files.to_pylist(maps_as_pydicts="strict")
    return rows


def field_changes(
    today: Sequence[FileFields],
    earlier: Sequence[FileFields],
    declared: Mapping[str, Sequence[str]],
) -> list[FieldChange]:
    """How the fields of a day's files differ from those of the days before.

    A field is gone if every file before had it in every row, or if it is declared and some file
    before had it. Kinds differ if they have none in common; what CSV holds has no kind.

    Args:
        today: the files of one day.
        earlier: files of the days before; a stream without any has nothing to be compared with.
        declared: the fields of each stream that the dataset declares and that may be absent.
    """
    found = []
    for stream in sorted({row["stream"] for row in today}):
        files = [row for row in today if row["stream"] == stream and row["fields"]]
        before = [row for row in earlier if row["stream"] == stream and row["fields"]]
        if not files:
            continue
        found += _never_delivered(files, before, declared.get(stream, ()))
        if before:
            found += _against(files, before, declared.get(stream, ()))
    return found


def warnings_of(changes: Sequence[FieldChange], policy: SchemaDrift) -> list[tuple[str, str]]:
    """The day and one sentence for each kind of change that the policy wants to hear of.

    Raises:
        CheckFailed: there is a change that fails the day.
    """
    by_change = {c: [x for x in changes if x.change == c] for c in _CHANGES}
    failing = [x for c, xs in by_change.items() if getattr(policy, c) == "fail" for x in xs]
    if failing:
        raise CheckFailed(
            f"{failing[0].ds}: {'; '.join(map(str, failing[:_SHOWN]))} (cleaning.schema_drift."
            f"{failing[0].change} is `fail`). Nothing was written. Next: mend the raw files and "
            "run the day again, or change the policy in conf/datasets/."
        )
    return [
        (xs[0].ds, "; ".join(map(str, xs[:_SHOWN])) + _and_more(len(xs) - _SHOWN))
        for c, xs in by_change.items()
        if xs and getattr(policy, c) == "warn"
    ]


def _and_more(number: int) -> str:
    return f" and {number} more" if number > 0 else ""


def _never_delivered(
    files: Sequence[FileFields], before: Sequence[FileFields], declared: Sequence[str]
) -> list[FieldChange]:
    seen = {name for row in (*files, *before) for name in row["fields"]}
    first = files[0]
    return [
        FieldChange("never_delivered", first["ds"], first["stream"], name, first["file"])
        for name in declared
        if name not in seen
    ]


def _against(
    files: Sequence[FileFields], before: Sequence[FileFields], declared: Sequence[str]
) -> list[FieldChange]:
    found = []
    known = _kinds(before)
    # Not everybody has everything from the first day on: `available_until`, say.
    expected = {*declared, *OWN_FIELDS[files[0]["stream"]]}
    for row in files:
        about = (row["ds"], row["stream"])
        for name, kind in row["fields"].items():
            now, was = set(kind.removesuffix(SOMETIMES).split("|")), known.get(name)
            if was is None and name in expected:
                continue
            if was is None:
                found.append(FieldChange("new_field", *about, name, row["file"], now=_text(now)))
            elif not (now | was) & {UNTYPED, NULL} and not now & was:
                change = FieldChange(
                    "other_kind", *about, name, row["file"], _text(was), _text(now)
                )
                found.append(change)
        always = {
            name
            for name in known
            if name in declared
            or all(not r["fields"].get(name, SOMETIMES).endswith(SOMETIMES) for r in before)
        }
        found += [
            FieldChange("missing_field", *about, name, row["file"], was=_text(known[name]))
            for name in sorted(always - row["fields"].keys())
            if not any(name in other["fields"] for other in files)
        ]
    return found


def _kinds(files: Sequence[FileFields]) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = defaultdict(set)
    for row in files:
        for name, kind in row["fields"].items():
            kinds[name] |= set(kind.removesuffix(SOMETIMES).split("|"))
    return {name: found - {NULL} or {NULL} for name, found in kinds.items()}


def _text(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))
