"""A group of inputs in words: why an item stands in a list."""

from __future__ import annotations

TELLING = ("history", "profile", "popularity", "context")
"""The groups that say something to a person."""
RISING = "slope_1_7"
"""The item's number that is above zero while its popularity rises."""
TAKEN = "positive_h30"
"""The item's number that is zero as long as nobody has taken it."""
NOTHING_KNOWN = "nothing is known of it"


def told(group: str, *, rising: bool, taken: str | None, again: bool) -> str:
    """The reason in words.

    Args:
        group: of `TELLING` the one that adds most to the score; empty where none adds anything.
        rising: whether the item's popularity rises.
        taken: the item of the user's history that is likest to it; None = none is known.
        again: whether the user took the very item before.
    """
    match group:
        case "history":
            if again:
                return "because you took it before"
            return f"because you took {taken}" if taken else "because of what you took"
        case "popularity":
            return popular(rising=rising)
        case "profile":
            return "because of your profile"
        case "context":
            return "because of the moment"
        case _:
            return "because of what it is"


def popular(*, rising: bool, taken: bool = True) -> str:
    """The reason of an item that popularity proposed; last of all come those that nobody took."""
    if not taken:
        return told("", rising=rising, taken=None, again=False)
    return "because it is rising" if rising else "because it is popular"
