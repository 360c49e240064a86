"""The cleaning rules of a dataset: limits, which are on, how many rows each may reject."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

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
"""Why a row may be rejected, in the order in which the rules are applied."""
OPTIONAL_REASONS = frozenset({"bot", "unknown_item", "orphan_click"})
"""Rules that a dataset may switch on or off; rows that break another rule cannot be used."""
_OFF_UNLESS_DECLARED = frozenset({"unknown_item", "orphan_click"})

MAX_LATENESS_DAYS = 30
"""No declaration takes an event in that arrives later than this after its day."""

_Share = Annotated[float, Field(gt=0.0, le=1.0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RuleSettings(_Frozen):
    """One rule: whether it is on, and the share of a stream's rows that it may reject."""

    severity: Literal["reject", "off"] = "reject"
    warn_above: _Share | None = None
    """A larger share of the day's rows is said in the step's summary."""
    fail_above: _Share | None = None
    """A larger share fails the day before anything is written."""

    @model_validator(mode="after")
    def _warning_comes_first(self) -> Self:
        if self.warn_above and self.fail_above and self.warn_above > self.fail_above:
            raise ValueError(
                f"warn_above ({self.warn_above}) must not be above fail_above ({self.fail_above})"
            )
        return self


Response = Literal["ignore", "warn", "fail"]


class SchemaDrift(_Frozen):
    """What follows when fields of the raw files change: `ignore`, `warn` or `fail` the day."""

    new_field: Response = "warn"
    """A field that nobody declared and no file of the days before had."""
    missing_field: Response = "warn"
    """A field that every row before had, or a declared one that some had, is in no file."""
    other_kind: Response = "warn"
    """A field has none of the kinds that it had: a number became text."""
    never_delivered: Response = "warn"
    """A declared attribute or context field that no file has had so far."""


class Cleaning(_Frozen):
    """Limits of the cleaning rules."""

    lateness_days: Annotated[int, Field(ge=0, le=MAX_LATENESS_DAYS)] = 2
    """An event may arrive this many days after the day it happened on; later ones are rejected."""
    future_tolerance_minutes: Annotated[int, Field(ge=0)] = 10
    """An event may lie this far after the end of its arrival day (clocks differ)."""
    bot_events_per_day: PositiveInt = 2000
    """A user with more events than this on an arrival day is a bot: all its events are rejected."""
    schema_drift: SchemaDrift = SchemaDrift()
    rules: dict[str, RuleSettings] = {}
    """By reason. What is not named rejects without limit; `unknown_item` (an event of an item that
    the catalogue does not hold) and `orphan_click` (a click without an impression of its item to
    its user within the attribution window) are off unless they are named."""

    @model_validator(mode="after")
    def _rules_are_known_and_only_optional_ones_are_off(self) -> Self:
        for reason, rule in self.rules.items():
            if reason not in REASONS:
                raise ValueError(f"rules.{reason}: no such reason, expected one of {REASONS}")
            if rule.severity == "off" and reason not in OPTIONAL_REASONS:
                raise ValueError(
                    f"rules.{reason}: cannot be off, its rows cannot be used; "
                    f"only {sorted(OPTIONAL_REASONS)} can"
                )
        return self

    def rejects(self, reason: str) -> bool:
        """Whether the rule of `reason` is on."""
        if reason not in self.rules:
            return reason not in _OFF_UNLESS_DECLARED
        return self.rules[reason].severity == "reject"
