"""Which fields of a log are personal, and what is done to them before anything is stored."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Self

from pydantic import model_validator

from conf.frozen import Frozen

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,59}$")


class Personal(Frozen):
    """Personal fields of events, profiles and items, by what is done to them.

    A field need not be declared otherwise. One that is an attribute or a context field reads as
    missing where it is dropped or masked.
    """

    drop: tuple[str, ...] = ()
    """Never read: in no table, not even in the quarantine."""
    mask: tuple[str, ...] = ()
    """In no clean table; a quarantined line shows `***` where there was one."""
    truncate_ip: tuple[str, ...] = ()
    """IP addresses: the clean tables hold the network (/24 of IPv4, /48 of IPv6), a quarantined
    line `***`; what is no address becomes missing."""

    @property
    def starred(self) -> tuple[str, ...]:
        """The fields that a quarantined line shows as `***`."""
        return (*self.mask, *self.truncate_ip)

    @property
    def unread(self) -> frozenset[str]:
        """The fields of which no clean table holds anything."""
        return frozenset((*self.drop, *self.mask))

    @model_validator(mode="after")
    def _a_field_is_named_once(self) -> Self:
        names = [*self.drop, *self.starred]
        if wrong := [name for name in names if not _NAME.match(name)]:
            raise ValueError(f"{wrong} are no field names (letters, digits and _)")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice} are named twice; choose one of drop, mask, truncate_ip")
        return self


def conflicts(
    personal: Personal,
    *,
    own_fields: Collection[str],
    declared: Collection[str],
    notes: Collection[str],
    not_text: Collection[str],
    needed: Collection[str],
) -> Iterator[str]:
    """What cannot be protected as declared, one sentence each.

    Args:
        personal: the declaration.
        own_fields: those of every dataset, which cleaning cannot do without.
        declared: attributes and context fields.
        notes: names of what cleaning notes beside a row's fields.
        not_text: attributes that are numbers or lists.
        needed: attributes that the lists are made by.
    """
    listed = {"drop": personal.drop, "mask": personal.mask, "truncate_ip": personal.truncate_ip}
    for key, names in listed.items():
        for name in names:
            if name in own_fields or name in notes:
                yield f"personal.{key}: {name!r} is a field of Dayfold's own, which it cannot miss"
            elif name not in declared and name.lower() in declared:
                yield f"personal.{key}: {name!r} differs from {name.lower()!r} by its case alone"
            elif name in needed and key != "truncate_ip":
                yield f"personal.{key}: {name!r} is recommend.category_attribute; lists need it"
            elif name in not_text and key == "truncate_ip":
                yield f"personal.{key}: {name!r} holds no text; an address needs kind: categorical"
