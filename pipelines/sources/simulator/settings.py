"""What can be set in a simulation."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from conf.frozen import Frozen

Rate = Annotated[float, Field(ge=0, le=0.2)]


class PlantedDrift(Frozen):
    """One change of the world, from `day` on for good."""

    day: date
    kind: Literal["ctr", "taste", "covariate"]
    """`ctr`: every click logit shifts by `size`. `taste`: what users like about categories moves
    to other categories, by the part `size` (a concept change). `covariate`: younger users, big
    cities and phones gain weight by `size` (the concept stays)."""
    size: float

    @model_validator(mode="after")
    def _size_fits_the_kind(self) -> Self:
        if self.kind == "taste" and not 0 < self.size <= 1:
            raise ValueError(f"size: a taste drift moves a part in (0, 1], found {self.size}")
        if self.kind == "covariate" and self.size <= 0:
            raise ValueError(f"size: a covariate drift needs a size above 0, found {self.size}")
        return self


class DirtRates(Frozen):
    """How much of what is wrong in real logs is in these. Rates are per clean event of a day."""

    duplicate: Rate = 0.003
    """Exact copies of a line on the same day."""
    redelivered: Rate = 0.001
    """Exact copies of a line one arrival day later."""
    malformed: Rate = 0.001
    """Lines that are not one JSON object in UTF-8; five kinds in equal parts."""
    missing_user_id: Rate = 0.0008
    missing_item_id: Rate = 0.0005
    unknown_event_type: Rate = 0.0005
    bad_timestamp: Rate = 0.0005
    future_timestamp: Rate = 0.0005
    late: Rate = 0.01
    """Events that arrive one or two days after they happened."""
    far_late: Rate = 0.0005
    """Events that arrive `far_late_days` after they happened."""
    far_late_days: Annotated[int, Field(ge=3, le=60)] = 6
    bot_day: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Part of the days on which the bot is at work."""
    bot_events: Annotated[int, Field(ge=0)] = 3000
    """Lines that the bot leaves on such a day; keep them above the dataset's bot limit."""
    missing_event_id: Rate = 0.02
    """Events without an event_id; they are clean all the same."""


class SimulationSettings(Frozen):
    """One world. Equal settings give equal bytes."""

    users: PositiveInt = 2000
    """Users on the first day; `new_users_per_day` join."""
    items: Annotated[int, Field(ge=20)] = 600
    """Items on the first day; `new_items_per_day` join."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 7
    world_start: date | None = None
    """First day of the world; none = the first day simulated into a raw zone."""
    sessions_per_user_day: PositiveFloat = 0.55
    """Mean over users and weekdays. A session has 1.55 slates of 8 to 10 impressions."""
    new_users_per_day: Annotated[float, Field(ge=0)] = 6.0
    new_items_per_day: Annotated[float, Field(ge=0)] = 2.0
    ctr: Annotated[float, Field(gt=0, lt=0.9)] = 0.15
    """Clicks per impression that the world is balanced to, before any drift."""
    missing_profile_field: Rate = 0.03
    """Part of the users whose city, and of those whose gender, is not known."""
    dirt: DirtRates = DirtRates()
    drift: tuple[PlantedDrift, ...] = ()
