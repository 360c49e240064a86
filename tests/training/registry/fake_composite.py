"""A folder that looks like a composite, for what looks at no weights."""

from __future__ import annotations

import json
from pathlib import Path


def fake_composite(folder: Path, text: str = "weights") -> Path:
    """Write one to `folder`, with a client that is an empty package."""
    for part in ("retriever", "ranker"):
        (folder / part).mkdir(parents=True)
        (folder / part / "weights.safetensors").write_text(text)
    (folder / "composite.json").write_text(json.dumps({"scorer": "mlp"}))
    client = folder / "light" / "dayfold_light"
    client.mkdir(parents=True)
    (client / "__init__.py").touch()
    (folder / "light" / "requirements.txt").write_text("numpy\n")
    (folder / "light" / "data").mkdir()
    (folder / "light" / "data" / "about.json").write_text(json.dumps({"version": text}))
    return folder
