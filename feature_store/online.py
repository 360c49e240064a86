"""The online store: published lists and feature vectors, for look-ups by user or item.

What is published for a day replaces what was there before at once: a reader sees the old day or the
new one, and every answer says which. An older day never replaces a later one. Kept in a SQLite file
(`feature_store.online_sqlite`) or in Redis (`feature_store.online_redis`), as the setting
`online_store` says.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from conf.errors import ConfigError
from conf.settings import Settings, without_password
from feature_store.online_vectors import OnlineVector, Vectors, no_vectors

Kind = Literal["users", "items"]
_REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})


@dataclass(frozen=True)
class ListedItem:
    """One rank of a list."""

    rank: int
    """From 1."""
    item_id: str
    score: float | None
    """The ranker's logit; None where popularity topped up."""
    source: str
    """model or popularity."""
    reason: str = ""
    """Why it is there, in words."""


@dataclass(frozen=True)
class OnlineList:
    """What a service answers with for one user."""

    user_id: str
    """The pseudonym, or `*` if the user has no list of their own."""
    ds: str
    model_version: int
    items: tuple[ListedItem, ...]


@dataclass(frozen=True)
class OnlineDay:
    """What a day publishes."""

    ds: str
    lists: pa.Table
    """Rows of table `recommendations`."""
    users: Vectors = field(default_factory=no_vectors)
    items: Vectors = field(default_factory=no_vectors)

    def vectors(self) -> Mapping[Kind, Vectors]:
        """The vectors by kind."""
        return {"users": self.users, "items": self.items}


class OnlineStore(Protocol):
    """Lists and vectors of one dataset, as published for one day.

    Every method raises OnlineStoreError where the store does not answer.
    """

    def write(self, day: OnlineDay) -> bool:
        """Replace all that is there by `day`; False if a later day's is there already.

        A day without lists leaves everything as it is.

        Raises:
            ConcurrentWrite: another process wrote at the same time; nothing was replaced.
        """

    def read_list(self, user_id: str) -> OnlineList | None:
        """The list of `user_id` (a pseudonym), else the one for everybody; None = there is none."""

    def read_user(self, user_id: str) -> OnlineVector | None:
        """The vector of `user_id` (a pseudonym), else that of `*`; None = there is neither."""

    def read_items(self, item_ids: Sequence[str]) -> list[OnlineVector]:
        """The vectors of `item_ids`, in their order, that of `*` for each which is not there.

        All are from one day. Before the first day there are none.
        """

    def current_day(self) -> str | None:
        """The day whose lists are there; None before the first."""

    def entries_of(self, user_id: str) -> int:
        """How many entries `user_id` (a pseudonym) has: a list, a vector."""

    def remove_user(self, user_id: str) -> int:
        """Remove the entries of `user_id`, who is then answered as `*`; how many there were.

        Raises:
            ConcurrentWrite: somebody else has the store open, so that bytes of them may be left.
        """

    def clear(self) -> None:
        """Remove everything of this dataset."""


def open_online_store(settings: Settings) -> OnlineStore:
    """The store that the setting `online_store` names; nothing is written or connected yet.

    Raises:
        ConfigError: it is neither a file nor a Redis URI, or Redis's client is not installed.
    """
    location = settings.uri(settings.online_store)
    scheme, separator, _ = location.partition("://")
    if not separator:
        from feature_store.online_sqlite import SqliteStore

        return SqliteStore(Path(location).absolute())
    if scheme not in _REDIS_SCHEMES:
        raise ConfigError(
            f"online_store is {without_password(location)!r}: expected the path of a file, or a "
            f"URI that begins with one of {sorted(s + '://' for s in _REDIS_SCHEMES)}. "
            "Next: set DAYFOLD__ONLINE_STORE."
        )
    try:
        from feature_store.online_redis import RedisStore
    except ImportError as error:
        raise ConfigError(
            f"online_store is {without_password(location)!r}, and Redis's client is not "
            "installed. Next: pip install 'dayfold[redis]'"
        ) from error
    return RedisStore(location, settings.dataset)


def written_lists(rows: pa.Table) -> Iterator[tuple[str, int, list[dict[str, Any]]]]:
    """Each user of `rows` (table `recommendations`), the model's version, and the items."""
    rows = rows.sort_by([("user_id", "ascending"), ("rank", "ascending")])
    names = ("user_id", "model_version", "rank", "item_id", "score", "source", "reason")
    entries = zip(*(rows.column(name).to_pylist() for name in names), strict=True)
    for (user_id, version), group in itertools.groupby(entries, key=lambda entry: entry[:2]):
        yield (
            user_id,
            version,
            [
                {
                    "rank": rank,
                    "item_id": item_id,
                    "score": score if math.isfinite(score) else None,
                    "source": source,
                    "reason": reason,
                }
                for _, _, rank, item_id, score, source, reason in group
            ],
        )


def list_read(
    user_id: str, ds: str, model_version: int, items: Sequence[Mapping[str, Any]]
) -> OnlineList:
    """The list with these items, as `written_lists` gave them."""
    listed = tuple(ListedItem(**item) for item in items)
    return OnlineList(user_id, ds, model_version, listed)
