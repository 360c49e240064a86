"""Simulates days into a raw zone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from feature_store.days import check_range, days_between
from pipelines.sources.raw_zone import begin_day, write_day
from pipelines.sources.simulator.arrivals import Arrivals
from pipelines.sources.simulator.behaviour import EVENT_TYPES, Events
from pipelines.sources.simulator.dirt import dirty_lines
from pipelines.sources.simulator.lines import event_lines, item_lines, profile_lines
from pipelines.sources.simulator.settings import SimulationSettings
from pipelines.sources.simulator.slates import DAY_MS, day_start_ms
from pipelines.sources.simulator.truth import (
    DayTruth,
    claim_raw_zone,
    measure,
    ordered,
    write_overview,
    write_truth,
)
from pipelines.sources.simulator.world import World


@dataclass(frozen=True)
class SimulationSummary:
    """What one call wrote."""

    days: int
    events: int
    """Lines, dirty ones included."""
    profiles: int
    items: int
    dirt: dict[str, int]
    """Dirty lines by kind."""
    impressions: int
    """Shown on these days, without the bot's."""
    clicks: int
    expected_ctr: float
    """Mean of the true click probabilities."""
    oracle_auc: float | None
    """Of the true click probabilities, mean over the days; None without clicks."""

    def __str__(self) -> str:
        """One line for the terminal."""
        rate = self.clicks / self.impressions if self.impressions else 0.0
        return (
            f"{self.days} days: {self.events:,} event lines ({sum(self.dirt.values()):,} dirty), "
            f"{self.profiles:,} profiles, {self.items:,} items; {self.impressions:,} impressions, "
            f"CTR {rate:.3f}, AUC of the truth {self.oracle_auc}"
        )


def simulate(raw: Path, first: str, last: str, settings: SimulationSettings) -> SimulationSummary:
    """What was written: the days `first` to `last`, with their truth in `<raw>/_truth/`.

    A day depends on `settings` and its date alone: simulated one by one, again, or in a range it
    has the same bytes.

    Args:
        raw: root of the raw zone.
        first: first day (UTC), YYYY-MM-DD; the world's first, unless the settings or an earlier
            simulation into `raw` say otherwise.
        last: last day.
        settings: the world.

    Raises:
        ConfigError: the range is wrong, begins before the world, or `raw` holds another world.
    """
    check_range(first, last)
    days = list(days_between(first, last))
    start = claim_raw_zone(raw, settings, first)
    world = World(settings, start)
    arrivals = Arrivals(world)
    truths = [_write(raw, ds, world, arrivals) for ds in days]
    write_overview(raw, settings)
    dirt: Counter[str] = Counter()
    for truth in truths:
        dirt.update(truth.dirt)
    aucs = [truth.oracle_auc for truth in truths if truth.oracle_auc is not None]
    return SimulationSummary(
        days=len(days),
        events=sum(truth.lines for truth in truths),
        profiles=sum(truth.profiles for truth in truths),
        items=sum(truth.items for truth in truths),
        dirt=ordered(dirt),
        impressions=sum(truth.impressions for truth in truths),
        clicks=sum(truth.clicks for truth in truths),
        expected_ctr=_mean_ctr(truths),
        oracle_auc=round(sum(aucs) / len(aucs), 6) if aucs else None,
    )


def _write(raw: Path, ds: str, world: World, arrivals: Arrivals) -> DayTruth:
    """Writes one day whole; the truth comes before the events, whose `_SUCCESS` is last."""
    ordinal = date.fromisoformat(ds).toordinal()
    today, items, settings = world.today(ordinal), world.items(ordinal), world.settings
    arriving = arrivals.on(ordinal)
    clean, again, too_late = arriving.clean, arriving.again, arriving.too_late
    lines = event_lines(clean)
    on_sale = items.on_sale(today.day)
    dirt = dirty_lines(settings, ordinal, clean, lines, on_sale)
    everything = [*lines, *event_lines(again), *event_lines(too_late), *dirt.lines]
    arrives_ms = np.concatenate(
        [
            clean.arrives_ms,
            again.arrives_ms + DAY_MS,
            too_late.arrives_ms,
            np.array(dirt.arrives_ms, np.int64),
        ]
    )
    order = np.argsort(arrives_ms, kind="stable").tolist()
    begin_day(raw, ds)
    truth = DayTruth(
        ds=ds,
        lines=len(everything),
        clean=_by_type(clean),
        late=int((clean.happened_ms < day_start_ms(ordinal)).sum()),
        dirt=ordered(dirt.counts + Counter({"redelivered": len(again), "far_late": len(too_late)})),
        profiles=write_day(raw, "profiles", ds, profile_lines(world.users(ordinal), today)),
        items=write_day(raw, "items", ds, item_lines(items, today)),
        **measure(arriving.use),
    )
    write_truth(raw, truth)
    write_day(raw, "events", ds, (everything[row] for row in order))
    return truth


def _mean_ctr(truths: list[DayTruth]) -> float:
    shown = sum(truth.impressions for truth in truths)
    expected = sum(truth.expected_ctr * truth.impressions for truth in truths)
    return round(expected / shown, 6) if shown else 0.0


def _by_type(events: Events) -> dict[str, int]:
    counts = np.bincount(events.kind, minlength=len(EVENT_TYPES)).tolist()
    return dict(zip(EVENT_TYPES, counts, strict=True))
