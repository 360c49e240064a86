"""One world: its users, items and concept, as they are on a day."""

from __future__ import annotations

from datetime import date

from pipelines.sources.simulator.concept import Concept
from pipelines.sources.simulator.drift import Today, drifts_until
from pipelines.sources.simulator.items import Items, items_born_by, make_items
from pipelines.sources.simulator.settings import SimulationSettings
from pipelines.sources.simulator.users import Users, make_users, users_born_by


class World:
    """What `settings` describe, from `start` on."""

    def __init__(self, settings: SimulationSettings, start: date) -> None:
        self.settings = settings
        self.start = start.toordinal()
        self.concept = Concept(settings)
        self._all_users = make_users(settings, settings.users)
        self._all_items = make_items(settings, settings.items)

    def today(self, ordinal: int) -> Today:
        """The state of a day (a proleptic ordinal)."""
        drifts = drifts_until(self.settings.seed, self.settings.drift, ordinal)
        return Today(ordinal, ordinal - self.start, drifts)

    def users(self, ordinal: int) -> Users:
        """The users born by a day."""
        count = users_born_by(self.settings, ordinal - self.start)
        if count > len(self._all_users.age):
            # Twice as many as needed, so that a long range does not rebuild them every day.
            self._all_users = make_users(self.settings, 2 * count)
        return self._all_users.first(count)

    def items(self, ordinal: int) -> Items:
        """The items that were ever on sale by a day; their numbers never change."""
        count = items_born_by(self.settings, ordinal - self.start)
        if count > len(self._all_items.category):
            self._all_items = make_items(self.settings, 2 * count)
        return self._all_items
