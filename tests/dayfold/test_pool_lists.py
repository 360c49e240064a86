"""Lists while a pool serves: each user's by the version that the servers pick for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dayfold.arms import arm_cells, arms_of_answers, arms_of_days
from dayfold.forget import forget
from dayfold.rollback import release, roll_back
from dayfold.workplace import Workplace
from feature_store.tables import EVERYBODY, RECOMMENDATIONS
from tests.dayfold.forget_fixture import quiet
from tests.dayfold.rollback_fixture import put_back, three_days
from tests.dayfold.test_rollback import WHY, registry_of, serving
from tests.training.promotion_fixture import D2, D3, context_of
from training import recommend
from training.light.release import Release
from training.measures.arms import Arm
from training.registry.pool import named_in_pool, pool_of, set_pool
from training.registry.release import name_in_answers, write_release


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Champions 2, 4 and 6, by D1 to D3."""
    home = tmp_path_factory.mktemp("pool-lists") / "home"
    three_days(home)
    return home


@pytest.fixture
def place(made: Path) -> Iterator[Workplace]:
    with put_back(made) as place:
        yield place


def lists_by_user(place: Workplace) -> dict[str, list[tuple[int, int, str, str]]]:
    """What D3's lists hold, made again."""
    recommend.run(context_of(place.lake(), place.settings, D3))
    found: dict[str, list[tuple[int, int, str, str]]] = {}
    for row in place.lake().read(RECOMMENDATIONS, [D3]).to_pylist():
        cells = (row["model_version"], row["rank"], row["item_id"], row["source"])
        found.setdefault(row["user_id"], []).append(cells)
    return {
        user: sorted(rows, key=lambda cells: int(str(cells[1]))) for user, rows in found.items()
    }


def test_a_users_list_is_by_the_version_that_the_servers_pick(place: Workplace) -> None:
    registry, folder = registry_of(place), place.home / "release-of-test"
    alone = {version: _alone(place, version) for version in (4, 6)}
    set_pool(registry, {4: 0.4, 6: 0.6}, "sticky")
    write_release(registry, pool_of(registry, 6), folder)
    serving = Release(folder).serving
    lists = lists_by_user(place)
    assert lists.keys() == alone[6].keys()
    picked = {4: 0, 6: 0}
    for user, rows in lists.items():
        version = rows[0][0]
        by_server = serving.chosen(user).version
        if user != EVERYBODY:
            picked[version] += 1
            assert registry.version_tags(version)["ds"] == by_server[:10]
        # exactly what that version lists when it serves alone
        assert rows == alone[version][user]
    assert lists[EVERYBODY] == alone[6][EVERYBODY]
    assert min(picked.values()) > 0
    shutil.rmtree(folder)


def _alone(place: Workplace, version: int) -> dict[str, list[tuple[int, int, str, str]]]:
    set_pool(registry_of(place), {version: 1.0}, "sticky")
    lists = lists_by_user(place)
    own = {rows[0][0] for user, rows in lists.items() if user != EVERYBODY}
    assert own == {version}
    return lists


def test_a_pool_that_draws_for_each_request_leaves_the_lists_to_the_champion(
    place: Workplace,
) -> None:
    set_pool(registry_of(place), {4: 0.5, 6: 0.5}, "random")
    assert {rows[0][0] for rows in lists_by_user(place).values()} == {6}


def test_a_blocked_version_makes_no_lists(place: Workplace) -> None:
    set_pool(registry_of(place), {4: 0.5, 6: 0.5}, "sticky")
    roll_back(place, to=None, day=D2, reason=WHY, say=quiet)
    assert {rows[0][0] for rows in lists_by_user(place).values()} == {2}


def test_a_version_that_comes_back_has_no_share_of_the_pool_that_it_left(
    place: Workplace,
) -> None:
    registry, said = registry_of(place), list[str]()
    set_pool(registry, {4: 0.5, 6: 0.5}, "sticky")
    roll_back(place, to=None, day=None, reason=WHY, say=said.append)
    assert "left the pool for good: version 6; no pool is left, version 4 serves alone" in said
    release(place, day=None, version=6, reason=WHY)
    roll_back(place, to=6, day=None, reason=WHY, say=quiet)
    assert pool_of(registry, 6).weights == {6: 1.0}
    assert serving(place) == 6


def test_a_pool_of_the_replaced_champion_goes_with_it(place: Workplace) -> None:
    registry, said = registry_of(place), list[str]()
    set_pool(registry, {3: 0.3, 5: 0.3, 6: 0.4}, "sticky")
    roll_back(place, to=4, day=None, reason=WHY, say=said.append)
    assert "left the pool for good: version 6; no pool is left, version 4 serves alone" in said
    assert named_in_pool(registry) == set()
    assert serving(place) == 4


def test_what_an_earlier_dayfold_left_in_the_pool_is_not_released_into_it(
    place: Workplace,
) -> None:
    registry = registry_of(place)
    roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    set_pool(registry, {2: 0.4, 4: 0.4, 6: 0.2}, "sticky")  # without a look at what is blocked
    release(place, day=None, version=6, reason=WHY)
    assert pool_of(registry, 4).weights == {2: 0.5, 4: 0.5}


def test_a_version_whose_files_are_gone_leaves_its_lists_to_the_champion(place: Workplace) -> None:
    registry = registry_of(place)
    set_pool(registry, {4: 0.5, 6: 0.5}, "sticky")
    shutil.rmtree(registry.version_directory(4))
    result = recommend.run(context_of(place.lake(), place.settings, D3))
    ((ds, text),) = result.warnings
    assert ds == D3
    assert "the champion makes the lists of version 4 too" in text
    lists = place.lake().read(RECOMMENDATIONS, [D3], ["model_version"]).to_pylist()
    assert {row["model_version"] for row in lists} == {6}


def test_a_version_of_a_later_day_makes_no_lists_of_a_day_that_is_run_again(
    place: Workplace,
) -> None:
    set_pool(registry_of(place), {4: 0.5, 6: 0.5}, "sticky")  # 4 was made on D2, 6 on D3
    result = recommend.run(context_of(place.lake(), place.settings, D2))
    ((ds, text),) = result.warnings
    assert ds == D2
    assert f"version 6 too: it was made on {D3}, after {D2}" in text
    lists = place.lake().read(RECOMMENDATIONS, [D2], ["model_version"]).to_pylist()
    assert {row["model_version"] for row in lists} == {4}


def test_a_version_whose_file_is_broken_leaves_its_lists_to_the_champion(place: Workplace) -> None:
    registry = registry_of(place)
    set_pool(registry, {4: 0.5, 6: 0.5}, "sticky")
    (registry.version_directory(4) / "composite.json").write_text("{")
    result = recommend.run(context_of(place.lake(), place.settings, D3))
    assert len(result.warnings) == 1


def test_a_user_who_is_forgotten_leaves_servers_that_run(place: Workplace) -> None:
    folder = place.settings.path(place.settings.serving.release)
    release = Release(folder)
    ((name, before),) = [(one["folder"], one) for one in _released(folder)["versions"]]
    users = json.loads((folder / name / "data" / "users.json").read_text())
    etag, unknown = release.serving.etag, release.recommend({"user_id": "nobody-knows"})
    # of a few users it knows nothing that moves their list
    user = next(u for u in users if release.recommend({"user_id": u}) != unknown)
    forget(place, user, "asked for", quiet)
    assert release.refresh()
    assert release.serving.etag != etag
    (after,) = _released(folder)["versions"]
    assert after["registered_version"] == before["registered_version"]
    assert user not in (folder / after["folder"] / "data" / "users.json").read_text()
    assert release.recommend({"user_id": user}) == release.recommend({"user_id": "nobody-knows"})


def _released(folder: Path) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads((folder / "release.json").read_text())
    return found


def test_without_a_pool_there_is_nothing_to_report(place: Workplace) -> None:
    assert arms_of_days(place.lake(), 14) == []


def test_a_log_is_compared_with_the_champion_by_the_name_that_it_answers_with(
    place: Workplace, tmp_path: Path
) -> None:
    registry = registry_of(place)
    champion, other = name_in_answers(registry, 6), name_in_answers(registry, 4)
    answered = [("a", champion), *((f"u{number}", other) for number in range(5)), ("x", other)]
    lines = [
        {"at": f"{D3}T10:00:00Z", "user_id": user, "version": version, "items": ["i1"]}
        for user, version in (*answered, ("x", champion))
    ]
    log = tmp_path / "answers.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    arms, (warning,) = arms_of_answers(place.lake(), registry, 14, log)
    # the other one answered more users, and is compared all the same
    assert [(arm.version, arm.users) for arm in arms] == [(other, 5), (champion, 1)]
    assert [arm.difference is None for arm in arms] == [False, True]
    assert warning.startswith("1 users were answered by several versions, and were left out")


def test_the_table_says_what_was_compared() -> None:
    arms = [Arm("4", 1200, 0.5, 0.25), Arm("6", 90, 0.6, 0.25, 0.1, -0.02, 0.22)]
    assert arm_cells(arms) == [
        ("v4", "1,200", "0.5000", "25.0%", "-", "-"),
        ("v6", "90", "0.6000", "25.0%", "+0.1000", "[-0.0200, +0.2200]"),
    ]
