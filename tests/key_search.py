"""Where a key lies in files, in any of the forms that a program could have left it in."""

from __future__ import annotations

import base64
from pathlib import Path


def forms_of(key: bytes) -> list[bytes]:
    """The key and its two padded forms, as bytes and as text."""
    padded = [bytes(byte ^ pad for byte in key) for pad in (0, 0x36, 0x5C)]
    texts = [form for raw in padded for form in (raw.hex(), raw.hex().upper())]
    encoded = [base64.b64encode(raw).rstrip(b"=")[:-1] for raw in padded]
    return [*padded, *(text.encode() for text in texts), *encoded]


def files_with(root: Path, forms: list[bytes]) -> list[str]:
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if any(form in content for form in forms):
            found.append(str(path.relative_to(root)))
    return found
