"""What the weights of a text encoder depend on; a checkpoint says it in `scorer.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from conf.training import TextSettings
from training.text.base import base_digest, base_folder, base_width


@dataclass(frozen=True)
class TextArchitecture:
    """A pretrained encoder with some of its layers trained, or one made here."""

    base: str
    """Package, folder or hub id of the pretrained encoder; empty = it is made here."""
    digest: str
    """SHA-256 of the base's files (`base_digest`); empty where there is none."""
    width: int
    """Of the vector of a text."""
    max_tokens: int
    trained_layers: int
    """Upper layers that are trained, or adapted; of one made here all are."""
    lora_rank: int = 0
    layers: int = 0
    """Of one made here."""
    vocabulary: int = 0
    """Of one made here."""

    @staticmethod
    def from_json(about: dict[str, Any] | None) -> TextArchitecture | None:
        """What `asdict` gave; None of None."""
        return None if about is None else TextArchitecture(**about)

    def key(self) -> str:
        """What tells the frozen part of this encoder from any other."""
        about = asdict(self)
        del about["lora_rank"]
        return "|".join(f"{name}={value}" for name, value in sorted(about.items()))


def text_architecture(scorer: str, settings: TextSettings) -> TextArchitecture | None:
    """The encoder that the settings give `scorer`; None where it reads no text.

    Raises:
        ConfigError: the pretrained encoder is not there, or not the pinned one.
    """
    if scorer not in {"bert", "gpt2"}:
        return None
    base = settings.bert_model if scorer == "bert" else settings.gpt2_model
    if not base:
        return TextArchitecture(
            "",
            "",
            settings.made_width,
            settings.max_tokens,
            settings.made_layers,
            layers=settings.made_layers,
            vocabulary=settings.made_vocabulary,
        )
    folder = base_folder(base)
    return TextArchitecture(
        base,
        base_digest(base, folder),
        base_width(folder, settings.max_tokens),
        settings.max_tokens,
        settings.trained_layers,
        settings.lora_rank,
    )
