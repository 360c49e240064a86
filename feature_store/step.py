"""What a step is: the verb's declaration and the context in which it runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from conf.dataset import DatasetConfig
from conf.settings import Settings
from feature_store.tables import Table

if TYPE_CHECKING:
    from feature_store.lake import Lake

EXAMPLES = "; for example "
"""What stands between a warning and the rows that it shows."""

Engine = Literal["spark", "torch", "python"]


@dataclass(frozen=True)
class Step:
    """One step of the day: what it reads and writes, and where its code is.

    `entry` is `package.module:function`; it is resolved when the step runs, so that a DAG can
    list steps without loading an engine. A `mapped` step runs once per enabled scorer.
    """

    name: str
    reads: tuple[Table, ...]
    writes: tuple[Table, ...]
    engine: Engine
    entry: str
    doc: str
    mapped: bool = False
    reads_raw: bool = False
    before: tuple[Table, ...] = ()
    """Tables of which only earlier days are read."""
    recorded: str = ""
    """As `entry`: what runs once the step has ended and its cost is recorded; empty = nothing."""


@dataclass(frozen=True)
class StepContext:
    """What a step is given; `days` is one day, or consecutive days of history in bulk."""

    days: tuple[str, ...]
    lake: Lake
    dataset: DatasetConfig
    settings: Settings
    scorer: str | None = None

    @property
    def ds(self) -> str:
        """The day (the last one of a bulk build)."""
        return self.days[-1]


@dataclass(frozen=True)
class StepResult:
    """What a step says when it is done: one line for people, facts for the DAG."""

    summary: str
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()
    """(day, what somebody should look at): kept, and shown under `dayfold status`."""

    @property
    def said(self) -> str:
        """The summary with the warnings."""
        return self.summary + "".join(f"; WARNING {ds}: {text}" for ds, text in self.warnings)


def resolve(entry: str) -> Callable[[StepContext], StepResult]:
    """The function that `entry` names."""
    module, function = entry.split(":")
    resolved: Callable[[StepContext], StepResult] = getattr(
        importlib.import_module(module), function
    )
    return resolved
