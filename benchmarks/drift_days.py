"""Simulated days for `dayfold bench drift`: quiet ones of many kinds, and changes.

A day's rows have true log-odds that are normal; their mean, their spread and the click rate differ
a little from day to day, as the log-odds of real days do. What serves says those log-odds, so a
quiet day is one on which only these small differences are at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from feature_store.days import shift
from training.drift.day_counts import DayCounts
from training.drift.score_map import CENTRES, carry, quantile_map
from training.measures.sketch import BINS, bin_edges, bin_of
from training.scoring.metrics import sigmoid

Floats = npt.NDArray[np.float64]
MONDAY = "2024-01-01"
MEAN, SPREAD = -2.4, 1.0
SCORE_SHIFT, SPREAD_SHIFT, RATE_SHIFT = 0.03, 0.015, 0.04
"""Standard deviations of what differs between days, in logits (the second: of the spread's log)."""
SATURDAY, SUNDAY = 5, 6
WEEKEND_SCORE, WEEKEND_RATE = 0.25, 0.1
"""By how much weekends differ, of the worlds with a weekly rhythm."""
CORRELATED = 0.6
"""Of the worlds where a day is like the day before: the correlation of their differences."""
USER_ROWS, USER_EFFECT = 10, 0.5
"""Of the worlds of users: rows per user (geometric), and how users differ, in logits."""
SMALL, LARGE = 1_000, 1_000_000
MODEL_BIAS, MODEL_SPREAD = 0.02, 0.03
"""Standard deviations of what models differ by, in logits (the second: of the spread's log)."""
MODEL_ERROR = 0.3
"""Standard deviation of a model's error, in logits."""


@dataclass(frozen=True)
class Change:
    """What is otherwise on a day."""

    score: float = 0.0
    """Added to the true log-odds and to the scores: other rows come, and are known."""
    rate: float = 0.0
    """Added to the true log-odds alone."""
    slope: float = 0.0
    """The true log-odds are spread by 1 + this; the scores are not."""


Rows = Callable[[int, np.random.Generator], int]


@dataclass(frozen=True)
class World:
    """How quiet days differ."""

    name: str
    rows: Rows
    weekly: bool = False
    correlated: bool = False
    users: bool = False
    promoted_every: int = 0
    """Days after which another model serves; 0 = never."""
    biased: float = 1.0
    """How many times as much models differ as usual."""
    bias: float = 0.0
    """Added to what every model says."""
    error: Callable[[np.random.Generator], float] = lambda _: MODEL_ERROR
    """Of each model, where they differ in how well they rank."""
    score: float = 0.0
    """Added to the true log-odds and the scores of all days."""
    sunday: float = 0.0
    """Added to the true log-odds of Sundays alone."""
    heavy: bool = False
    """Whether the days' differences are Student's t of three degrees, not normal."""


def steady(rows: int) -> Rows:
    """About so many rows a day."""
    return lambda _, random: max(int(rows * np.exp(random.normal(0, 0.1))), 1)


def jumping(usual: int, other: int, every: int = 15) -> Rows:
    """`usual` rows a day, and on every so many days `other`."""
    return lambda number, _: other if number % every == every - 1 else usual


def _uneven(random: np.random.Generator) -> float:
    """Models whose AUC differs by .009 (standard deviation), evenly."""
    return float(np.sqrt(random.uniform(0.0, 4 * MODEL_ERROR**2)))


def _skewed(random: np.random.Generator) -> float:
    return MODEL_ERROR * float(np.exp(random.normal(0, 0.5)))


WORLDS = (
    *(
        World(f"stable_{name}", steady(rows))
        for name, rows in (("1k", 1_000), ("30k", 30_000), ("1m", LARGE))
    ),
    *(
        World(f"weekend_{name}", steady(rows), weekly=True)
        for name, rows in (("1k", 1_000), ("30k", 30_000), ("1m", LARGE))
    ),
    World("jumps_up", jumping(SMALL, LARGE)),
    World("jumps_down", jumping(LARGE, SMALL)),
    World("correlated", steady(30_000), correlated=True),
    World("users", steady(30_000), users=True),
    World("sundays", steady(30_000), sunday=-0.3),
    World("promoted_weekly", steady(30_000), promoted_every=7),
    World("promoted_daily", steady(30_000), promoted_every=1),
    World("promoted_uneven", steady(30_000), promoted_every=7, error=_uneven),
    World("promoted_biased", steady(30_000), promoted_every=1, bias=0.1),
    World("few_clicks", steady(1_200), score=-3.7),
)
HEAVY = World("heavy_tails", steady(30_000), heavy=True)
BIASED = World("biased_models", steady(30_000), promoted_every=7, biased=3.0)
"""Where each week's model is off in its own way: an alarm is no false one."""
SKEWED = World("skewed_models", steady(30_000), promoted_every=7, error=_skewed)
"""Where now and then a model ranks far worse than any before it, as a gate would not let it."""
HARDER = (HEAVY, BIASED, SKEWED)
"""What the check's level does not hold in, and is not said to."""


def days_of(
    world: World, random: np.random.Generator, change: Callable[[int], Change] = lambda _: Change()
) -> Iterator[DayCounts]:
    """Days of `world`, without end, from a Monday on; in the terms of the model that scored them.

    Where models are promoted, `carried` of a day is None: `carried_over` fills it in.
    """
    before = np.zeros(3)
    number = 0
    while True:
        own = random.normal(0, 1, 3)
        if world.heavy:
            own = random.standard_t(3, 3) / np.sqrt(3)
        if world.correlated:
            own = CORRELATED * before + np.sqrt(1 - CORRELATED**2) * own
        before = own
        score, spread, rate = own * (SCORE_SHIFT, SPREAD_SHIFT, RATE_SHIFT)
        ds = shift(MONDAY, number)
        if world.weekly and number % 7 >= SATURDAY:
            score, rate = score + WEEKEND_SCORE, rate + WEEKEND_RATE
        if number % 7 == SUNDAY:
            rate += world.sunday
        other = change(number)
        asked = replace(other, score=other.score + world.score + score, rate=other.rate + rate)
        rows = world.rows(number, random)
        make = _day_of_users if world.users else _day
        yield make(random, ds, rows, asked, float(np.exp(spread)))
        number += 1


def _day(
    random: np.random.Generator, ds: str, rows: int, change: Change, spread: float
) -> DayCounts:
    """Without a row: so many per bin, and of them so many clicks."""
    below = ndtr((bin_edges() - MEAN - change.score) / (SPREAD * spread))
    below[0], below[-1] = 0.0, 1.0
    counts = random.multinomial(rows, np.diff(below)).astype(np.float64)
    truth = MEAN + (1 + change.slope) * (CENTRES - MEAN) + change.rate
    clicks = random.binomial(counts.astype(np.int64), sigmoid(truth)).astype(np.float64)
    return DayCounts(ds, counts, counts, clicks, counts * sigmoid(CENTRES))


def _day_of_users(
    random: np.random.Generator, ds: str, rows: int, change: Change, spread: float
) -> DayCounts:
    """Rows come by users; a user's rows are alike, and what is not known of a user is alike too."""
    users = max(rows // USER_ROWS, 1)
    of = np.repeat(np.arange(users), random.geometric(1 / USER_ROWS, users))
    known, unknown = random.normal(0, USER_EFFECT, (2, users))
    own = random.normal(0, np.sqrt(SPREAD**2 - USER_EFFECT**2), len(of))
    logits = MEAN + change.score + spread * (known[of] + own)
    # on average the users' own rates are what the scores say
    truth = logits + change.rate + unknown[of] - USER_EFFECT**2 / 2
    clicks = (random.random(len(of)) < sigmoid(truth)).astype(np.float64)
    return counted(ds, logits, clicks)


def counted(ds: str, logits: Floats, clicks: Floats) -> DayCounts:
    """The sketch of these rows, (n,) each."""
    bins = bin_of(logits)
    rows, clicked, expected = (
        np.bincount(bins, weights, BINS)
        for weights in (np.ones(len(bins)), clicks, sigmoid(logits))
    )
    return DayCounts(ds, rows, rows, clicked, expected)


class Promotions:
    """The days of a world in which another model takes the place of the one that serves.

    Each model sees the true log-odds with an error of its own, spread a little otherwise, and
    expects half of what the day before had more or less of clicks than usual, as one that was
    trained on it beside older rows does. A day that was scored by an earlier one is carried over by
    the quantile map of each promotion since. `retrained` promotes another one at once, as a day
    that retrains does.
    """

    def __init__(self, world: World, random: np.random.Generator) -> None:
        """Promote every `world.promoted_every` days."""
        self._world, self._random = world, random
        self._model = self._another(0.0)
        self._error = MODEL_ERROR
        self._promotions = 1
        self.retrained = False

    def _another(self, rate: float) -> tuple[float, float]:
        """What it adds, and how it spreads, after a day whose rate differed by `rate`."""
        times = self._world.biased
        added = self._world.bias + 0.5 * rate + self._random.normal(0.0, MODEL_BIAS * times)
        return float(added), float(np.exp(self._random.normal(0.0, MODEL_SPREAD * times)))

    def days(self) -> Iterator[list[DayCounts]]:
        """All days so far, the last one is today; carried over to the model that serves today."""
        known: list[DayCounts] = []
        number = 0
        while True:
            random = self._random
            score, spread, rate = random.normal(0, 1, 3) * (SCORE_SHIFT, SPREAD_SHIFT, RATE_SHIFT)
            rows = self._world.rows(number, random)
            truth = MEAN + score + SPREAD * np.exp(spread) * random.normal(0, 1, rows)
            error = random.normal(0, 1, rows)
            clicks = (random.random(rows) < sigmoid(truth + rate)).astype(np.float64)
            said = self._said(truth, error)
            day = counted(shift(MONDAY, number), said, clicks)
            known.append(replace(day, version=self._promotions))
            yield known[-57:]
            number += 1
            if number % self._world.promoted_every == 0 or self.retrained:
                self._promotions, self.retrained = self._promotions + 1, False
                self._model = self._another(rate)
                self._error = self._world.error(random)
                # both models on the rows of the day that promotes; their errors have most in common
                after = self._said(truth, 0.9 * error + random.normal(0, 1 / 3, rows))
                mapped = quantile_map(said, after)
                known = [
                    replace(day, carried=carry(day.carried, mapped))
                    for day in known[-57:]
                    if day.carried is not None
                ]

    def _said(self, truth: Floats, error: Floats) -> Floats:
        added, spread = self._model
        # shrunk, so that it expects what comes
        shrunk = MEAN + (truth + self._error * error - MEAN) / (1 + self._error**2)
        return np.asarray(MEAN + added + spread * (shrunk - MEAN))
