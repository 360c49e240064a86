"""Encoded texts, kept in memory and under a folder, so that a text is encoded once.

A file's name is a digest of its content and it appears at once under that name: two processes that
write the same texts write the same file, and a reader sees whole files only. What is missing, cut
off or cleared away is encoded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from conf.settings import Settings

Encoded = NDArray[np.float32]
"""(L, D): what an encoder said of one text, token by token, or L = 1 for all of it."""

_MB = 1 << 20
_AFTER_CLEARING = 0.8
"""Share of what may be kept that is left when more was kept."""
_FOLDER_CHARACTERS = 16


class KeptTexts:
    """Encoded texts by encoder and number."""

    def __init__(self) -> None:
        self._memory: dict[tuple[str, int], Encoded] = {}
        self._bytes = 0
        self._read: set[Path] = set()
        self._folder: Path | None = None
        self.most_bytes = 512 * _MB

    def keep_in(self, folder: Path | None, most_mb: int) -> None:
        """From now on keep at most `most_mb` megabytes in memory and as many under `folder`.

        None: in memory alone.
        """
        self._folder, self.most_bytes = folder, most_mb * _MB

    def forget(self) -> None:
        """Empty the memory; files stay."""
        self._memory.clear()
        self._read.clear()
        self._bytes = 0

    def get(self, key: str, numbers: NDArray[np.int64]) -> dict[int, Encoded]:
        """Those of `numbers` that the encoder `key` has encoded, as far as they were kept."""
        wanted = [int(number) for number in numbers]
        if any((key, number) not in self._memory for number in wanted):
            self._read_files(key)
        found = ((number, self._memory.get((key, number))) for number in wanted)
        return {number: values for number, values in found if values is not None}

    def put(self, key: str, encoded: Mapping[int, Encoded]) -> None:
        """Keep what the encoder `key` said of some texts."""
        self._remember(key, encoded)
        if self._folder is None or not encoded:
            return
        numbers = sorted(encoded)
        arrays = {
            "numbers": np.array(numbers, dtype=np.int64),
            "lengths": np.array([len(encoded[n]) for n in numbers], dtype=np.int64),
            "values": np.concatenate([encoded[n] for n in numbers]),
        }
        folder = self._folder_of(key)
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(arrays["numbers"].tobytes()).hexdigest()
        fresh = folder / f".{uuid.uuid4().hex}"
        save_file(arrays, fresh)
        fresh.replace(folder / f"{name}.safetensors")
        self._read.add(folder / f"{name}.safetensors")
        self._clear_files()

    def _folder_of(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()[:_FOLDER_CHARACTERS]
        return self._folder / digest if self._folder is not None else Path(digest)

    def _remember(self, key: str, encoded: Mapping[int, Encoded]) -> None:
        for number, values in encoded.items():
            if (key, number) not in self._memory:
                self._memory[key, number] = values
                self._bytes += values.nbytes
        if self._bytes <= self.most_bytes:
            return
        self._read.clear()  # what is dropped may be read again
        for oldest in list(self._memory):
            if self._bytes <= self.most_bytes * _AFTER_CLEARING:
                break
            self._bytes -= self._memory.pop(oldest).nbytes

    def _read_files(self, key: str) -> None:
        if self._folder is None:
            return
        for path in sorted(self._folder_of(key).glob("*.safetensors")):
            if path in self._read:
                continue
            self._read.add(path)
            try:
                arrays = load_file(path)
                os.utime(path)  # the files that were read last are cleared last
            except FileNotFoundError:  # another process cleared it
                continue
            except SafetensorError:
                path.unlink(missing_ok=True)
                continue
            ends = np.cumsum(arrays["lengths"])[:-1]
            parts = np.split(arrays["values"], ends)
            self._remember(key, dict(zip(arrays["numbers"].tolist(), parts, strict=True)))

    def _clear_files(self) -> None:
        """Delete the files that were not used longest while there is more than may be kept."""
        files = []
        for path in self._folder.rglob("*.safetensors") if self._folder else ():
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                files.append((about.st_mtime_ns, about.st_size, path))
        left = sum(size for _, size, _ in files)
        if left <= self.most_bytes:
            return
        for _, size, path in sorted(files):
            if left <= self.most_bytes * _AFTER_CLEARING:
                break
            path.unlink(missing_ok=True)
            left -= size


KEPT = KeptTexts()
"""This process's. A step says where on the disk (`keep_texts_of`)."""


def keep_texts_of(settings: Settings) -> None:
    """Let this process keep encoded texts under the settings' home."""
    KEPT.keep_in(settings.path(settings.home) / "texts", settings.training.text.cache_mb)
