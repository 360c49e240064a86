"""The items of the world: what a catalogue says of them, and what makes people click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.sources.simulator.randomness import NEVER, birthdays, generator, newcomers_by
from pipelines.sources.simulator.settings import SimulationSettings
from pipelines.sources.simulator.users import TASTES, Bools, Floats, Ints
from pipelines.sources.simulator.words import (
    ADJECTIVES,
    ALL_TAGS,
    CATEGORIES,
    MAKERS,
    NOUNS,
    PRAISES,
    TAGS,
)

_CHUNK = 512
_TAGS_PER_ITEM = (1, 2, 3)
_SHARE_WITHDRAWN = 0.15
_SHARE_SHOWN_AT_RANDOM = 0.35
_DAYS_BEFORE_START = 120
_SHORTEST_LIFE, _LONGEST_LIFE = 20, 90


@dataclass(frozen=True)
class Items:
    """Items by number."""

    category: Ints
    tags: Bools
    """(items, all tags)"""
    born: Ints
    """First day on sale, in days since the world's start (negative: before it)."""
    withdrawn: Ints
    """First day off sale."""
    quality: Floats
    flavour: Floats
    """(items, TASTES): what the users' latent taste meets."""
    attraction: Floats
    """Log weight with which the shop itself shows the item."""
    price: Floats
    wording: Ints
    """(items, 4): which noun, adjective, maker and praise."""

    def on_sale(self, day: int) -> Ints:
        """The numbers of the items that can be shown on `day`."""
        return np.flatnonzero((self.born <= day) & (day < self.withdrawn))

    def show_weights(self, numbers: Ints) -> Floats:
        """How often the shop shows each of these items: by attraction, and partly at random."""
        pull = np.exp(self.attraction[numbers])
        return np.asarray(
            (1 - _SHARE_SHOWN_AT_RANDOM) * pull / pull.sum() + _SHARE_SHOWN_AT_RANDOM / len(numbers)
        )

    def title(self, item: int) -> str:
        """Such as "Folding Camp Chair by Almar"."""
        noun, adjective, maker, _ = self.wording[item]
        nouns = NOUNS[CATEGORIES[self.category[item]]]
        return f"{ADJECTIVES[adjective]} {nouns[noun]} by {MAKERS[maker]}"

    def description(self, item: int) -> str:
        """One sentence with the item's tags in it."""
        noun, adjective, _, praise = self.wording[item]
        category = CATEGORIES[self.category[item]]
        about = " and ".join(self.tag_names(item))
        return (
            f"A {ADJECTIVES[adjective].lower()} {NOUNS[category][noun].lower()} from our "
            f"{category} shelf, good for {about}; {PRAISES[praise]}."
        )

    def tag_names(self, item: int) -> list[str]:
        """The item's tags in alphabetical order."""
        return [ALL_TAGS[tag] for tag in np.flatnonzero(self.tags[item])]


def items_born_by(settings: SimulationSettings, day: int) -> int:
    """How many items were ever on sale by `day` (days since the world's start)."""
    return settings.items + newcomers_by(settings.new_items_per_day, day)


def make_items(settings: SimulationSettings, count: int) -> Items:
    """The first `count` items. More items later leave these as they are."""
    chunks = [_chunk(settings, number) for number in range(-(-count // _CHUNK))]
    names = Items.__dataclass_fields__
    return Items(
        **{
            name: np.concatenate([getattr(chunk, name) for chunk in chunks])[:count]
            for name in names
        }
    )


def _chunk(settings: SimulationSettings, number: int) -> Items:
    rng = generator(settings.seed, "items", number)
    shares = 1 / np.sqrt(1 + np.arange(len(CATEGORIES)))
    category = rng.choice(len(CATEGORIES), _CHUNK, p=shares / shares.sum())
    tags = _tags(rng, category)
    quality = rng.normal(0, 1, _CHUNK)
    born, withdrawn = _life(settings, rng, number)
    return Items(
        category=category,
        tags=tags,
        born=born,
        withdrawn=withdrawn,
        quality=quality,
        flavour=_flavour(settings, rng, category, tags),
        attraction=0.5 * quality + rng.normal(0, 0.8, _CHUNK),
        price=np.round(rng.lognormal(3.0, 0.7, _CHUNK), 2),
        wording=np.stack(
            [
                rng.integers(0, len(words), _CHUNK)
                for words in (NOUNS["art"], ADJECTIVES, MAKERS, PRAISES)
            ],
            axis=1,
        ),
    )


def _tags(rng: np.random.Generator, category: Ints) -> Bools:
    tags = np.zeros((_CHUNK, len(ALL_TAGS)), np.bool_)
    counts = rng.choice(_TAGS_PER_ITEM, _CHUNK)
    for item in range(_CHUNK):
        own = TAGS[CATEGORIES[category[item]]]
        for tag in rng.permutation(len(own))[: counts[item]]:
            tags[item, ALL_TAGS.index(own[tag])] = True
    return tags


def _flavour(
    settings: SimulationSettings, rng: np.random.Generator, category: Ints, tags: Bools
) -> Floats:
    """Mostly category and tags, so that a model can guess it for a new item."""
    world = generator(settings.seed, "flavours")
    of_category = world.normal(0, 1, (len(CATEGORIES), TASTES))
    of_tag = world.normal(0, 1, (len(ALL_TAGS), TASTES))
    mean_of_tags = (tags @ of_tag) / tags.sum(axis=1, keepdims=True)
    mixed = (
        0.55 * of_category[category]
        + 0.6 * mean_of_tags
        + 0.45 * rng.normal(0, 1, (_CHUNK, TASTES))
    )
    return np.asarray(mixed)


def _life(settings: SimulationSettings, rng: np.random.Generator, number: int) -> tuple[Ints, Ints]:
    newcomer = np.arange(number * _CHUNK, (number + 1) * _CHUNK) - settings.items
    days_before = rng.integers(0, _DAYS_BEFORE_START, _CHUNK)
    born = np.where(newcomer < 0, -days_before, birthdays(settings.new_items_per_day, newcomer))
    life = rng.integers(_SHORTEST_LIFE, _LONGEST_LIFE, _CHUNK)
    leaves = rng.random(_CHUNK) < _SHARE_WITHDRAWN
    # Life is counted from the world's start at the earliest: no item is gone before day 1.
    withdrawn: npt.NDArray[np.int64] = np.where(leaves, np.maximum(born, 0) + life, NEVER)
    return born, withdrawn
