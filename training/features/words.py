"""Texts and the numbers that stand for them: a number is a digest of its text, in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

NO_TEXT = 0
"""The number of nothing to read."""

_BYTES = 8


def number_of(text: str) -> int:
    """The first 63 bits of the text's SHA-256; 0 for the empty text."""
    if not text:
        return NO_TEXT
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:_BYTES], "big") >> 1


class Words:
    """Texts by their numbers. Only added to; which numbers a row has is not its business."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._text: dict[int, str] = {}
        self.add(texts)

    def __len__(self) -> int:
        """How many texts there are."""
        return len(self._text)

    def add(self, texts: Iterable[str]) -> NDArray[np.int64]:
        """(n,) the numbers of `texts`, which are known from now on."""
        numbers = []
        for text in texts:
            number = number_of(text)
            if number != NO_TEXT:
                self._text[number] = text
            numbers.append(number)
        return np.array(numbers, dtype=np.int64)

    def text(self, number: int) -> str:
        """The text of `number`, which was added."""
        return self._text[number]

    def texts(self) -> list[str]:
        """All texts, in the order of the alphabet."""
        return sorted(self._text.values())


def joined(parts: Sequence[Words | None]) -> Words | None:
    """All that `parts` hold; None where none of them is there."""
    distinct = {id(part): part for part in parts if part is not None}
    match list(distinct.values()):
        case []:
            return None
        case [same]:
            return same
        case several:
            return Words(text for part in several for text in part.texts())
