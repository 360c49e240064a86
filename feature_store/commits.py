"""The commits of a table, as its log tells them.

`DeltaTable.history` cannot say this: opened at a version, it still begins with the newest commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_store.lake import Lake
from feature_store.tables import Table

_CHANGES = ("add", "remove")


@dataclass(frozen=True)
class Commit:
    """One version of a table."""

    version: int
    about: dict[str, Any]
    """What its writer said of itself: step, ds, code_version, config_hash."""

    @property
    def by(self) -> str:
        """The step, scorer left out, or whatever else wrote it."""
        return str(self.about.get("step") or self.about.get("operation", "unknown")).split(".")[0]


def commits_of_day(lake: Lake, table: Table, ds: str, version: int) -> Iterator[Commit]:
    """The commits up to `version` that changed the rows of `ds`, or meant to, newest first.

    They end where the log was cleaned up.
    """
    for number in range(version, -1, -1):
        actions = _actions(lake, table, number)
        if not actions:
            return
        about = _about(actions)
        # A day without rows, written again without rows, changes no file.
        if about.get("ds") == ds or any(_is_of_day(action, ds) for action in actions):
            yield Commit(number, about)


def commit_of(lake: Lake, table: Table, version: int) -> Commit | None:
    """The commit that made `version`; None where the log was cleaned up."""
    actions = _actions(lake, table, version)
    return Commit(version, _about(actions)) if actions else None


def _actions(lake: Lake, table: Table, version: int) -> list[dict[str, Any]]:
    path = Path(lake.uri(table), "_delta_log", f"{version:020}.json")
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []


def _about(actions: list[dict[str, Any]]) -> dict[str, Any]:
    return next((action["commitInfo"] for action in actions if "commitInfo" in action), {})


def _is_of_day(action: dict[str, Any], ds: str) -> bool:
    """Whether an action of the log adds or removes a file of `ds`: its path says so."""
    return any(f"ds={ds}" in action[name]["path"].split("/") for name in _CHANGES if name in action)
