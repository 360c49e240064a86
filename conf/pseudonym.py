"""The key that replaces user ids, and the replacement itself.

A pseudonym is the first 32 hex digits (128 bits) of HMAC-SHA256(key, user id) (RFC 2104). The
mapping is kept nowhere: whoever has the key can compute it forwards only.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from conf.errors import ConfigError

KEY_VARIABLE = "DAYFOLD_KEY"
KEY_BYTES = 32
PSEUDONYM_DIGITS = 32


def make_key(path: Path) -> None:
    """Write a new random key to `path` (mode 600) unless there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES))
    # Whole or not at all; of two that make it at once, the first one's is kept.
    with suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def load_key(path: Path) -> bytes:
    """The key: DAYFOLD_KEY (64 hex digits), else the content of `path`.

    Raises:
        ConfigError: there is none, it is malformed, or others may read the file.
    """
    text = os.environ.get(KEY_VARIABLE)
    source = KEY_VARIABLE
    if text is None:
        source = str(path)
        if not path.exists():
            raise ConfigError(
                f"There is no key for the user ids: expected {KEY_VARIABLE} or {path}. "
                f"Next: `dayfold key` makes one; keep it, a new key gives every user a new id."
            )
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} may be read by others. Next: chmod 600 {path}")
        text = path.read_text(errors="replace").strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{source} must hold {2 * KEY_BYTES} hex digits. Next: put the key back that the "
            "lake's ids were made with; if there are none yet, delete it and run `dayfold key`."
        )
    return key


def fingerprint(key: bytes) -> str:
    """16 hex digits that tell one key from another and say nothing about it."""
    return hmac.new(key, b"dayfold: fingerprint of this key", hashlib.sha256).hexdigest()[:16]


def pseudonym(key: bytes, user_id: str) -> str:
    """The pseudonym of `user_id`."""
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_DIGITS]
