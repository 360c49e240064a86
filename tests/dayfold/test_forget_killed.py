"""Killed at any instant, forgetting goes on and ends the same."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dayfold.forget import forget
from feature_store.ledger import closed_days
from feature_store.tables import (
    EVENTS,
    LEDGER,
    TABLES,
)
from feature_store.tombstones import forgotten_users
from tests.dayfold.forget_fixture import ANNA, DAYS, at, content, files_naming, quiet


class Killed(Exception):
    """What stands for the end of a process between two parts."""


def test_killed_after_any_part_the_same_command_ends_the_same(
    prepared: Path, tmp_path: Path
) -> None:
    spoken: list[str] = []
    whole = at(shutil.copytree(prepared, tmp_path / "whole"))
    done = forget(whole, ANNA, "why", spoken.append)
    expected = content(whole.lake())
    assert len(spoken) >= 20
    for survived in range(0, len(spoken), 4):
        home = shutil.copytree(prepared, tmp_path / f"killed-{survived}")
        place, heard = at(home), iter(range(survived))

        def say(_: str, heard: Iterator[int] = heard) -> None:
            if next(heard, None) is None:
                raise Killed

        with pytest.raises(Killed):
            forget(place, ANNA, "why", say)
        assert forgotten_users(place.lake()) == [ANNA], "the tombstone comes first"
        again = forget(place, ANNA, "another reason", quiet)
        found = content(place.lake())
        # How many commits it took differs; the ledger names the last of them.
        assert found.pop(LEDGER.key)
        assert found == {key: rows for key, rows in expected.items() if key != LEDGER.key}
        assert (again.removed, again.reason, again.raw_days) == (
            done.removed,
            "why",
            done.raw_days,
        )
        left = files_naming(place.lake().root, ANNA)
        assert all(name.startswith("clean/forgotten_v1/") for name in left)
        for ds, day in closed_days(place.lake()).items():
            for table in TABLES:
                if version := day.table_versions.get(table.key):
                    place.lake().read(table, [ds], version=version)
        shutil.rmtree(home)


_ENDLESS = """
import sys
from pathlib import Path
from dayfold.forget import forget
from tests.dayfold.forget_fixture import ANNA, at
forget(at(Path(sys.argv[1])), ANNA, "why", lambda line: print(line, flush=True))
"""


@pytest.mark.slow
def test_killed_by_the_system_at_any_instant_nothing_is_left_half(
    prepared: Path, tmp_path: Path
) -> None:
    home = shutil.copytree(prepared, tmp_path / "home")
    dice = random.Random(3)
    events = at(home).lake().read(EVENTS, DAYS)
    others = events.num_rows - events.column("user_id").to_pylist().count(ANNA)
    for lines in (3, 6, 9):
        with subprocess.Popen(
            [sys.executable, "-c", _ENDLESS, str(home)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(lines):
                process.stdout.readline()
            time.sleep(dice.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert process.returncode in (-signal.SIGKILL, 0)
    assert forget(at(home), ANNA, "why", quiet).state == "done"
    lake = at(home).lake()
    assert lake.read(EVENTS, DAYS).num_rows == others
    assert all(n.startswith("clean/forgotten_v1/") for n in files_naming(lake.root, ANNA))
