"""What is personal is declared by name, once, and only where it can be protected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from conf.dataset import load_dataset
from conf.errors import ConfigError

DECLARED: dict[str, Any] = {
    "name": "shop",
    "user_attributes": [
        {"name": "city", "kind": "categorical"},
        {"name": "interests", "kind": "multi"},
    ],
    "item_attributes": [{"name": "category", "kind": "categorical"}],
    "context": ["device", "ip"],
    "positive": {"click": 1.0},
    "labels": {"kind": "impressions"},
    "recommend": {"category_attribute": "category"},
}


def load(folder: Path, **personal: list[str]) -> Any:
    (folder / "shop.yaml").write_text(yaml.safe_dump({**DECLARED, "personal": personal}))
    return load_dataset("shop", folder).personal


def test_fields_need_not_be_declared_otherwise(tmp_path: Path) -> None:
    found = load(tmp_path, drop=["pin", "interests"], mask=["eMail"], truncate_ip=["ip", "home_ip"])
    assert found.starred == ("eMail", "ip", "home_ip")
    assert found.unread == {"pin", "interests", "eMail"}


@pytest.mark.parametrize(
    ("personal", "named"),
    [
        ({"drop": ["user_id"]}, r"personal\.drop: 'user_id' is a field of Dayfold's own"),
        ({"mask": ["masked_line"]}, r"personal\.mask: 'masked_line'.*own"),
        ({"mask": ["category"]}, r"personal\.mask: 'category' is recommend\.category_attribute"),
        ({"truncate_ip": ["interests"]}, r"personal\.truncate_ip: 'interests' holds no text"),
        ({"drop": ["City"]}, r"personal\.drop: 'City' differs from 'city' by its case"),
        ({"drop": ["pin"], "mask": ["pin"]}, r"\['pin'\] are named twice"),
        ({"drop": ["a.b"]}, r"\['a.b'\] are no field names"),
        ({"shred": ["pin"]}, r"personal\.shred"),
    ],
)
def test_what_cannot_be_protected_is_refused_by_its_key(
    tmp_path: Path, personal: dict[str, list[str]], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        load(tmp_path, **personal)
