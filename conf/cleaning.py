"""The cleaning of a dataset, as its YAML declares it: limits, rules, changes of fields."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from conf.fields import Kind, Stream
from conf.frozen import Frozen

REASONS = (
    "malformed",
    "invalid_utf8",
    "blank_line",
    "forgotten",
    "missing_user_id",
    "missing_item_id",
    "unknown_event_type",
    "bad_timestamp",
    "future_timestamp",
    "too_late",
    "bad_value",
    "duplicate",
    "superseded",
    "bot",
    "unknown_item",
    "orphan_click",
)

"""Why the standard rules reject a row, in the order in which they are applied; also their names."""
OPTIONAL_RULES = frozenset({"bot", "unknown_item", "orphan_click"})
"""Standard rules that a dataset may switch off, or have warn; what breaks another is of no use."""
_OFF_UNLESS_DECLARED = frozenset({"unknown_item", "orphan_click"})
_REASONS_FOR_OWN_RULES = frozenset({"malformed", "bad_value"})
"""Standard reasons that a dataset's own rule may give; the others say more than it can know."""
_OUTCOMES = frozenset({"read", "clean"})
"""What else is counted of a day's rows."""

MAX_LATENESS_DAYS = 30
"""No declaration takes an event in that arrives later than this after its day."""

Severity = Literal["reject", "warn", "off"]
"""What follows when a row breaks a rule: it is quarantined; it is kept, and said; nothing."""

_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
_PYTHON_ONLY = re.compile(r"\(\?[P(]")
_JAVA_CLASS = re.compile(r"\\[pP]\{\w+\}")
"""A class of characters that Python's expressions do not know."""


class RuleSettings(Frozen):
    """One rule by its name: a standard one with its severity and limits, or one of the dataset.

    The dataset's own names a `stream`, a `field` and what is required of it: one of `required`,
    `one_of`, `between`, `matches` and `max_length`. All but `required` pass where nothing is there.
    """

    severity: Severity = "reject"
    warn_above: _Share | None = None
    """A larger share of the day's rows of a stream is said in the step's summary; 0 = any. A rule
    of severity `warn` says every one without it."""
    fail_above: _Share | None = None
    """A larger share fails the day before anything is written."""
    reason: str | None = None
    """What the quarantine and the counts call it; none = the rule's name."""
    stream: Stream | None = None
    field: str | None = None
    """A field of the contract, an attribute or a context field."""
    event_types: tuple[str, ...] = ()
    """Events of these types only; none = of every type."""
    required: Literal[True] | None = None
    one_of: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The text is one of these; of a list, each value is."""
    between: tuple[float, float] | None = None
    """The number lies between these two, which are included."""
    matches: Annotated[str, Field(min_length=1)] | None = None
    """A regular expression that the whole text matches, as Java and Python both read it."""
    max_length: PositiveInt | None = None
    """Most characters of the text."""

    @field_validator("severity", mode="before")
    @classmethod
    def _off_is_a_word(cls, given: object) -> object:
        """In YAML a bare `off` is false."""
        return "off" if given is False else given

    @property
    def tests(self) -> dict[str, object]:
        """What is required of the field, by key."""
        keys = ("required", "one_of", "between", "matches", "max_length")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Self:
        warn, fail = self.warn_above, self.fail_above
        if warn is not None and fail is not None and warn > fail:
            raise ValueError(f"warn_above ({warn}) must not be above fail_above ({fail})")
        if self.between and not self.between[0] <= self.between[1]:
            raise ValueError(f"between: {list(self.between)} holds nothing, the lower bound first")
        return self

    @model_validator(mode="after")
    def _pattern_can_be_read(self) -> Self:
        if self.matches is None:
            return self
        try:
            with warnings.catch_warnings():
                # What Python may come to read as an operation on sets, Java does read as one.
                warnings.simplefilter("error", FutureWarning)
                re.compile(_JAVA_CLASS.sub(".", self.matches))
        except re.error as error:
            raise ValueError(f"matches: {self.matches!r} is no pattern: {error}") from error
        except FutureWarning as warning:
            raise ValueError(
                f"matches: {self.matches!r} means one thing to Java and another to Python "
                f"({str(warning).lower()}): escape the second character with a backslash"
            ) from warning
        if _PYTHON_ONLY.search(self.matches):
            raise ValueError(f"matches: {self.matches!r}: (?P and (?( are not known to Spark")
        return self


Response = Literal["ignore", "warn", "fail"]


class SchemaDrift(Frozen):
    """What follows when fields of the raw files change: `ignore`, `warn` or `fail` the day."""

    new_field: Response = "warn"
    """A field that nobody declared and no file of the days before had."""
    missing_field: Response = "warn"
    """A field that every row before had, or a declared one that some had, is in no file."""
    other_kind: Response = "warn"
    """A field has none of the kinds that it had: a number became text."""
    never_delivered: Response = "warn"
    """A declared attribute or context field that no file has had so far."""


class Cleaning(Frozen):
    """Limits of the cleaning rules, and the dataset's own rules."""

    lateness_days: Annotated[int, Field(ge=0, le=MAX_LATENESS_DAYS)] = 2
    """An event may arrive this many days after the day it happened on; later ones are rejected."""
    future_tolerance_minutes: Annotated[int, Field(ge=0)] = 10
    """An event may lie this far after the end of its arrival day (clocks differ)."""
    bot_events_per_day: PositiveInt = 2000
    """A user with more events than this on an arrival day is a bot: all its events are rejected."""
    schema_drift: SchemaDrift = SchemaDrift()
    rules: dict[str, RuleSettings] = Field(default_factory=dict)
    """By name. A standard rule that is not named rejects without limit; `unknown_item` (an event of
    an item that the catalogue does not hold) and `orphan_click` (a click without an impression of
    its item to its user within the attribution window) are off unless they are named."""

    @property
    def own_rules(self) -> dict[str, RuleSettings]:
        """The rules that are the dataset's own, in the order in which they are applied."""
        return {name: rule for name, rule in self.rules.items() if name not in REASONS}

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason for which a row may be rejected."""
        own = (r.reason or name for name, r in self.own_rules.items() if r.severity == "reject")
        return tuple(dict.fromkeys([*REASONS, *own]))

    def severity(self, name: str) -> Severity:
        """What follows when a row breaks the rule `name`."""
        if name not in self.rules:
            return "off" if name in _OFF_UNLESS_DECLARED else "reject"
        return self.rules[name].severity

    @model_validator(mode="after")
    def _rules_are_whole(self) -> Self:
        for name, rule in self.rules.items():
            problems = _of_standard(name, rule) if name in REASONS else _of_own(name, rule)
            for problem in problems:
                raise ValueError(f"rules.{name}: {problem}")
        limited: dict[str, str] = {}
        for name, rule in self.rules.items():
            unlimited = rule.warn_above is None and rule.fail_above is None
            if rule.severity != "reject" or unlimited:
                continue
            reason = rule.reason or name
            if reason in limited:
                raise ValueError(
                    f"rules.{name}: limits hold for all rows of a reason, and "
                    f"rules.{limited[reason]} has those of {reason!r} already"
                )
            limited[reason] = name
        return self


def _of_standard(name: str, rule: RuleSettings) -> Iterator[str]:
    declared = [key for key in ("reason", "stream", "field") if getattr(rule, key) is not None]
    declared += [*rule.tests, *(["event_types"] if rule.event_types else [])]
    if declared:
        yield f"is a standard rule, {declared} cannot be declared of it; choose another name"
    if rule.severity != "reject" and name not in OPTIONAL_RULES:
        yield (
            f"cannot be {rule.severity}, its rows cannot be used; only {sorted(OPTIONAL_RULES)} can"
        )


def _of_own(name: str, rule: RuleSettings) -> Iterator[str]:
    missing = [key for key in ("stream", "field") if getattr(rule, key) is None]
    if len(missing) == len(("stream", "field")) and not rule.tests:
        near = get_close_matches(name, REASONS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(REASONS)}"
        yield f"no standard rule, {hint}; one of your own needs `stream`, `field` and a test"
    elif missing:
        yield f"a rule of your own needs {' and '.join(f'`{key}`' for key in missing)} too"
    elif len(rule.tests) != 1:
        found = " and ".join(rule.tests) or "no test"
        yield (
            f"has {found}, expected exactly one of required, one_of, between, matches, max_length; "
            "two tests are two rules"
        )
    reason = rule.reason or name
    for text in (name, reason):
        if not _NAME.match(text) or text in _OUTCOMES:
            yield f"{text!r} cannot be a name here: expected a-z, 0-9 and _, not read or clean"
    if reason in set(REASONS) - _REASONS_FOR_OWN_RULES:
        yield f"reason {reason!r} is a standard rule's; expected a word of your own, or bad_value"
    if rule.event_types and rule.stream != "events":
        yield "event_types are those of events; this rule is of another stream"


def rule_conflicts(
    cleaning: Cleaning,
    *,
    fields: Mapping[Stream, Mapping[str, Kind]],
    unread: Collection[str],
    event_types: Collection[str],
) -> Iterator[str]:
    """What the dataset's own rules ask of fields that cannot answer, one sentence each.

    Args:
        cleaning: the declaration.
        fields: by stream, every field and what it means.
        unread: personal fields, of which cleaning sees nothing.
        event_types: those that the dataset knows.
    """
    for name, rule in cleaning.own_rules.items():
        if rule.stream is None or rule.field is None:
            continue
        known = {field: kind for field, kind in fields[rule.stream].items() if field not in unread}
        (test,) = rule.tests
        if rule.field not in known:
            yield (
                f"cleaning.rules.{name}.field: {rule.field!r} is no field of {rule.stream} that "
                f"cleaning reads, expected one of {sorted(known)}"
            )
        elif known[rule.field] not in _KINDS_FOR[test]:
            yield (
                f"cleaning.rules.{name}.{test}: {rule.field} is of kind {known[rule.field]}, "
                f"expected {' or '.join(_KINDS_FOR[test])}"
            )
        if wrong := sorted(set(rule.event_types) - set(event_types)):
            yield (
                f"cleaning.rules.{name}.event_types: {wrong} are not declared, expected some of "
                f"{sorted(event_types)}"
            )


_KINDS_FOR: dict[str, tuple[Kind, ...]] = {
    "required": ("id", "text", "instant", "number", "whole", "values"),
    "one_of": ("id", "text", "values"),
    "between": ("number", "whole"),
    "matches": ("id", "text"),
    "max_length": ("id", "text"),
}
"""The kinds of field that each test can be asked of."""
