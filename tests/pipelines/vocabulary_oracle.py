"""What vocabularies should do, told day by day with dictionaries: an oracle without Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conf.vocabulary import VocabularyRule
from feature_store.days import gap

Key = tuple[str, str]
"""Field and value."""
Log = Mapping[str, Mapping[Key, int]]
"""Day -> occurrences by key."""
DEFAULT = VocabularyRule()


@dataclass
class Told:
    """What was born, turned and waited."""

    ids: dict[Key, int] = field(default_factory=dict)
    count: Counter[Key] = field(default_factory=Counter)
    last: dict[Key, str] = field(default_factory=dict)
    expired: set[Key] = field(default_factory=set)
    born: list[tuple[str, str, str, int]] = field(default_factory=list)
    """ds, field, value, id."""
    turns: list[tuple[str, str, int, str]] = field(default_factory=list)
    """ds, field, id, state."""
    known: dict[str, dict[Key, int]] = field(default_factory=dict)
    """Day -> the ids as known at its end."""
    waiting: dict[str, dict[Key, int]] = field(default_factory=dict)
    """Day -> the counts of those that wait at its end."""


def told(log: Log, rules: Mapping[str, VocabularyRule]) -> Told:
    """The story of `log`, whose days are all processed, in order."""
    story = Told()
    for ds in sorted(log):
        _tell(story, ds, log[ds], rules)
    return story


def _tell(
    story: Told, ds: str, seen: Mapping[Key, int], rules: Mapping[str, VocabularyRule]
) -> None:
    for key in sorted(seen):
        rule = rules.get(key[0], DEFAULT)
        if key not in story.ids:
            if _away(story, key, ds, rule, 1):
                story.count[key] = 0
            story.count[key] += seen[key]
            if story.count[key] >= rule.min_count:
                last = max((i for (f, _), i in story.ids.items() if f == key[0]), default=1)
                story.ids[key] = last + 1
                story.born.append((ds, *key, last + 1))
        elif key in story.expired:
            story.expired.remove(key)
            story.turns.append((ds, key[0], story.ids[key], "returned"))
        story.last[key] = ds
    for key in sorted(story.ids):
        if key not in story.expired and _away(story, key, ds, rules.get(key[0], DEFAULT), 0):
            story.expired.add(key)
            story.turns.append((ds, key[0], story.ids[key], "expired"))
    story.known[ds] = {key: i for key, i in story.ids.items() if key not in story.expired}
    story.waiting[ds] = {
        key: count
        for key, count in story.count.items()
        if key not in story.ids and not _away(story, key, ds, rules.get(key[0], DEFAULT), 1)
    }


def _away(story: Told, key: Key, ds: str, rule: VocabularyRule, grace: int) -> bool:
    if rule.expire_days is None or key not in story.last:
        return False
    return gap(story.last[key], ds) >= rule.expire_days + grace


def rows_of(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    """The rows as sorted tuples of `columns`."""
    return sorted(tuple(row[name] for name in columns) for row in rows)
