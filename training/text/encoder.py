"""The part of a text encoder that belongs to a scorer: from numbers of texts to their vectors.

Its state holds what is trained, and nothing of a pretrained base: that is found again by its name
and checked by its digest. Letters: K texts, L tokens of the longest, D width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.features.words import NO_TEXT, Words
from training.text.architecture import TextArchitecture
from training.text.base import load_base
from training.text.frozen import FrozenPart, one_thread
from training.text.layers import adapted, side_by_side, upper_layers
from training.text.made import MadeGpt2


class TextEncoder(nn.Module):
    """Numbers of texts -> unit vectors; zeros of no text."""

    learning_rate_share = 1.0
    """Of the learning rate with which its weights are trained."""

    def __init__(self, architecture: TextArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self._said: dict[int, Tensor] = {}

    @abstractmethod
    def encode(self, numbers: Sequence[int], words: Words) -> Tensor:
        """(K, D) vectors of texts that are there."""

    def begin(self, texts: Sequence[str]) -> None:
        """Before a first training: make what is made from the catalogue's texts."""

    def forward(self, numbers: Tensor, words: Words) -> Tensor:
        """(K, D) unit vectors of `numbers` (K,), which are distinct.

        Out of training each text passes alone: its vector is the same in any company.
        """
        vectors = torch.zeros(len(numbers), self.architecture.width, device=numbers.device)
        there = numbers != NO_TEXT
        listed = numbers[there].tolist()
        if not listed:
            return vectors
        if self.training or torch.is_grad_enabled():
            said = self.encode(listed, words)
        else:
            said = self._one_by_one(listed, words)
        return vectors.index_put((there.nonzero()[:, 0],), said.to(vectors.device))

    def train(self, mode: bool = True) -> TextEncoder:
        """As any module's; what was said with other weights is forgotten."""
        self._said.clear()
        super().train(mode)
        return self

    def _one_by_one(self, listed: list[int], words: Words) -> Tensor:
        with one_thread():
            for number in listed:
                if number not in self._said:
                    self._said[number] = self.encode([number], words)[0]
        return torch.stack([self._said[number] for number in listed])


class FrozenEncoder(TextEncoder):
    """A pretrained encoder as it is."""

    def __init__(self, architecture: TextArchitecture) -> None:
        super().__init__(architecture)
        self._frozen = FrozenPart(architecture)

    def encode(self, numbers: Sequence[int], words: Words) -> Tensor:
        """(K, D)."""
        encoded = self._frozen.encode(np.array(numbers, dtype=np.int64), words)
        return torch.from_numpy(np.concatenate([encoded[number] for number in numbers]))

    def _one_by_one(self, listed: list[int], words: Words) -> Tensor:
        return self.encode(listed, words)  # each passes alone anyway


class PartlyTrained(TextEncoder):
    """A pretrained encoder whose upper layers, or adapters within them, are trained."""

    def __init__(self, architecture: TextArchitecture) -> None:
        super().__init__(architecture)
        self._frozen = FrozenPart(architecture)
        base, _ = load_base(architecture.base, architecture.digest)
        self.upper = upper_layers(base, architecture.trained_layers).train()
        self.learning_rate_share = 0.02
        if architecture.lora_rank:
            adapted(self.upper, architecture.lora_rank)
            self.learning_rate_share = 0.25
        self.register_state_dict_post_hook(_leave_frozen_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_frozen_in)  # type: ignore[no-untyped-call]

    def frozen_names(self) -> list[str]:
        """Names in the module's state that the base says already."""
        return [name for name, p in self.named_parameters() if not p.requires_grad]

    def encode(self, numbers: Sequence[int], words: Words) -> Tensor:
        """(K, D): mean over the tokens."""
        encoded = self._frozen.encode(np.array(numbers, dtype=np.int64), words)
        parts = [torch.from_numpy(encoded[number]) for number in numbers]
        hidden, there = side_by_side(parts, next(self.upper.parameters()).device)  # (K, L, D)
        out = self.upper(inputs_embeds=hidden, attention_mask=there.long()).last_hidden_state
        return mean_of(out, there)


class Made(TextEncoder):
    """A small GPT-2 made here, trained from its first token on."""

    # with the rate of the net above it runs into overfitting in its first pass
    learning_rate_share = 0.1

    def __init__(self, architecture: TextArchitecture) -> None:
        super().__init__(architecture)
        self.model = MadeGpt2(
            architecture.layers,
            architecture.width,
            architecture.vocabulary,
            architecture.max_tokens,
        )

    def begin(self, texts: Sequence[str]) -> None:
        """Fit the tokenizer on `texts`."""
        self.model.fit_tokenizer(texts)

    def encode(self, numbers: Sequence[int], words: Words) -> Tensor:
        """(K, D): mean over the tokens."""
        hidden, there = self.model([words.text(number) for number in numbers])
        return mean_of(hidden, there)


def mean_of(hidden: Tensor, there: Tensor) -> Tensor:
    """(K, D) unit vectors: means of `hidden` (K, L, D) over the tokens that are `there` (K, L)."""
    weights = there.to(hidden.dtype)
    mean = (hidden * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True).clamp(min=1)
    return nn.functional.normalize(mean, dim=1)


def encoder_of(architecture: TextArchitecture) -> TextEncoder:
    """The encoder of this architecture; weights that are new are drawn from torch's generator."""
    if not architecture.base:
        return Made(architecture)
    return (
        PartlyTrained(architecture) if architecture.trained_layers else FrozenEncoder(architecture)
    )


def _leave_frozen_out(
    module: PartlyTrained, state: dict[str, Any], prefix: str, _: dict[str, Any]
) -> None:
    for name in module.frozen_names():
        state.pop(prefix + name, None)


def _put_frozen_in(module: PartlyTrained, state: dict[str, Any], prefix: str, *_: object) -> None:
    own = dict(module.named_parameters())
    for name in module.frozen_names():
        state.setdefault(prefix + name, own[name].detach())
