"""The injected bad day: what is flipped, and what the ratios say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.bad_day import ALWAYS, BAD, WITHOUT_GATE, flip, summarised
from benchmarks.retraining import COMMON, POLICIES
from conf.settings import load_settings
from feature_store.days import shift
from feature_store.tables import EXAMPLES
from tests.training.lake_fixture import small_lake

DAY = "2026-01-10"


def test_a_third_of_the_users_have_all_their_labels_turned(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake")
    before = lake.read(EXAMPLES, [DAY]).sort_by("example_id")
    rows = flip(lake, DAY, 3)
    after = lake.read(EXAMPLES, [DAY]).sort_by("example_id")
    users = before["user_index"].to_numpy()
    turned = before["label"].to_numpy() != after["label"].to_numpy()
    assert turned.sum() == rows
    flipped = set(users[turned].tolist())
    assert len(flipped) == len(set(users.tolist())) // 3
    assert np.isin(users, list(flipped)).sum() == rows
    assert before.drop_columns("label").equals(after.drop_columns("label"))


def test_the_ratios_are_over_the_clean_chain_of_the_same_days() -> None:
    days = [shift(BAD, n) for n in range(8)]
    losses = {
        "clean": [0.5] * 8,
        "gated": [0.9, *[0.55] * 7],
        "released": [0.9, 0.5, 0.6, 0.51, 0.5, 0.5, 0.5, 0.5],
    }
    rows = [
        {"arm": arm, "seed": 1, "ds": ds, "log_loss": loss, "promoted": arm != "gated"}
        for arm, mine in losses.items()
        for ds, loss in zip(days, mine, strict=True)
    ]
    assert summarised(rows) == {
        "shops": 1,
        "blocked_by_gate_share": 1,
        "loss_ratio_gated": pytest.approx(1.1),
        "loss_ratio_before_rollback": pytest.approx(1.2),
        "loss_ratio_first_day_back": pytest.approx(1.02),
        "loss_ratio_after_rollback": pytest.approx(1.0),
    }


@pytest.mark.parametrize("settings", [ALWAYS, WITHOUT_GATE, COMMON, *POLICIES.values()])
def test_the_settings_of_benchmarks_are_valid_ones(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they set is refused in a process of its own, an hour later, otherwise."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    load_settings()
