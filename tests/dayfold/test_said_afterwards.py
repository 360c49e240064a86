"""What is said, and what the records keep, once a human has changed what serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dayfold import approval, approval_commands, rollback
from dayfold.cli import app
from dayfold.workplace import Workplace
from feature_store.promotion_ledger import PromotionEvent
from tests.dayfold.forget_fixture import quiet
from tests.dayfold.rollback_fixture import AGAIN, D4, put_back, three_days
from tests.dayfold.test_approval import a_day, place_at
from tests.dayfold.test_by_hand import D5
from tests.dayfold.test_rollback import WHY, registry_of
from tests.training.promotion_fixture import D2, D3, context_of, promote, versions_of
from training import publish, recommend, train
from training.registry.pool import set_pool
from training.registry.promotion_runs import log_event
from training.registry.versions import client_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """D1 to D3 promoted versions 2, 4 and 6 by themselves; after D4 version 8 waits."""
    home = tmp_path_factory.mktemp("said-afterwards") / "home"
    three_days(home)
    a_day(place_at(home), D4, AGAIN)
    return home


@pytest.fixture
def place(made: Path) -> Iterator[Workplace]:
    with put_back(made):
        yield place_at(made)


def tags_of(place: Workplace, run_id: str) -> dict[str, str]:
    found: dict[str, str] = client_of(registry_of(place)).get_run(run_id).data.tags
    return found


def approve(place: Workplace) -> PromotionEvent:
    return approval.approve(place, 8, reason=WHY, say=quiet)


def reject(place: Workplace) -> PromotionEvent:
    return approval.reject(place, 8, reason=WHY, say=quiet)


def test_a_version_that_was_answered_for_is_not_said_to_wait(place: Workplace) -> None:
    context = context_of(place.lake(), place.settings, D4)
    assert "version 8 waits: dayfold approve 8" in promote(context).summary
    approve(place)
    said = promote(context).summary
    assert said.startswith("kept version 6 (mlp): mlp: champion")
    assert said.endswith("; a human answered for version 8 before")
    assert "waits" not in said


def test_the_makers_of_lists_are_named_when_the_champion_makes_none(place: Workplace) -> None:
    context = context_of(place.lake(), place.settings, D4)
    assert " lists by version 6 (mlp): " in recommend.run(context).summary
    assert " lists by version 6 (mlp); champion kept" in publish.run(context).summary
    set_pool(registry_of(place), {4: 1.0}, "sticky")
    assert " lists by version 4 (mlp): " in recommend.run(context).summary
    result = publish.run(context)
    assert " lists by version 4 of the pool; champion kept" in result.summary
    ((_, warning),) = result.warnings
    assert warning.startswith("the pool of version 4 serves without champion 6")


def test_an_approval_under_a_pool_without_the_version_does_not_say_that_it_serves(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pool(registry_of(place), {4: 0.5, 6: 0.5}, "sticky")
    monkeypatch.setattr(approval_commands, "workplace_of", lambda *_: place)
    done = CliRunner().invoke(app, ["approve", "8", "--reason", WHY], catch_exceptions=False)
    last = done.output.splitlines()[-1]
    assert "version 8 (mlp) is the champion, but " in last
    assert "serves. Next" not in done.output


@pytest.mark.parametrize("change", [approve, reject])
def test_a_change_by_hand_leaves_who_computed_the_day(
    place: Workplace,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Workplace], PromotionEvent],
) -> None:
    lake, registry = place.lake(), registry_of(place)
    run_id, names = registry.day_run(D4), ("code_version", "config_hash")
    before = {name: tags_of(place, run_id)[name] for name in names}
    monkeypatch.setattr(publish, "code_version", lambda: "of a later commit")
    monkeypatch.setattr(publish, "config_hash", lambda *_: "of a later file")
    change(place)
    publish.run(context_of(lake, place.settings, D4))
    assert {name: tags_of(place, run_id)[name] for name in names} == before
    # a day that nobody changed is of the code that published it last
    publish.run(context_of(lake, place.settings, D3))
    assert tags_of(place, registry.day_run(D3))["code_version"] == "of a later commit"


def note_of(place: Workplace, event: PromotionEvent) -> str:
    note = tags_of(place, log_event(registry_of(place), event))["mlflow.note.content"]
    assert note.endswith(f". {WHY}")
    return note.removesuffix(f". {WHY}")


def test_the_runs_of_changes_say_what_they_block_and_free(place: Workplace) -> None:
    rejected = reject(place)
    assert note_of(place, rejected) == (
        f"rejection after {D4}: v8 is blocked, version 6 goes on and serves"
    )
    freed = rollback.release(place, day=None, version=8, reason=WHY)
    assert note_of(place, freed) == (f"release after {D4}: v8 may be used again; version 6 serves")
    assert tags_of(place, log_event(registry_of(place), freed))["blocked"] == ""
    back = rollback.roll_back(place, to=None, day=D2, reason=WHY, say=quiet)
    assert note_of(place, back).startswith(
        f"rollback after {D4}: version 2 serves in the place of 6; blocked: "
    )
    assert D2 in tags_of(place, log_event(registry_of(place), back))["blocked"]


def test_a_training_and_its_version_name_the_blocked_days_that_they_left_out(
    place: Workplace,
) -> None:
    lake, registry = place.lake(), registry_of(place)
    rollback.roll_back(place, to=None, day=D2, reason=WHY, say=quiet)
    rollback.roll_back(place, to=None, day=D4, reason=WHY, say=quiet)
    context = replace(context_of(lake, place.settings, D5), scorer="mlp")
    assert f" to {D4} without the blocked {D2}, {D4}, " in train.run(context).summary
    a_day(place, D5, AGAIN)
    version = max(versions_of(registry))
    assert registry.version_tags(version)["blocked_days"] == D4  # the fixture's span is one day
    card = (registry.version_directory(version) / "light" / "MODEL_CARD.md").read_text()
    assert f"| of them left out, as blocked | {D4} |" in card
