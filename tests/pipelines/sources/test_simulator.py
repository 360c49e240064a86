from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import log_loss, roc_auc_score

from conf.errors import ConfigError
from pipelines.sources.simulator import PlantedDrift, SimulationSettings, simulate
from pipelines.sources.simulator.behaviour import DayOfUse, live_day
from pipelines.sources.simulator.concept import Impressions, sigmoid
from pipelines.sources.simulator.truth import measure
from pipelines.sources.simulator.words import CATEGORIES
from pipelines.sources.simulator.world import World

Rows = Callable[[Path, str, str], list[dict[str, Any]]]
Tree = Callable[[Path], dict[str, bytes]]

START = date(2026, 1, 1)
SMALL = SimulationSettings(users=150, items=60, seed=3, world_start=START, new_users_per_day=2)
SIMULATES_SIX_DAYS = """
import sys
from pathlib import Path
from pipelines.sources.simulator import SimulationSettings, simulate

settings = SimulationSettings.model_validate_json(sys.argv[2])
simulate(Path(sys.argv[1]), "2026-01-01", "2026-01-06", settings)
"""


def _days(number: int) -> list[str]:
    return [f"2026-01-{day:02d}" for day in range(1, number + 1)]


def _drifted(kind: str, size: float, **changes: object) -> SimulationSettings:
    drift = {"day": "2026-01-03", "kind": kind, "size": size}
    return SimulationSettings.model_validate({"drift": (drift,), "world_start": START, **changes})


def _live(settings: SimulationSettings, ds: str) -> DayOfUse:
    return live_day(World(settings, START), date.fromisoformat(ds).toordinal())


@pytest.fixture(scope="module")
def in_bulk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("bulk")
    simulate(raw, "2026-01-01", "2026-01-10", SMALL)
    return raw


def test_days_alone_in_any_order_have_the_bytes_of_the_bulk(
    in_bulk: Path, tmp_path: Path, tree_of: Tree
) -> None:
    for ds in ["2026-01-09", *reversed(_days(10))]:
        simulate(tmp_path, ds, ds, SMALL)
    assert tree_of(tmp_path) == tree_of(in_bulk)


def test_one_day_into_an_empty_raw_zone_has_the_bytes_of_the_bulk(
    in_bulk: Path, tmp_path: Path, tree_of: Tree
) -> None:
    simulate(tmp_path, "2026-01-10", "2026-01-10", SMALL)
    bulk = tree_of(in_bulk)
    alone = {name: data for name, data in tree_of(tmp_path).items() if "ds=" in name}
    assert len(alone) >= 6
    assert {name: bulk[name] for name in alone} == alone


def test_another_seed_is_another_world(tmp_path: Path, in_bulk: Path, tree_of: Tree) -> None:
    simulate(tmp_path, "2026-01-01", "2026-01-01", SMALL.model_copy(update={"seed": 4}))
    name = "events/ds=2026-01-01/part-00000.jsonl.gz"
    assert tree_of(tmp_path)[name] != tree_of(in_bulk)[name]


def test_a_killed_simulation_is_repaired_by_running_it_again(tmp_path: Path, tree_of: Tree) -> None:
    raw, reference = tmp_path / "killed", tmp_path / "reference"
    command = [sys.executable, "-c", SIMULATES_SIX_DAYS, str(raw), SMALL.model_dump_json()]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 30
        while not (raw / "events" / "ds=2026-01-03").exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -9
    assert not (raw / "events" / "ds=2026-01-06" / "_SUCCESS").exists()
    simulate(raw, "2026-01-01", "2026-01-06", SMALL)
    simulate(reference, "2026-01-01", "2026-01-06", SMALL)
    assert tree_of(raw) == tree_of(reference)


def test_nobody_and_nothing_is_in_an_event_before_its_row(in_bulk: Path, rows_of: Rows) -> None:
    users: set[str] = set()
    items: set[str] = set()
    for ds in _days(5):
        users |= {row["user_id"] for row in rows_of(in_bulk, "profiles", ds)}
        items |= {row["item_id"] for row in rows_of(in_bulk, "items", ds)}
        use = _live(SMALL, ds)
        assert {f"u{user:06d}" for user in use.events.user.tolist()} <= users
        assert {f"i{item:05d}" for item in use.events.item.tolist()} <= items


def test_users_and_items_join_and_profiles_change(in_bulk: Path, rows_of: Rows) -> None:
    first = {row["user_id"]: row for row in rows_of(in_bulk, "profiles", "2026-01-01")}
    later = [row for ds in _days(10)[1:] for row in rows_of(in_bulk, "profiles", ds)]
    joined = [row for row in later if row["user_id"] not in first]
    changed = [row for row in later if row["user_id"] in first]
    assert len(first) == SMALL.users
    assert len({row["user_id"] for row in joined}) == 2 * 9
    assert any(row["interests"] != first[row["user_id"]]["interests"] for row in changed)
    assert all(row["age_band"] == first[row["user_id"]]["age_band"] for row in changed)
    assert sum(len(rows_of(in_bulk, "items", ds)) for ds in _days(10)) == SMALL.items + 2 * 9


def test_an_item_reads_like_an_item(in_bulk: Path, rows_of: Rows) -> None:
    for row in rows_of(in_bulk, "items", "2026-01-01"):
        assert row["category"] in CATEGORIES
        assert row["category"] in row["description"]
        assert all(tag in row["description"] for tag in row["tags"])
        assert row["title"].split(" by ")[0].split(" ", 1)[1].lower() in row["description"]
        assert row["available_until"] is None or row["available_until"] > "2026-01-01"


def test_a_slate_shows_different_items_at_one_time_to_one_user() -> None:
    use = _live(SimulationSettings(world_start=START), "2026-01-01")
    shown = use.events.take(np.arange(len(use.probabilities)))
    slates, sizes = np.unique(shown.slate, return_counts=True)
    assert set(sizes.tolist()) <= {8, 9, 10}
    for column in (shown.user, shown.happened_ms, shown.device):
        assert len(np.unique(np.stack([shown.slate, column]), axis=1).T) == len(slates)
    assert len(np.unique(np.stack([shown.slate, shown.item]), axis=1).T) == len(shown)
    assert len(np.unique(np.stack([shown.slate, shown.position]), axis=1).T) == len(shown)


def test_a_click_follows_its_impression_within_half_an_hour() -> None:
    use = _live(SimulationSettings(world_start=START), "2026-01-01")
    events = use.events
    shown_ms = {
        (slate, item): time_ms
        for kind, slate, item, time_ms in zip(
            events.kind, events.slate, events.item, events.happened_ms, strict=True
        )
        if kind == 0
    }
    clicks = events.take(events.kind == 1)
    waits = [
        time_ms - shown_ms[slate, item]
        for slate, item, time_ms in zip(clicks.slate, clicks.item, clicks.happened_ms, strict=True)
    ]
    assert min(waits) >= 1000
    assert max(waits) <= 30 * 60_000
    assert np.median(waits) < 120_000


def test_the_measured_truth_agrees_with_an_independent_formula() -> None:
    use = _live(SMALL, "2026-01-02")
    measured = measure(use)
    auc = roc_auc_score(use.clicked, use.probabilities)
    assert measured["oracle_auc"] == pytest.approx(auc, abs=1e-6)
    loss = log_loss(use.clicked, use.probabilities)
    assert measured["oracle_log_loss"] == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 7, 11])
def test_clicks_are_as_frequent_and_as_predictable_as_promised(seed: int) -> None:
    use = _live(SimulationSettings(world_start=START, seed=seed), "2026-01-08")
    measured = measure(use)
    assert 12_000 < measured["impressions"] < 18_000
    assert 0.12 < measured["expected_ctr"] < 0.18
    assert measured["oracle_auc"] is not None
    assert 0.72 < measured["oracle_auc"] < 0.79
    share_clicked = measured["clicks"] / measured["impressions"]
    assert share_clicked == pytest.approx(measured["expected_ctr"], abs=0.015)


def test_the_log_tells_more_than_popularity_does() -> None:
    """Knowing the user's interests must beat even the true mean click rate of each item."""
    settings = SimulationSettings(world_start=START)
    world, ordinal = World(settings, START), START.toordinal() + 4
    use = live_day(world, ordinal)
    shown = use.events.take(np.arange(len(use.probabilities)))
    users, items = world.users(ordinal), world.items(ordinal)
    popularity = np.bincount(shown.item, use.probabilities) / np.maximum(np.bincount(shown.item), 1)
    interests = users.interests[users.numbers, users.version(4)]
    match = interests[shown.user, items.category[shown.item]]
    by_popularity = popularity[shown.item]
    assert use.clicked[match].mean() > 1.8 * use.clicked[~match].mean()
    with_interests = roc_auc_score(use.clicked, np.log(by_popularity) + 1.3 * match)
    assert with_interests > roc_auc_score(use.clicked, by_popularity) + 0.03


def test_weekends_and_evenings_are_busier() -> None:
    settings = SimulationSettings(world_start=START)
    saturday, tuesday = _live(settings, "2026-01-10"), _live(settings, "2026-01-13")
    assert len(saturday.events) > 1.2 * len(tuesday.events)
    hours = np.bincount(saturday.events.happened_ms // 3_600_000 % 24, minlength=24)
    assert hours[20] > 5 * hours[3]


def _as_impressions(use: DayOfUse) -> Impressions:
    shown = use.events.take(np.arange(len(use.probabilities)))
    hour = shown.happened_ms // 3_600_000 % 24
    return Impressions(shown.user, shown.item, shown.position, shown.device, shown.place, hour)


@pytest.mark.parametrize(("kind", "size"), [("ctr", 0.5), ("taste", 0.7), ("covariate", 1.0)])
def test_a_drift_changes_nothing_before_its_day_and_much_from_then_on(
    kind: str, size: float
) -> None:
    calm = SimulationSettings(world_start=START)
    drifted = _drifted(kind, size)
    assert np.array_equal(_live(calm, "2026-01-02").clicked, _live(drifted, "2026-01-02").clicked)

    ordinal = date(2026, 1, 3).toordinal()
    world = World(calm, START)
    use = _live(drifted, "2026-01-03")
    believed = sigmoid(
        world.concept.logits(
            _as_impressions(use), world.users(ordinal), world.items(ordinal), world.today(ordinal)
        )
    )
    observed_to_expected = use.clicked.sum() / believed.sum()
    lost_auc = roc_auc_score(use.clicked, use.probabilities) - roc_auc_score(use.clicked, believed)
    if kind == "ctr":
        assert observed_to_expected > 1.25
        assert lost_auc == pytest.approx(0, abs=1e-9)
    elif kind == "taste":
        assert lost_auc > 0.04
    else:
        assert np.array_equal(believed, use.probabilities)
        young = world.users(ordinal).age <= 1
        before = _live(calm, "2026-01-03").events.user
        assert young[use.events.user].mean() > young[before].mean() + 0.15


def test_the_raw_zone_refuses_another_world_and_takes_new_drifts_for_days_to_come(
    tmp_path: Path,
) -> None:
    settings = SMALL.model_copy(update={"world_start": None})
    simulate(tmp_path, "2026-01-01", "2026-01-02", settings)
    with pytest.raises(ConfigError, match=r"seed: 3 before, 9 now.*--raw DIR"):
        simulate(tmp_path, "2026-01-03", "2026-01-03", settings.model_copy(update={"seed": 9}))
    with pytest.raises(ConfigError, match="on or after the world's first, 2026-01-01"):
        simulate(tmp_path, "2025-12-31", "2025-12-31", settings)
    past, future = (
        settings.model_copy(update={"drift": (PlantedDrift(day=day, kind="ctr", size=1.0),)})
        for day in (date(2026, 1, 2), date(2026, 1, 3))
    )
    with pytest.raises(ConfigError, match="drift: "):
        simulate(tmp_path, "2026-01-03", "2026-01-03", past)
    simulate(tmp_path, "2026-01-03", "2026-01-03", future)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "taste", "size": 1.5},
        {"kind": "covariate", "size": -1},
        {"kind": "mood", "size": 1},
    ],
)
def test_a_drift_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PlantedDrift.model_validate({"day": "2026-01-01", **wrong})
