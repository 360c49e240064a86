"""How the values of one label-encoded field get their ids, and lose them."""

from __future__ import annotations

from pydantic import PositiveInt

from conf.frozen import Frozen


class VocabularyRule(Frozen):
    """When a value gets its id, and when it expires.

    An occurrence is one clean row (event, profile or item) that holds the value.
    """

    min_count: PositiveInt = 1
    """A value gets its id on the first day by whose end it occurred this many times."""
    expire_days: PositiveInt | None = None
    """A value unseen for this many days reads as unknown until it is seen again; none = never."""
