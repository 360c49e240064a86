"""The home of a replay: figures are of the code that ran all of its days."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.replay import MARK, prepare
from conf.dataset import load_dataset
from conf.errors import ConfigError
from feature_store.lake import Lake
from feature_store.ledger import close_day
from tests.training.log_fixture import LINEAGE

NAME = "movielens-100k"


def run_days(home: Path) -> None:
    lake = Lake(home / "lake" / NAME, load_dataset(NAME))
    for ds in ("1998-03-24", "1998-03-25"):
        close_day(lake, ds, "published", "by hand", LINEAGE, {})


def test_a_home_in_which_days_were_run_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    prepare(home, NAME, fresh=False)
    prepare(home, NAME, fresh=False)  # nothing was run yet
    run_days(home)
    refused = r"2 closed days \(1998-03-24 to 1998-03-25\), expected none.*--fresh"
    with pytest.raises(ConfigError, match=refused):
        prepare(home, NAME, fresh=False)
    prepare(home, "online-retail", fresh=False)


def test_fresh_deletes_a_replay_and_begins_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    prepare(home, NAME, fresh=True)
    run_days(home)
    prepare(home, NAME, fresh=True)
    assert [path.name for path in home.iterdir()] == [MARK]


def test_fresh_deletes_nothing_that_no_replay_made(tmp_path: Path) -> None:
    run_days(tmp_path)
    with pytest.raises(ConfigError, match=r"was not made by a replay.*Nothing was deleted"):
        prepare(tmp_path, NAME, fresh=True)
    assert (tmp_path / "lake" / NAME).exists()


def test_a_replay_into_somebody_elses_home_does_not_make_it_its_own(tmp_path: Path) -> None:
    (tmp_path / "pseudonym.key").write_text("precious")
    prepare(tmp_path, NAME, fresh=False)
    with pytest.raises(ConfigError, match=r"was not made by a replay"):
        prepare(tmp_path, NAME, fresh=True)
    assert (tmp_path / "pseudonym.key").read_text() == "precious"
