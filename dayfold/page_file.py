"""A page that is written for the user: whole or not at all, and over nothing but itself."""

from __future__ import annotations

import uuid
from pathlib import Path

from conf.errors import ConfigError


def require_file(path: Path) -> None:
    """Pass if a page can have the name `path`.

    Raises:
        ConfigError: a folder has it.
    """
    if path.is_dir():
        raise ConfigError(
            f"--out {path}: that is a folder, expected the file to write. Next: --out "
            f"{path / 'page.html'}"
        )


def write_page(path: Path, page: str) -> None:
    """Write `page` to `path` by rename; nothing else that lies beside it is touched.

    Raises:
        ConfigError: `path` is a folder.
    """
    require_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # a name that nobody has: beside the page may lie a file of the user's
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
