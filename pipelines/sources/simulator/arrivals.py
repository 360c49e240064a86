"""Which events arrive on a day: its own, and the late ones of days before."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.sources.simulator.behaviour import DayOfUse, Events, concat, live_day
from pipelines.sources.simulator.slates import DAY_MS, day_start_ms
from pipelines.sources.simulator.world import World

_LONGEST_LATE_DAYS = 2
_LONGEST_FOLLOW_UP_DAYS = 1
"""A click or purchase may fall on the day after its slate."""


@dataclass(frozen=True)
class Arriving:
    """What arrives on one day, and how the day itself was."""

    clean: Events
    """On time, or late by a day or two."""
    again: Events
    """Lines that were in the file of the day before already."""
    too_late: Events
    use: DayOfUse


class Arrivals:
    """Days of a world as they arrive.

    Of a day already lived only the events that arrive later are kept; a day that was not asked
    for yet is lived again, so any day can be asked for alone.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._far = world.settings.dirt.far_late_days
        self._later: dict[int, Events] = {}

    def on(self, ordinal: int) -> Arriving:
        """What arrives on a day (a proleptic ordinal)."""
        use = self._live(ordinal)
        near = range(1, _LONGEST_LATE_DAYS + _LONGEST_FOLLOW_UP_DAYS + 1)
        far = range(self._far, self._far + _LONGEST_FOLLOW_UP_DAYS + 1)
        parts = [use.events]
        for days_ago in sorted({*near, *far}):
            earlier = ordinal - days_ago
            if earlier >= self._world.start:
                if earlier not in self._later:
                    self._live(earlier)
                parts.append(self._later[earlier])
        self._forget_before(ordinal - max(far))
        events = concat(parts)
        begin = day_start_ms(ordinal)
        arrives = events.arrives_ms
        today = (arrives >= begin) & (arrives < begin + DAY_MS)
        yesterday = (arrives >= begin - DAY_MS) & (arrives < begin)
        too_late = events.delay_days == self._far
        return Arriving(
            clean=events.take(today & ~too_late),
            again=events.take(yesterday & events.comes_again),
            too_late=events.take(today & too_late),
            use=use,
        )

    def _live(self, ordinal: int) -> DayOfUse:
        use = live_day(self._world, ordinal)
        next_day = day_start_ms(ordinal) + DAY_MS
        events = use.events
        self._later[ordinal] = events.take((events.arrives_ms >= next_day) | events.comes_again)
        return use

    def _forget_before(self, ordinal: int) -> None:
        self._later = {day: events for day, events in self._later.items() if day >= ordinal}
