"""The online store in Redis: a day is written beside the one before and takes its place at once.

A service reads it without Dayfold, by these hashes: `dayfold:<dataset>:lists` (pseudonym -> JSON
{ds, model_version, items}), `...:users` and `...:items` (id -> vector, see
`feature_store.online_vectors`) and `...:day` (ds, and the layouts `users` and `items`). The field
`*` is for who or what is not known.

A writer fills hashes of its own, which it notes in the set `...:unfinished` before they exist, and
then renames them in one transaction: a look-up stays one command, and sees one day. The next write
removes what a killed one has left.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from conf.errors import ConcurrentWrite, ConfigError, OnlineStoreError
from conf.settings import without_password
from feature_store.online import Kind, OnlineDay, OnlineList, list_read, written_lists
from feature_store.online_vectors import OnlineVector, layout_as_json, layout_of, unpacked
from feature_store.tables import EVERYBODY

_WAIT_SECONDS = 30.0
_FIELDS_AT_ONCE = 1000


class RedisStore:
    """The `OnlineStore` of one dataset in Redis."""

    def __init__(self, uri: str, dataset: str) -> None:
        """The store at `uri`; connects with the first look-up or write.

        Raises:
            ConfigError: `uri` is none.
        """
        self._shown = without_password(uri)
        try:
            # Its types say bytes or text, whichever it was asked for.
            self._client: Any = redis.Redis.from_url(
                uri, socket_timeout=_WAIT_SECONDS, socket_connect_timeout=_WAIT_SECONDS
            )
        except ValueError as error:
            raise ConfigError(
                f"online_store is {self._shown!r}: expected redis://[[user]:password@]host:port/0. "
                "Next: set DAYFOLD__ONLINE_STORE."
            ) from error
        self._prefix = f"dayfold:{dataset}:"
        self._day = f"{self._prefix}day"
        self._unfinished = f"{self._prefix}unfinished"

    # ---- write --------------------------------------------------------------------------------

    def write(self, day: OnlineDay) -> bool:
        """See `OnlineStore.write`."""
        with self._reached():
            current = self._current_day()
            if not day.lists.num_rows or (current is not None and current > day.ds):
                return current is None or current <= day.ds
            self._remove(self._client.smembers(self._unfinished))
            mine = f"{self._unfinished}:{uuid.uuid4().hex}:"
            names = ("lists", *day.vectors())
            beside = {f"{self._prefix}{name}": f"{mine}{name}" for name in names}
            replaced = {f"{self._prefix}{name}": f"{mine}replaced:{name}" for name in names}
            self._client.sadd(self._unfinished, *beside.values(), *replaced.values())
            filled = {beside[f"{self._prefix}lists"]: _lists(day)}
            for kind, vectors in day.vectors().items():
                filled[beside[f"{self._prefix}{kind}"]] = vectors.packed(day.ds)
            try:
                sizes = {key: self._fill(key, fields) for key, fields in filled.items()}
                written = self._take_place(day, beside, replaced, sizes)
            finally:
                self._remove([*beside.values(), *replaced.values()])
        return written

    def _fill(self, key: str, fields: Iterator[tuple[str, str | bytes]]) -> int:
        """Write `fields` into the hash `key`; how many they were."""
        size = 0
        while part := dict(itertools.islice(fields, _FIELDS_AT_ONCE)):
            self._client.hset(key, mapping=part)
            size += len(part)
        return size

    def _take_place(
        self,
        day: OnlineDay,
        beside: Mapping[str, str],
        replaced: Mapping[str, str],
        sizes: Mapping[str, int],
    ) -> bool:
        """Rename the hashes `beside` (live key -> key) in one transaction; False: too old by now.

        What was there gets the names of `replaced`: removing it may take a while.
        """
        layouts: dict[str, str] = {
            kind: layout_as_json(part.layout) for kind, part in day.vectors().items()
        }
        with self._client.pipeline() as pipe:
            pipe.watch(self._day, self._unfinished, *beside, *beside.values())
            current = pipe.hget(self._day, "ds")
            if current is not None and current.decode() > day.ds:
                return False
            noted = all(pipe.smismember(self._unfinished, list(beside.values())))
            whole = all(pipe.hlen(key) == size for key, size in sizes.items())
            there = [live for live in beside if pipe.exists(live)]
            pipe.multi()
            for live in there:
                pipe.rename(live, replaced[live])
            for live, key in beside.items():
                if sizes[key]:
                    pipe.rename(key, live)
            pipe.hset(self._day, mapping={"ds": day.ds, **layouts})
            pipe.srem(self._unfinished, *beside.values())
            try:
                if not (noted and whole):
                    raise redis.WatchError
                pipe.execute()
            except redis.WatchError as error:
                raise ConcurrentWrite(
                    f"Online store {self._shown}, {day.ds}: another process wrote it at the same "
                    "time, nothing was replaced. Wait for it, then run the step again."
                ) from error
        return True

    def _remove(self, keys: Iterable[Any]) -> None:
        """Remove hashes of a writer; their note goes last."""
        if noted := list(keys):
            self._client.unlink(*noted)
            self._client.srem(self._unfinished, *noted)

    def entries_of(self, user_id: str) -> int:
        """See `OnlineStore.entries_of`."""
        with self._reached():
            names = (f"{self._prefix}lists", f"{self._prefix}users")
            return sum(bool(self._client.hexists(name, user_id)) for name in names)

    def remove_user(self, user_id: str) -> int:
        """See `OnlineStore.remove_user`."""
        with self._reached():
            # What a killed writer has left may hold the user, too.
            self._remove(self._client.smembers(self._unfinished))
            with self._client.pipeline(transaction=True) as both:
                both.hdel(f"{self._prefix}lists", user_id)
                both.hdel(f"{self._prefix}users", user_id)
                return sum(both.execute())

    def clear(self) -> None:
        """See `OnlineStore.clear`."""
        with self._reached():
            self._remove(self._client.smembers(self._unfinished))
            live = (f"{self._prefix}{name}" for name in ("lists", "users", "items"))
            self._client.unlink(self._day, *live)

    # ---- read ---------------------------------------------------------------------------------

    def read_list(self, user_id: str) -> OnlineList | None:
        """See `OnlineStore.read_list`."""
        with self._reached():
            found = self._client.hmget(f"{self._prefix}lists", [user_id, EVERYBODY])
        for name, text in zip((user_id, EVERYBODY), found, strict=True):
            if text is not None:
                entry = json.loads(text)
                return list_read(name, entry["ds"], entry["model_version"], entry["items"])
        return None

    def read_user(self, user_id: str) -> OnlineVector | None:
        """See `OnlineStore.read_user`."""
        return next(iter(self._read("users", [user_id])), None)

    def read_items(self, item_ids: Sequence[str]) -> list[OnlineVector]:
        """See `OnlineStore.read_items`."""
        return self._read("items", item_ids)

    def current_day(self) -> str | None:
        """See `OnlineStore.current_day`."""
        with self._reached():
            return self._current_day()

    def _current_day(self) -> str | None:
        current = self._client.hget(self._day, "ds")
        return None if current is None else current.decode()

    def _read(self, kind: Kind, ids: Sequence[str]) -> list[OnlineVector]:
        # One transaction: the vectors and their layout are of the same day.
        with self._reached(), self._client.pipeline(transaction=True) as pipe:
            pipe.hget(self._day, kind)
            pipe.hmget(f"{self._prefix}{kind}", [*ids, EVERYBODY])
            text, packed = pipe.execute()
        if text is None:
            return []
        layout, unknown = layout_of(text.decode()), packed.pop()
        found = []
        for name, own in zip(ids, packed, strict=True):
            if own is not None:
                found.append(unpacked(name, own, layout))
            elif unknown is not None:
                found.append(unpacked(EVERYBODY, unknown, layout))
        return found

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise OnlineStoreError(
                f"The online store {self._shown} does not answer as expected: "
                f"{type(error).__name__}: {error}. Next: start it or mend the setting "
                "online_store, then run the step again."
            ) from error


def _lists(day: OnlineDay) -> Iterator[tuple[str, str | bytes]]:
    for user_id, version, items in written_lists(day.lists):
        content = {"ds": day.ds, "model_version": version, "items": items}
        yield user_id, json.dumps(content)
