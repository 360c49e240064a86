"""A lake knows whose it is: another dataset and another key are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.errors import ConfigError
from conf.pseudonym import fingerprint
from feature_store.identity import identity_of, require_key

ONE, OTHER = fingerprint(b"1" * 32), fingerprint(b"2" * 32)


def test_the_folder_of_another_dataset_is_refused(tmp_path: Path) -> None:
    begun = identity_of(tmp_path, "simulated")
    assert identity_of(tmp_path, "simulated") == begun
    with pytest.raises(ConfigError, match=r"'simulated', not of 'movies'.*--dataset simulated"):
        identity_of(tmp_path, "movies")


def test_a_key_is_bound_by_the_first_ids_and_then_no_other_passes(tmp_path: Path) -> None:
    begun = identity_of(tmp_path, "simulated")
    require_key(tmp_path, "simulated", OTHER, bind=False)
    require_key(tmp_path, "simulated", ONE, bind=True)
    require_key(tmp_path, "simulated", ONE, bind=False)
    for bind in (True, False):
        with pytest.raises(ConfigError, match=r"another key.*DAYFOLD_KEY"):
            require_key(tmp_path, "simulated", OTHER, bind=bind)
    assert identity_of(tmp_path, "simulated").id == begun.id


@pytest.mark.parametrize("content", ["", "{", "[]", '{"dataset": "simulated"}', '{"colour": 1}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "lake.json").write_text(content)
    with pytest.raises(ConfigError, match=r"lake\.json is damaged"):
        identity_of(tmp_path, "simulated")


def test_a_fingerprint_says_nothing_of_the_key(tmp_path: Path) -> None:
    key = bytes(range(32))
    require_key(tmp_path, "simulated", fingerprint(key), bind=True)
    assert key.hex() not in (tmp_path / "lake.json").read_text()
    assert len(ONE) == 16
    assert ONE != OTHER
