"""A Hugging Face model cut in two: its lower layers, and its upper ones as a model of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from conf.errors import ConfigError
from training.text.base import quiet

_ADAPTED = {"bert": ["query", "value"], "gpt2": ["c_attn"]}
"""Linear maps of a layer that LoRA adapts."""


class _Passed(nn.Module):
    """In the place of the embeddings: hidden states go through as they are."""

    def forward(
        self, *_: object, inputs_embeds: Tensor | None = None, **__: object
    ) -> Tensor | None:
        return inputs_embeds


class _NoPlaces(nn.Module):
    """In the place of the embeddings of places: nothing is added."""

    def forward(self, places: Tensor) -> Tensor:
        return torch.zeros(1, device=places.device)


def side_by_side(parts: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """(K, L, ...) of K `parts` (l, ...), padded with zeros, and (K, L) where they are, there."""
    lengths = torch.tensor([len(part) for part in parts], device=device)
    padded = nn.utils.rnn.pad_sequence(list(parts), batch_first=True).to(device)
    return padded, torch.arange(padded.shape[1], device=device) < lengths[:, None]


def without_upper(model: nn.Module, upper: int) -> None:
    """Cut the `upper` last layers off; its last hidden states are then what they would read."""
    if upper:
        layers, kind = _layers(model)
        del layers[max(0, len(layers) - upper) :]
        if kind == "gpt2":
            model.ln_f = nn.Identity()


def upper_layers(model: nn.Module, upper: int) -> nn.Module:
    """The `upper` last layers as a model of `inputs_embeds` and `attention_mask`."""
    layers, kind = _layers(model)
    del layers[: max(0, len(layers) - upper)]
    if kind == "gpt2":
        model.wte, model.wpe = nn.Identity(), _NoPlaces()
    else:
        model.embeddings, model.pooler = _Passed(), None  # type: ignore[assignment]
    return model


def adapted(model: nn.Module, rank: int) -> None:
    """Put LoRA adapters of `rank` into the model's layers; they alone are trained then."""
    quiet("peft")
    from peft import LoraConfig, inject_adapter_in_model

    _, kind = _layers(model)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=_ADAPTED[kind], fan_in_fan_out=kind == "gpt2"
    )
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "lora_" in name


def _layers(model: Any) -> tuple[nn.ModuleList, str]:
    """The model's layers from the lowest, and the family it belongs to."""
    if hasattr(model, "encoder") and hasattr(model.encoder, "layer"):
        return model.encoder.layer, "bert"
    if hasattr(model, "h"):
        return model.h, "gpt2"
    raise ConfigError(
        f"Layers of a {type(model).__name__} cannot be trained, expected a model of the BERT or "
        "GPT-2 family. Next: set training.text.trained_layers to 0."
    )
