"""The frozen part of a pretrained encoder: from texts to what its trained part begins with.

Each text passes alone, without padding and on one thread: what is said of it is the same to the bit
whatever stood beside it, so that it can be kept. It costs 2 to 3 times a batch's time, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.features.words import Words
from training.text.architecture import TextArchitecture
from training.text.base import load_base
from training.text.kept import KEPT, Encoded
from training.text.layers import without_upper

_AT_ONCE = 512
"""Texts that are encoded before they are kept."""


class FrozenPart:
    """Texts -> hidden states (L, D) below the trained layers, or the text's vector (1, D)."""

    def __init__(self, architecture: TextArchitecture) -> None:
        self._architecture = architecture
        self._loaded: tuple[nn.Module, Any] | None = None

    def encode(self, numbers: NDArray[np.int64], words: Words) -> dict[int, Encoded]:
        """What it says of each of `numbers` (distinct, without 0)."""
        key = self._architecture.key()
        found = KEPT.get(key, numbers)
        missing = [int(number) for number in numbers if int(number) not in found]
        for start in range(0, len(missing), _AT_ONCE):
            part = missing[start : start + _AT_ONCE]
            with one_thread(), torch.inference_mode():
                new = {number: self._encode_one(words.text(number)) for number in part}
            KEPT.put(key, new)
            found |= new
        return found

    def _encode_one(self, text: str) -> Encoded:
        model, tokenizer = self._load()
        tokens = tokenizer(
            text, truncation=True, max_length=self._architecture.max_tokens, return_tensors="pt"
        )
        if not tokens["input_ids"].shape[1]:
            return np.zeros((1, self._architecture.width), dtype=np.float32)
        hidden: Tensor = model(**tokens).last_hidden_state[0]
        if not self._architecture.trained_layers:
            hidden = nn.functional.normalize(hidden.mean(dim=0, keepdim=True), dim=1)
        return hidden.numpy().copy()

    def _load(self) -> tuple[nn.Module, Any]:
        if self._loaded is None:
            model, tokenizer = load_base(self._architecture.base, self._architecture.digest)
            without_upper(model, self._architecture.trained_layers)
            self._loaded = (model, tokenizer)
        return self._loaded


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums are made in one order within it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
