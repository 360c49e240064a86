"""The cleaning rules of a dataset as a list for people and programs."""

from __future__ import annotations

import json
from typing import Any

from rich.markup import escape
from rich.table import Table as RichTable

from conf.cleaning import RuleSettings
from conf.cleaning_rules import Rule, rules_of
from conf.dataset import DatasetConfig
from conf.fields import STREAMS

_LIMITS = ("warn_above", "fail_above")

NEXT = (
    "A row is quarantined for the first rule of severity `reject` that it breaks. Severities, "
    "limits and rules of your own: key `cleaning.rules` of the dataset's YAML (docs/raw-zone.md)."
)


def listed_rules(dataset: DatasetConfig) -> list[dict[str, Any]]:
    """One mapping per rule and stream, in the order in which they are applied."""
    return [
        _listed(rule, dataset.cleaning.rules.get(rule.name, RuleSettings()))
        for stream in STREAMS
        for rule in rules_of(dataset, stream)
    ]


def rule_table(dataset: DatasetConfig) -> RichTable:
    """The rules as a table."""
    table = RichTable(title=f"Cleaning rules of {dataset.name}", title_justify="left")
    for heading in ("stream", "rule", "severity", "a row is clean if", "limits"):
        table.add_column(heading, overflow="fold")
    for row in listed_rules(dataset):
        table.add_row(
            row["stream"],
            escape(row["rule"] + (f" ({row['reason']})" if row["reason"] != row["rule"] else "")),
            row["severity"],
            escape(row["requires"]),
            "\n".join(f"{key} {row[key]:.4g}" for key in _LIMITS if row[key] is not None),
        )
    return table


def as_json(dataset: DatasetConfig) -> str:
    """The rules for programs."""
    return json.dumps({"dataset": dataset.name, "rules": listed_rules(dataset)})


def _listed(rule: Rule, settings: RuleSettings) -> dict[str, Any]:
    only = f" ({', '.join(rule.event_types)} only)" if rule.event_types else ""
    return {
        "stream": rule.stream,
        "rule": rule.name,
        "reason": rule.reason,
        "severity": rule.severity,
        "requires": f"{rule.test}{only}",
        "warn_above": settings.warn_above,
        "fail_above": settings.fail_above,
    }
