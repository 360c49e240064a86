"""`dayfold rollback`: what served before serves again, and what was bad is left out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from conf.errors import ConfigError, DayfoldError, MissingPartition
from dayfold.rollback import release, resume, roll_back
from dayfold.rollback_commands import rollback
from dayfold.workplace import Workplace
from feature_store.champion import standing_after, standing_before
from feature_store.lake import Lake
from feature_store.ledger import close_day
from feature_store.locks import changing_what_serves
from feature_store.online import open_online_store
from feature_store.promotion_ledger import all_events, begun, blocked_now, write_event
from feature_store.tables import CANDIDATES, EXAMPLES, RECOMMENDATIONS, SCORE_MAPS
from tests.dayfold.forget_fixture import quiet
from tests.dayfold.rollback_fixture import D4, put_back, three_days
from tests.training.promotion_fixture import D1, D2, D3, context_of, promote
from training import train
from training.drift.counted_days import score_maps
from training.fitting.checkpoint import load_checkpoint
from training.registry.pool import named_in_pool, pool_of, set_pool
from training.registry.registry import Registry
from training.rollback import rollback_event

WHY = "labels of that day were flipped"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with D1 to D3, which promoted versions 2, 4 and 6; only to be copied."""
    home = tmp_path_factory.mktemp("three-days") / "home"
    three_days(home)
    return home


@pytest.fixture
def place(made: Path) -> Iterator[Workplace]:
    with put_back(made) as place:
        yield place


def registry_of(place: Workplace) -> Registry:
    return Registry(place.settings, place.lake().id)


def serving(place: Workplace) -> int:
    folder = place.settings.path(place.settings.serving.release)
    (one,) = json.loads((folder / "release.json").read_text())["versions"]
    return int(one["registered_version"])


def test_a_bad_day_is_undone_everywhere_and_left_out(place: Workplace) -> None:
    lake, registry = place.lake(), registry_of(place)
    assert serving(place) == 6
    said: list[str] = []
    event = roll_back(place, to=None, day=D2, reason=WHY, say=said.append)
    assert (event.version, event.replaced_version, event.day) == (2, 6, D2)
    ending = "after the rollback, in place of the day's version 6"
    assert f"lists by version 2 (mlp), {ending}" in said[-1]
    before = standing_before(lake, D2)
    assert standing_after(lake, D3) == standing_before(lake, D4) == before
    assert before is not None
    assert before.heads == {"two_tower": 1, "mlp": 2}
    assert registry.aliases() == {"champion": 2, "head-two_tower": 1, "head-mlp": 2}
    # days that are over stand as they stood
    standing = standing_after(lake, D2)
    assert standing is not None
    assert standing.version == 4
    lists = lake.read(RECOMMENDATIONS, [D3], ["model_version", "source"]).to_pylist()
    assert {row["model_version"] for row in lists} == {2}
    found = open_online_store(place.settings).read_list("*")
    assert found is not None
    assert (found.ds, found.model_version) == (D3, 2)
    assert serving(place) == 2
    blocked = blocked_now(lake)
    assert blocked.days == {D2}
    assert {4, 6} <= blocked.versions
    assert not {1, 2} & blocked.versions


def test_the_next_training_starts_before_the_bad_day_and_never_saw_it(place: Workplace) -> None:
    lake, settings = place.lake(), place.settings
    other = place.home.with_name("never")
    roll_back(place, to=None, day=D2, reason=WHY, say=quiet)
    rows = trained(lake, settings, "mlp")
    assert (rows["parent_version"], rows["first_day"]) == (2, "2026-01-08")
    weights = load_checkpoint(place.home / str(rows["directory"])).net.state_dict()
    # a lake that never had that day's examples, and whose champion is that of D1
    shutil.copytree(lake.root, other)
    never = Lake(other, lake.dataset)
    never.clear(EXAMPLES, [D2], {"step": "test"})
    same = trained(never, settings, "mlp")
    assert (same["parent_version"], same["rows"]) == (2, rows["rows"])
    expected = load_checkpoint(place.home / str(same["directory"])).net.state_dict()
    assert weights.keys() == expected.keys()
    assert all(bool((weights[name] == expected[name]).all()) for name in weights)
    shutil.rmtree(other)
    # released, the day is trained on
    release(place, day=D2, version=None, reason="mended")
    assert blocked_now(lake).days == frozenset()
    assert trained(lake, settings, "mlp")["rows"] > rows["rows"]


def trained(lake: Lake, settings: Any, scorer: str) -> dict[str, Any]:
    train.run(replace(context_of(lake, settings, D4), scorer=scorer))
    found = {row["scorer"]: row for row in lake.read(CANDIDATES, [D4]).to_pylist()}
    return dict(found[scorer])


def test_the_version_before_comes_back_and_the_replaced_one_is_blocked(place: Workplace) -> None:
    lake = place.lake()
    event = roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    assert (event.version, event.replaced_version, event.versions) == (4, 6, (6,))
    assert blocked_now(lake).days == frozenset()
    assert registry_of(place).aliases()["previous"] == 2
    again = roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    assert (again.version, again.replaced_version) == (2, 4)
    with pytest.raises(MissingPartition, match="there is nothing to go back to"):
        roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    assert [e.kind for e in all_events(lake)] == ["promotion"] * 3 + ["rollback"] * 2


def test_a_version_that_served_comes_back_by_its_number(place: Workplace) -> None:
    assert roll_back(place, to=2, day=None, reason=WHY, say=quiet).versions == (4, 6)
    with pytest.raises(DayfoldError, match=r"Version 4 is blocked\. Next: dayfold release"):
        roll_back(place, to=4, day=None, reason=WHY, say=quiet)
    release(place, day=None, version=4, reason="it was right after all")
    assert roll_back(place, to=4, day=None, reason=WHY, say=quiet).version == 4
    assert serving(place) == 4


def test_what_was_taken_back_on_its_own_day_comes_back_when_it_is_released(
    place: Workplace,
) -> None:
    lake = place.lake()
    promoted = standing_after(lake, D3)
    assert roll_back(place, to=None, day=None, reason=WHY, say=quiet).version == 4
    release(place, day=None, version=6, reason="it was right after all")
    event = roll_back(place, to=6, day=None, reason=WHY, say=quiet)
    assert (event.version, event.versions) == (6, ())
    assert standing_after(lake, D3) == promoted
    assert serving(place) == 6
    # 4 had served before, so it is not bad: the way back is open
    assert roll_back(place, to=None, day=None, reason=WHY, say=quiet).version == 4


def test_a_bad_day_before_the_first_champion_is_left_out(place: Workplace) -> None:
    lake, early = place.lake(), "2026-01-07"
    close_day(lake, early, "history", "by hand", {"step": "test", "ds": early})
    standing, said = standing_after(lake, D3), list[str]()
    event = roll_back(place, to=None, day=early, reason=WHY, say=said.append)
    assert (event.version, event.versions) == (6, ())
    assert "goes on serving" in said[0]
    assert "it may have learned from it" in said[1]
    assert standing_after(lake, D3) == standing
    assert blocked_now(lake).days == {early}
    assert serving(place) == 6


def test_what_serves_since_before_a_bad_day_stays_and_the_day_is_blocked(place: Workplace) -> None:
    """After going back past it, `--day` may not bring back what a human went away from."""
    lake = place.lake()
    roll_back(place, to=2, day=None, reason=WHY, say=quiet)
    event = roll_back(place, to=None, day=D3, reason=WHY, say=quiet)
    assert (event.version, event.replaced_version, event.day) == (2, 2, D3)
    assert blocked_now(lake).days == {D3}
    assert {4, 6} <= blocked_now(lake).versions
    assert dict(event.heads) == {"two_tower": 1, "mlp": 2}
    assert serving(place) == 2


def test_the_first_champion_was_trained_before_its_own_day_and_comes_back(
    place: Workplace,
) -> None:
    event = roll_back(place, to=None, day=D1, reason=WHY, say=quiet)
    assert (event.version, event.versions) == (2, (3, 4, 5, 6))
    assert serving(place) == 2


def test_a_pool_loses_what_a_rollback_blocks(place: Workplace) -> None:
    registry = registry_of(place)
    set_pool(registry, {6: 0.5, 4: 0.25, 2: 0.25}, "sticky")
    roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    folder = place.settings.path(place.settings.serving.release)
    found = json.loads((folder / "release.json").read_text())["versions"]
    assert {one["registered_version"]: one["weight"] for one in found} == {4: 0.5, 2: 0.5}
    assert named_in_pool(registry) == {4, 2}
    blocked = blocked_now(place.lake()).versions
    with pytest.raises(ConfigError, match="Version 6 was rolled back or rejected"):
        set_pool(registry, {6: 1.0}, "sticky", blocked)
    assert pool_of(registry, 4, frozenset({2, 4, 6})).weights == {4: 1.0}


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no reason": ({"reason": " "}, "--reason is empty: say why"),
    "two ways": ({"to": 2, "day": D2}, "--to and --day are two ways of going back"),
    "a version that never served": (
        {"to": 3},
        r"--to 3: that version never served, expected one of \[2, 4, 6\]",
    ),
    "a version that is not there": ({"to": 99}, "--to 99: that version never served"),
    "the champion": ({"to": 6}, "Version 6 serves already"),
    "a day to come": ({"day": D4}, f"--day {D4}: expected a day .* from {D1} to {D3}"),
    "a day before all": ({"day": "2026-01-02"}, "--day 2026-01-02: expected a day"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_and_changes_nothing(place: Workplace, name: str) -> None:
    asked, message = MISTAKES[name]
    with pytest.raises(DayfoldError, match=message):
        roll_back(place, **{"to": None, "day": None, "reason": WHY, "say": quiet, **asked})
    assert len(all_events(place.lake())) == 3
    assert serving(place) == 6


def test_what_is_not_blocked_cannot_be_released(place: Workplace) -> None:
    with pytest.raises(MissingPartition, match=f"{D2} is not blocked; blocked are: none"):
        release(place, day=D2, version=None, reason=WHY)
    with pytest.raises(ConfigError, match="Expected one of --day D and --version V"):
        release(place, day=None, version=None, reason=WHY)
    with pytest.raises(MissingPartition, match="No rollback waits for its end"):
        resume(place, quiet)


def test_a_rollback_that_a_later_day_overtook_is_withdrawn(place: Workplace) -> None:
    lake, registry = place.lake(), registry_of(place)
    event = rollback_event(lake, registry, D3, to=None, day=None, reason=WHY, actor="me")
    write_event(lake, begun(lake, event), "intent")
    close_day(lake, D4, "published", "by hand", {"step": "test", "ds": D4})
    with pytest.raises(DayfoldError, match="it is withdrawn"):
        resume(place, quiet)
    with pytest.raises(MissingPartition, match="No rollback waits for its end"):
        resume(place, quiet)


def test_two_at_once_are_one_after_the_other(place: Workplace) -> None:
    lake = place.lake()
    with changing_what_serves(lake.root), pytest.raises(DayfoldError, match="is at work"):
        roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    assert len(all_events(lake)) == 3
    roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    with changing_what_serves(lake.root), pytest.raises(DayfoldError, match="is at work"):
        release(place, day=None, version=6, reason=WHY)
    assert blocked_now(lake).versions == {6}


def test_going_on_and_going_elsewhere_are_two_commands() -> None:
    with pytest.raises(ConfigError, match=r"--resume goes on .* and --to 3 asks for another"):
        rollback(to=3, resume=True)
    with pytest.raises(ConfigError, match=f"--day {D2} asks for another"):
        rollback(to=None, day=D2, resume=True)


def test_each_event_has_one_run_and_a_day_run_again_adds_none(place: Workplace) -> None:
    lake, registry = place.lake(), registry_of(place)
    roll_back(place, to=None, day=D2, reason=WHY, say=quiet)
    champion = registry.aliases()
    promote(context_of(lake, place.settings, D3))
    assert registry.aliases() == champion  # a rollback since has set them
    standing = standing_after(lake, D3)
    assert standing is not None
    assert standing.version == 2
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
    runs = client.search_runs([registry.experiment_id], "tags.`dayfold.kind` = 'promotion'")
    assert sorted(run.data.tags["kind"] for run in runs) == ["promotion"] * 3 + ["rollback"]
    told = next(run.data.tags for run in runs if run.data.tags["kind"] == "rollback")
    assert (told["version"], told["replaced_version"]) == ("2", "6")
    assert told["reason"] == WHY
    assert D2 in told["blocked"]


def test_scores_of_the_replaced_version_are_carried_to_the_one_that_came_back(
    place: Workplace,
) -> None:
    lake = place.lake()
    own = lake.read(SCORE_MAPS, [D3]).num_rows
    roll_back(place, to=None, day=D2, reason=WHY, say=quiet)
    assert lake.read(SCORE_MAPS, [D3]).num_rows == own + 200
    maps = score_maps(lake, D1, D4)
    assert maps[6][0] == 2
    assert maps[4][0] == 6
    promote(context_of(lake, place.settings, D3))  # the day is run again
    again = score_maps(lake, D1, D4)
    assert {version: to for version, (to, _) in again.items()} == {2: 4, 4: 6, 6: 2}
    assert (again[6][1] == maps[6][1]).all()
