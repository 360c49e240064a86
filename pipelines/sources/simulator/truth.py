"""What was true of a day: counts of what its file holds, and how well the best model could do."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TypedDict

import numpy as np

from conf.errors import ConfigError
from pipelines.sources.raw_zone import write_file
from pipelines.sources.simulator.behaviour import DayOfUse
from pipelines.sources.simulator.settings import SimulationSettings
from pipelines.sources.simulator.users import Bools, Floats

FOLDER = "_truth"
_SETTINGS = "settings.json"


@dataclass(frozen=True)
class DayTruth:
    """One day. Counts are of the day's file; the oracle is of the slates shown on the day."""

    ds: str
    lines: int
    """Lines of events: the sum of `clean` and `dirt`."""
    clean: dict[str, int]
    """Lines that a perfect cleaning keeps, by event type."""
    late: int
    """Of the clean lines: those that happened on an earlier day."""
    dirt: dict[str, int]
    """Lines that a perfect cleaning rejects or drops, by reason."""
    profiles: int
    items: int
    impressions: int
    """Shown on the day, whenever their lines arrive; without the bot's."""
    clicks: int
    expected_ctr: float
    """Mean click probability."""
    oracle_auc: float | None
    """AUC of the true probabilities; None without clicks."""
    oracle_log_loss: float | None


class Measured(TypedDict):
    """What can be said of the slates shown on a day."""

    impressions: int
    clicks: int
    expected_ctr: float
    oracle_auc: float | None
    oracle_log_loss: float | None


def measure(use: DayOfUse) -> Measured:
    """How well the true probabilities predict the clicks of a day."""
    shown, clicked = use.probabilities, use.clicked
    likelihood = np.where(clicked, np.log(shown), np.log1p(-shown))
    return {
        "impressions": len(shown),
        "clicks": int(clicked.sum()),
        "expected_ctr": _rounded(shown.mean()) if len(shown) else 0.0,
        "oracle_auc": _auc(shown, clicked),
        "oracle_log_loss": _rounded(-likelihood.mean()) if len(shown) else None,
    }


def _auc(scores: Floats, clicked: Bools) -> float | None:
    positives = int(clicked.sum())
    negatives = len(clicked) - positives
    if not positives or not negatives:
        return None
    # A user who sees an item twice in one place gives equal scores; these share their mean rank.
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(sizes) - (sizes - 1) / 2
    wins = mean_rank[group[clicked]].sum() - positives * (positives + 1) / 2
    return _rounded(wins / (positives * negatives))


def _rounded(value: np.floating | float) -> float:
    return round(float(value), 6)


def write_truth(raw: Path, truth: DayTruth) -> None:
    """Writes one day's truth."""
    _write(raw / FOLDER / f"ds={truth.ds}.json", asdict(truth))


def write_overview(raw: Path, settings: SimulationSettings) -> None:
    """Writes drift.json: the planted drifts, and the truth of every day so far."""
    days = [json.loads(path.read_text("utf-8")) for path in sorted(_day_files(raw))]
    planted = [drift.model_dump(mode="json") for drift in settings.drift]
    _write(raw / FOLDER / "drift.json", {"planted": planted, "days": {d["ds"]: d for d in days}})


def world_of(raw: Path) -> SimulationSettings | None:
    """The settings of the world that this raw zone holds; None if no simulation wrote it."""
    path = raw / FOLDER / _SETTINGS
    if not path.exists():
        return None
    return SimulationSettings.model_validate_json(path.read_text("utf-8"))


def claim_raw_zone(raw: Path, settings: SimulationSettings, first: str) -> date:
    """The world's first day; the raw zone remembers which world it holds.

    Drifts may be added for days that are not written yet; anything else would make later days
    contradict earlier ones.

    Raises:
        ConfigError: the raw zone holds another world, or days that no simulation wrote.
    """
    path = raw / FOLDER / _SETTINGS
    start = settings.world_start
    if before := world_of(raw):
        start = start or before.world_start
        written = max((_day_of(day) for day in _day_files(raw)), default="")
        if _comparable(before, written, start) != _comparable(settings, written, start):
            raise ConfigError(
                f"{path}: expected the settings with which this raw zone was begun, found others "
                f"({_differences(before, settings)}). "
                "Simulate into another folder (--raw DIR), or delete this one first."
            )
    elif others := sorted((raw / "events").glob("ds=*")):
        raise ConfigError(
            f"{raw} holds days that no simulation wrote (the first is {others[0].name}), and a "
            "simulated day replaces what is there. Simulate into another folder (--raw DIR)."
        )
    start = start or date.fromisoformat(first)
    if first < start.isoformat():
        raise ConfigError(
            f"--from: expected a day on or after the world's first, {start}, found {first}. "
            f"Begin later (--from {start}), or simulate into another folder (--raw DIR)."
        )
    claimed = settings.model_copy(update={"world_start": start})
    _write(path, claimed.model_dump(mode="json"))
    return start


def _comparable(settings: SimulationSettings, written: str, start: date | None) -> object:
    begun = tuple(drift for drift in settings.drift if drift.day.isoformat() <= written)
    return settings.model_copy(update={"drift": begun, "world_start": start})


def _differences(before: SimulationSettings, now: SimulationSettings) -> str:
    pairs = ((n, getattr(before, n), getattr(now, n)) for n in SimulationSettings.model_fields)
    return ", ".join(
        f"{name}: {old!r} before, {new!r} now" for name, old, new in pairs if old != new
    )


def _day_files(raw: Path) -> list[Path]:
    return list((raw / FOLDER).glob("ds=*.json"))


def _day_of(path: Path) -> str:
    return path.stem.removeprefix("ds=")


def _write(path: Path, content: dict[str, object]) -> None:
    write_file(path, (json.dumps(content, indent=2) + "\n").encode())


def ordered(counts: Counter[str]) -> dict[str, int]:
    """Counts in alphabetical order, so that equal counts give equal bytes."""
    return dict(sorted(counts.items()))
