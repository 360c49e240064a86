"""The key of the user ids is in the environment or in its file, and nowhere else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.e2e.conftest import Shop
from tests.pipelines.workbench import KEY

pytestmark = [pytest.mark.airflow, pytest.mark.spark]


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


def test_no_file_of_the_home_holds_the_key_after_days_of_runs(shop: Shop) -> None:
    names = {path.name for path in shop.home.rglob("*") if path.is_file()}
    assert {"mlflow.db", "users.json", "lake.json"} <= names
    assert list((shop.home / "logs").rglob("*.log"))
    assert files_with(shop.home, forms_of(KEY)) == []


def test_the_search_would_find_the_key(tmp_path: Path) -> None:
    for number, form in enumerate(forms_of(KEY)):
        (tmp_path / f"{number}.bin").write_bytes(b"x" + form + b"y")
    assert len(files_with(tmp_path, forms_of(KEY))) == len(forms_of(KEY))
