"""What the users do on one day's slates: clicks, and the favourites and purchases after them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.sources.simulator.concept import sigmoid
from pipelines.sources.simulator.randomness import generator
from pipelines.sources.simulator.settings import DirtRates
from pipelines.sources.simulator.slates import DAY_MS, Slates, draw_sessions, draw_slates
from pipelines.sources.simulator.users import Bools, Floats, Ints
from pipelines.sources.simulator.world import World

EVENT_TYPES: tuple[str, ...] = ("impression", "click", "favourite", "purchase")
IMPRESSION, CLICK, FAVOURITE, PURCHASE = range(4)

_SECOND_MS = 1000
_MEDIAN_S_TO_CLICK, _SPREAD_TO_CLICK, _LONGEST_S_TO_CLICK = 40.0, 1.3, 1790.0
_SHARE_FAVOURITE, _LONGEST_S_TO_FAVOURITE = 0.14, 300
_SHARE_PURCHASE, _LONGEST_S_TO_PURCHASE = 0.10, 3600
_SHARE_LATE_BY_ONE_DAY = 0.7


@dataclass(frozen=True)
class Events:
    """Events that follow from one day's slates; every field is one array of the same length."""

    day: Ints
    """Ordinal of the day of the slate."""
    number: Ints
    """Unique within that day."""
    kind: Ints
    user: Ints
    item: Ints
    slate: Ints
    position: Ints
    """From 1; 0 where there is none."""
    device: Ints
    place: Ints
    quantity: Ints
    """Of a purchase; else 0."""
    happened_ms: Ints
    """Since 1970, UTC."""
    delay_days: Ints
    """Days between the event and its arrival."""
    comes_again: Bools
    """Whether its line arrives a second time, one day later."""
    has_id: Bools

    @property
    def arrives_ms(self) -> Ints:
        """When the line arrives; it lands in the folder of that day."""
        return self.happened_ms + self.delay_days * DAY_MS

    def take(self, rows: Ints | Bools) -> Events:
        """The chosen rows."""
        return Events(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def __len__(self) -> int:
        """Number of events."""
        return len(self.kind)


def concat(parts: list[Events]) -> Events:
    """All parts, one after the other."""
    names = Events.__dataclass_fields__
    return Events(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


@dataclass(frozen=True)
class DayOfUse:
    """One day of the world, as it was and not as it arrived."""

    events: Events
    probabilities: Floats
    """Of a click, per impression."""
    clicked: Bools


def live_day(world: World, ordinal: int) -> DayOfUse:
    """What happens on a day (a proleptic ordinal)."""
    settings, today = world.settings, world.today(ordinal)
    users, items = world.users(ordinal), world.items(ordinal)
    rng = generator(settings.seed, "behaviour", ordinal)
    sessions = draw_sessions(rng, settings, users, today)
    slates = draw_slates(rng, sessions, items, today.day)
    probabilities = sigmoid(world.concept.logits(slates.impressions, users, items, today))
    clicked = rng.random(len(probabilities)) < probabilities
    columns = _columns(rng, slates, np.flatnonzero(clicked))
    events = _with_arrivals(rng, columns, ordinal, settings.dirt)
    return DayOfUse(events, probabilities, clicked)


def _columns(rng: np.random.Generator, slates: Slates, clicks: Ints) -> dict[str, Ints]:
    """The events as they happened: impressions, then clicks, favourites and purchases."""
    to_click = _MEDIAN_S_TO_CLICK * rng.lognormal(0, _SPREAD_TO_CLICK, len(clicks))
    click_ms = slates.shown_ms[clicks] + _ms(np.clip(to_click, 1.0, _LONGEST_S_TO_CLICK))
    liked = np.flatnonzero(rng.random(len(clicks)) < _SHARE_FAVOURITE)
    bought = np.flatnonzero(rng.random(len(clicks)) < _SHARE_PURCHASE)
    liked_ms = click_ms[liked] + _ms(rng.uniform(2, _LONGEST_S_TO_FAVOURITE, len(liked)))
    bought_ms = click_ms[bought] + _ms(rng.uniform(20, _LONGEST_S_TO_PURCHASE, len(bought)))

    shown = slates.impressions
    everything = np.arange(len(shown.user))
    groups = (everything, clicks, clicks[liked], clicks[bought])
    source = np.concatenate(groups)
    kind = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return {
        "kind": kind,
        "user": shown.user[source],
        "item": shown.item[source],
        "slate": slates.slate[source],
        "position": np.where(kind <= CLICK, shown.position[source], 0),
        "device": shown.device[source],
        "place": shown.place[source],
        "quantity": np.where(kind == PURCHASE, 1 + rng.poisson(0.3, len(kind)), 0),
        "happened_ms": np.concatenate([slates.shown_ms, click_ms, liked_ms, bought_ms]),
    }


def _with_arrivals(
    rng: np.random.Generator, columns: dict[str, Ints], ordinal: int, dirt: DirtRates
) -> Events:
    count = len(columns["kind"])
    luck = rng.random(count)
    late = 1 + (rng.random(count) >= _SHARE_LATE_BY_ONE_DAY)
    delay = np.where(luck < dirt.late, late, 0)
    delay = np.where(luck > 1 - dirt.far_late, dirt.far_late_days, delay)
    return Events(
        **columns,
        day=np.full(count, ordinal),
        number=np.arange(count),
        delay_days=delay,
        comes_again=(rng.random(count) < dirt.redelivered) & (delay == 0),
        has_id=rng.random(count) >= dirt.missing_event_id,
    )


def _ms(seconds: Floats) -> Ints:
    return (seconds * _SECOND_MS).astype(np.int64)
