"""A small GPT-2 from its configuration, with a byte-level BPE tokenizer fitted on a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conf.errors import TrainingError
from training.text.base import quiet
from training.text.layers import side_by_side

_HEAD_WIDTH = 32
"""Width of one attention head, at most."""


class MadeGpt2(nn.Module):
    """Texts -> hidden states. The tokenizer is a part of its state, as JSON in bytes."""

    def __init__(self, layers: int, width: int, vocabulary: int, max_tokens: int) -> None:
        super().__init__()
        quiet()
        from transformers import GPT2Config, GPT2Model

        self.vocabulary, self.max_tokens = vocabulary, max_tokens
        self.model = GPT2Model(
            GPT2Config(
                vocab_size=vocabulary,
                n_positions=max_tokens,
                n_embd=width,
                n_layer=layers,
                n_head=max(1, width // _HEAD_WIDTH),
                bos_token_id=0,
                eos_token_id=0,
            )
        )
        self._tokenizer: Any = None

    def fit_tokenizer(self, texts: Sequence[str]) -> None:
        """Fit the tokenizer; its ids are all below the vocabulary's size."""
        from tokenizers import ByteLevelBPETokenizer, Tokenizer

        fitted = ByteLevelBPETokenizer(add_prefix_space=True)
        fitted.train_from_iterator(
            sorted(texts), vocab_size=self.vocabulary, min_frequency=2, show_progress=False
        )
        self._tokenizer = Tokenizer.from_str(fitted.to_str())

    def tokens_of(self, text: str) -> list[int]:
        """At most `max_tokens` ids.

        Raises:
            TrainingError: the tokenizer was not fitted.
        """
        if self._tokenizer is None:
            raise TrainingError(
                "This GPT-2 has no tokenizer: it was neither trained nor loaded. Next: dayfold "
                "step train --scorer gpt2 --ds DAY"
            )
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids[: self.max_tokens]

    def forward(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(K, L, D) hidden states and (K, L) where there are tokens."""
        ids = [torch.tensor(self.tokens_of(text), dtype=torch.long) for text in texts]
        tokens, there = side_by_side(ids, self.model.wte.weight.device)
        out = self.model(input_ids=tokens, attention_mask=there.long(), use_cache=False)
        return out.last_hidden_state, there

    def get_extra_state(self) -> Tensor:
        """The tokenizer's JSON as bytes; none before it was fitted."""
        text = self._tokenizer.to_str() if self._tokenizer is not None else ""
        return torch.from_numpy(np.frombuffer(text.encode(), dtype=np.uint8).copy())

    def set_extra_state(self, state: Tensor) -> None:
        """Take the tokenizer that `get_extra_state` gave."""
        from tokenizers import Tokenizer

        text = bytes(state.numpy()).decode()
        self._tokenizer = Tokenizer.from_str(text) if text else None
