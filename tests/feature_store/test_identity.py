"""A lake knows whose it is: another dataset and another key are refused."""

from __future__ import annotations

from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from conf.errors import ConfigError
from conf.pseudonym import fingerprint
from feature_store.identity import identity_of, known_identity, require_key

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


def test_a_lake_that_an_earlier_version_built_is_refused_with_the_way_on(tmp_path: Path) -> None:
    (tmp_path / "lake.json").write_text('{"dataset": "simulated", "id": "abc", "key": null}')
    with pytest.raises(ConfigError, match=r"format 1, expected 2.*new DAYFOLD__HOME"):
        known_identity(tmp_path, "simulated")


def test_a_fingerprint_says_nothing_of_the_key(tmp_path: Path) -> None:
    key = bytes(range(32))
    require_key(tmp_path, "simulated", fingerprint(key), bind=True)
    assert key.hex() not in (tmp_path / "lake.json").read_text()
    assert len(ONE) == 16
    assert ONE != OTHER


def _begin(root: Path, barrier: Barrier, key: str, told: Queue[tuple[str, str]]) -> None:
    barrier.wait()
    identity = identity_of(root, "simulated")
    try:
        require_key(root, "simulated", key, bind=True)
    except ConfigError:
        key = "refused"
    told.put((identity.id, key))


def test_of_writers_that_begin_a_lake_at_once_the_first_says_whose_it_is(tmp_path: Path) -> None:
    writers = 4
    for turn in range(20):
        root, context = tmp_path / str(turn), get_context("fork")
        barrier, told = context.Barrier(writers), context.Queue()
        keys = [fingerprint(bytes([number]) * 32) for number in range(writers)]
        started = [
            context.Process(target=_begin, args=(root, barrier, key, told), daemon=True)
            for key in keys
        ]
        for process in started:
            process.start()
        said = [told.get(timeout=30) for _ in started]
        for process in started:
            process.join(30)
        identity = identity_of(root, "simulated")
        assert {of_lake for of_lake, _ in said} == {identity.id}
        assert sorted(key for _, key in said if key != "refused") == [identity.key]
