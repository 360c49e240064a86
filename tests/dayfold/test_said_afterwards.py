"""What is said, and what the records keep, once a human has changed what serves."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dayfold import (
    approval,
    approval_commands,
    by_hand,
    pool_commands,
    rollback,
    rollback_commands,
)
from dayfold.cli import app
from dayfold.status import collect_status, status_table
from dayfold.workplace import Workplace
from feature_store.ledger import close_day
from feature_store.promotion_ledger import PromotionEvent, blocked_now
from tests.dayfold.forget_fixture import quiet
from tests.dayfold.rollback_fixture import AGAIN, D4, put_back, three_days
from tests.dayfold.test_approval import a_day, place_at
from tests.dayfold.test_by_hand import D5
from tests.dayfold.test_rollback import WHY, registry_of, serving
from tests.training.promotion_fixture import D2, D3, context_of, promote, versions_of
from training import publish, recommend, train
from training.registry.pool import set_pool
from training.registry.promotion_runs import log_event
from training.registry.release import write_release
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


def test_a_bad_day_takes_back_what_was_approved_by_its_labels(place: Workplace) -> None:
    """It was trained on the days before, but passed its gate on the bad one."""
    approve(place)
    event = rollback.roll_back(place, to=None, day=D4, reason=WHY, say=quiet)
    assert (event.version, event.replaced_version) == (6, 8)
    assert 8 in event.versions
    assert serving(place) == 6


def test_a_bad_day_blocks_what_waits_and_heads_by_its_labels(place: Workplace) -> None:
    """8 waits, 7 became a parent: both passed their gates on D4. What serves never saw the day."""
    registry, lake = registry_of(place), place.lake()
    write_release(
        registry,
        set_pool(registry, {6: 0.5, 8: 0.5}, "sticky"),
        place.settings.path(place.settings.serving.release),
    )
    rollback.roll_back(place, to=4, day=None, reason=WHY, say=quiet)
    set_pool(registry, {4: 0.5, 8: 0.5}, "sticky")
    event = rollback.roll_back(place, to=None, day=D4, reason=WHY, say=quiet)
    assert (event.version, event.replaced_version) == (4, 4)
    assert {7, 8} <= blocked_now(lake).versions
    assert not {7, 8} & set(event.heads.values())
    assert event.heads
    assert serving(place) == 4


def test_where_a_bad_day_began_with_a_bad_version_it_goes_further_back(place: Workplace) -> None:
    for _ in range(2):
        rollback.roll_back(place, to=None, day=None, reason=WHY, say=quiet)  # 6 and 4 were bad
    rollback.release(place, day=None, version=6, reason=WHY)
    rollback.roll_back(place, to=6, day=None, reason=WHY, say=quiet)
    event = rollback.roll_back(place, to=None, day=D3, reason=WHY, say=quiet)
    assert (event.version, event.replaced_version, event.day) == (2, 6, D3)


def test_an_approval_that_is_resumed_blocks_no_day(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(by_hand, "run_step", dies)
        with pytest.raises(KeyboardInterrupt):
            approve(place)
    monkeypatch.setattr(rollback_commands, "open_workplace", lambda _: place)
    done = CliRunner().invoke(app, ["rollback", "--resume"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "version 8 (mlp) serves. Next: dayfold history" in done.output
    assert "blocked" not in done.output
    assert "before" not in done.output


def test_a_rollback_that_moved_nothing_is_not_said_to_have_made_the_champion(
    place: Workplace,
) -> None:
    early, lake = "2026-01-07", place.lake()
    close_day(lake, early, "history", "by hand", {"step": "test", "ds": early})
    approve(place)
    said: list[str] = []
    event = rollback.roll_back(place, to=None, day=early, reason=WHY, say=said.append)
    assert event.version == event.replaced_version == 8
    assert (
        f"Next, with mended raw files: `dayfold day reopen {early}`, then `dayfold run" in said[1]
    )
    champion = collect_status(lake, 14)[-1]["champion"]
    assert (champion["version"], champion["by_hand"]) == (8, "approval")
    assert tags_of(place, registry_of(place).day_run(D4))["by_hand"] == "approval"


def test_a_version_that_waits_gets_a_share_with_a_word_of_warning(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_commands, "open_workplace", lambda: place)

    def said(*shares: str) -> str:
        done = CliRunner().invoke(app, ["pool", "set", *shares], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    assert "waits" not in said("6=0.9", "4=0.1")
    output = said("6=0.9", "8=0.1")
    assert "warning: version 8 waits for approval, and answers its share meanwhile" in output
    assert "or dayfold reject 8 --reason WHY, which takes it out" in output


def test_a_narrow_table_marks_days_that_trained_though_the_check_did_not_ask(
    place: Workplace,
) -> None:
    day = collect_status(place.lake(), 14)[-1]
    for decision, trained, cell in (
        ("skip", ["mlp"], " skip + "),
        ("skip", [], " skip  "),
        ("retrain", ["mlp"], " retrain  "),
    ):
        shown = Console(width=100, file=(text := io.StringIO()))
        shown.print(status_table([day | {"decision": decision, "trained": trained}], 100))
        assert cell in text.getvalue()
    assert "Days (+: trained all the same)" in text.getvalue()
