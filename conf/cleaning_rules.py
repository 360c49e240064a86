"""The cleaning rules as data: what each row of a stream must be, else why it is rejected.

A rule has a name, a reason and a severity. The standard ones come first, in a fixed order, then the
dataset's own, in the order in which they are declared, then those that look at other rows. The
first rule of severity `reject` that a row breaks is its reason. `pipelines.cleaning_rules` makes
Spark expressions of those that look at one row.
"""

from __future__ import annotations

from dataclasses import dataclass

from conf.cleaning import RuleSettings, Severity
from conf.dataset import DatasetConfig
from conf.fields import Stream


@dataclass(frozen=True)
class Given:
    """Something is there."""

    field: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.field} is there, and of its kind"


@dataclass(frozen=True)
class Readable:
    """What is there is of the field's kind."""

    fields: tuple[str, ...]

    def __str__(self) -> str:
        """For people."""
        return f"{', '.join(self.fields) or 'every field'}: of its kind, or missing"


@dataclass(frozen=True)
class OneOf:
    """The text, or each value of a list, is one of these."""

    field: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        """For people."""
        return f"{self.field} is one of {', '.join(self.values)}"


@dataclass(frozen=True)
class Between:
    """low <= number <= high."""

    field: str
    low: float
    high: float

    def __str__(self) -> str:
        """For people."""
        return f"{self.low:g} <= {self.field} <= {self.high:g}"


@dataclass(frozen=True)
class Matches:
    """The whole text matches a regular expression."""

    field: str
    pattern: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.field} matches {self.pattern}"


@dataclass(frozen=True)
class NoLonger:
    """The text has at most so many characters."""

    field: str
    characters: int

    def __str__(self) -> str:
        """For people."""
        return f"{self.field} has at most {self.characters:,} characters"


@dataclass(frozen=True)
class BeforeDayEnds:
    """The instant is at most so many minutes after the end of the arrival day."""

    field: str
    tolerance_minutes: int

    def __str__(self) -> str:
        """For people."""
        return f"{self.field} at most {self.tolerance_minutes} min after the end of its ds"


@dataclass(frozen=True)
class InTime:
    """The instant's day is at most so many days before the arrival day."""

    field: str
    days: int

    def __str__(self) -> str:
        """For people."""
        return f"{self.field} at most {self.days} days before its ds"


@dataclass(frozen=True)
class Elsewhere:
    """Judged while lines are read, or against other rows, which `pipelines` does where it can."""

    says: str

    def __str__(self) -> str:
        """For people."""
        return self.says


Test = Given | Readable | OneOf | Between | Matches | NoLonger | BeforeDayEnds | InTime | Elsewhere


@dataclass(frozen=True)
class Rule:
    """One rule of a stream: rows that do not pass `test` break it."""

    name: str
    stream: Stream
    test: Test
    severity: Severity = "reject"
    reason: str = ""
    event_types: tuple[str, ...] = ()
    """Only rows of these types can break it; none = all."""


def rules_of(dataset: DatasetConfig, stream: Stream) -> tuple[Rule, ...]:
    """Every rule of `stream`, in the order in which they are applied; those that are off too."""
    severity = dataset.cleaning.severity

    def rules(tests: list[tuple[str, Test]]) -> list[Rule]:
        return [Rule(name, stream, test, severity(name), name) for name, test in tests]

    return (
        *rules([*_reading(stream), *_of_one_row(dataset, stream)]),
        *_own(dataset, stream),
        *rules(_against_others(dataset, stream)),
    )


def _reading(stream: Stream) -> list[tuple[str, Test]]:
    tests: list[tuple[str, Test]] = [
        ("blank_line", Elsewhere("the line holds something")),
        ("invalid_utf8", Elsewhere("the line is UTF-8")),
        ("malformed", Elsewhere("the line is one JSON object, or a row of its CSV")),
    ]
    if stream != "items":
        forgotten = Elsewhere("the user did not ask to be forgotten")
        tests.append(("forgotten", forgotten))
    return tests


def _of_one_row(dataset: DatasetConfig, stream: Stream) -> list[tuple[str, Test]]:
    tolerance = dataset.cleaning.future_tolerance_minutes
    if stream == "events":
        return [
            ("missing_user_id", Given("user_id")),
            ("missing_item_id", Given("item_id")),
            ("unknown_event_type", Given("event_type")),
            ("unknown_event_type", OneOf("event_type", tuple(sorted(dataset.event_types)))),
            ("bad_timestamp", Given("event_timestamp")),
            ("future_timestamp", BeforeDayEnds("event_timestamp", tolerance)),
            ("too_late", InTime("event_timestamp", dataset.cleaning.lateness_days)),
            ("bad_value", Readable(("value", "position"))),
        ]
    key = "user_id" if stream == "profiles" else "item_id"
    kinds = dataset.fields(stream)
    times = tuple(name for name, kind in kinds.items() if kind == "instant")
    values = tuple(name for name, kind in kinds.items() if kind in ("number", "whole", "values"))
    return [
        (f"missing_{key}", Given(key)),
        ("bad_timestamp", Given("updated_at")),
        ("bad_timestamp", Readable(times)),
        ("future_timestamp", BeforeDayEnds("updated_at", tolerance)),
        ("bad_value", Readable(values)),
    ]


def _against_others(dataset: DatasetConfig, stream: Stream) -> list[tuple[str, Test]]:
    cleaning = dataset.cleaning
    if stream != "events":
        return [("superseded", Elsewhere("no later row of the same day replaces it"))]
    minutes = dataset.labels.attribution_window_minutes
    return [
        (
            "duplicate",
            Elsewhere(f"not accepted already, that day or {cleaning.lateness_days + 1} before"),
        ),
        ("bot", Elsewhere(f"its user has at most {cleaning.bot_events_per_day:,} events a day")),
        ("unknown_item", Elsewhere("items has named its item by that day")),
        ("orphan_click", Elsewhere(f"its item was shown to its user within {minutes} min")),
    ]


def _own(dataset: DatasetConfig, stream: Stream) -> list[Rule]:
    return [
        Rule(name, stream, _test(rule), rule.severity, rule.reason or name, rule.event_types)
        for name, rule in dataset.cleaning.own_rules.items()
        if rule.stream == stream
    ]


def _test(rule: RuleSettings) -> Test:
    field = rule.field or ""
    if rule.one_of is not None:
        return OneOf(field, rule.one_of)
    if rule.between is not None:
        return Between(field, *rule.between)
    if rule.matches is not None:
        return Matches(field, rule.matches)
    if rule.max_length is not None:
        return NoLonger(field, rule.max_length)
    return Given(field)
