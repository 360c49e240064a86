"""Changes by hand beside a day under way, a pool, and blocks: what they may not pass over."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from conf.errors import MissingPartition, OrderError
from dayfold import approval, by_hand, rollback, rollback_commands
from dayfold.cli import app
from dayfold.standing_lines import standing_lines
from dayfold.status import collect_status, status_table
from dayfold.workplace import Workplace
from feature_store.champion import standing_after, waiting_now
from feature_store.promotion_ledger import PromotionEvent, all_events, waiting, write_event
from feature_store.step import StepContext
from feature_store.tables import GATES, PROMOTIONS, RECOMMENDATIONS
from tests.dayfold.forget_fixture import quiet
from tests.dayfold.rollback_fixture import AGAIN, D4, finished, put_back, settings_of, three_days
from tests.dayfold.test_approval import a_day, place_at
from tests.dayfold.test_rollback import WHY, registry_of, serving
from tests.training.promotion_fixture import BAD, GOOD, context_of, prepare, promote
from training import publish, recommend
from training.registry.pool import Pool, named_in_pool, pool_of, set_pool
from training.registry.promotion_runs import log_event
from training.registry.release import write_release
from training.registry.versions import client_of

D5 = "2026-01-12"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """D1 to D3 promoted versions 2, 4 and 6 by themselves; after D4 version 8 waits."""
    home = tmp_path_factory.mktemp("by-hand") / "home"
    three_days(home)
    a_day(place_at(home), D4, AGAIN)
    return home


@pytest.fixture
def place(made: Path) -> Iterator[Workplace]:
    with put_back(made):
        yield place_at(made)


CHANGES: dict[str, Callable[[Workplace], PromotionEvent]] = {
    "an approval": lambda place: approval.approve(place, 8, reason=WHY, say=quiet),
    "a rejection": lambda place: approval.reject(place, 8, reason=WHY, say=quiet),
    "a rollback": lambda place: rollback.roll_back(place, to=None, day=None, reason=WHY, say=quiet),
}


@pytest.mark.parametrize("what", CHANGES)
def test_between_promote_and_publish_nothing_is_changed_by_hand(
    place: Workplace, what: str
) -> None:
    """The next day would be published by what its promotion made of what served before."""
    lake = place.lake()
    context = context_of(lake, place.settings, D5)
    prepare(context, AGAIN)
    promote(context)
    events = all_events(lake)
    waits = waiting(events)
    assert waits is not None
    waiting_before = waits.version
    if what == "a rollback":
        with pytest.raises(OrderError, match=rf"{D5} was promoted .* {what} after {D4} would not"):
            CHANGES[what](place)
    else:  # the version of the day under way has taken the place of 8
        with pytest.raises(OrderError, match=r"Version 8 does not wait"):
            CHANGES[what](place)
        verb = approval.approve if what == "an approval" else approval.reject
        with pytest.raises(OrderError, match=rf"is of {D5}, which is not published yet"):
            verb(place, waiting_before, reason=WHY, say=quiet)
    assert all_events(lake) == events
    recommend.run(context)
    finished(lake, D5)
    publish.run(context)
    event = rollback.roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    assert (event.ds, serving(place)) == (D5, 4)
    standing = standing_after(lake, D5)
    assert standing is not None
    assert standing.version == 4


def test_an_approval_before_the_next_promotion_is_gone_on_with(place: Workplace) -> None:
    """Promoted by what served before, the day is not: it has to be scored again."""
    lake = place.lake()
    context = context_of(lake, place.settings, D5)
    prepare(context, AGAIN)
    CHANGES["an approval"](place)
    with pytest.raises(OrderError, match=r"scored by version 6, and version 8 .* --from"):
        promote(context)
    assert D5 not in lake.days(PROMOTIONS)


def test_what_is_rejected_leaves_pool_release_and_lists_at_once(place: Workplace) -> None:
    registry, lake = registry_of(place), place.lake()
    pool = set_pool(registry, {6: 0.5, 8: 0.5}, "sticky")
    write_release(registry, pool, place.settings.path(place.settings.serving.release))
    recommend.run(context_of(lake, place.settings, D4))
    assert set(lake.read(RECOMMENDATIONS, [D4])["model_version"].to_pylist()) == {6, 8}
    CHANGES["a rejection"](place)
    assert set(lake.read(RECOMMENDATIONS, [D4])["model_version"].to_pylist()) == {6}
    assert serving(place) == 6
    assert named_in_pool(registry) == set()


def test_what_was_rejected_comes_back_into_no_pool(place: Workplace) -> None:
    registry, said = registry_of(place), list[str]()
    set_pool(registry, {6: 0.4, 4: 0.4, 8: 0.2}, "random")
    approval.reject(place, 8, reason=WHY, say=said.append)
    left = "left the pool for good: version 8; what remains: version 4 50.0%, version 6 50.0%"
    assert left in said
    rollback.release(place, day=None, version=8, reason=WHY)
    assert pool_of(registry, 6) == Pool({4: 0.5, 6: 0.5}, "random")


def test_a_rejection_killed_before_its_lists_still_makes_them(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, lake = registry_of(place), place.lake()
    set_pool(registry, {6: 0.4, 4: 0.4, 8: 0.2}, "sticky")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(by_hand, "run_step", dies)
        with pytest.raises(KeyboardInterrupt):
            CHANGES["a rejection"](place)
    CHANGES["a rejection"](place)
    assert set(lake.read(RECOMMENDATIONS, [D4])["model_version"].to_pylist()) == {4, 6}
    assert named_in_pool(registry) == {4, 6}


def test_commands_that_are_suggested_can_be_typed(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback_commands, "open_workplace", lambda _: place)

    def said(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--reason", WHY], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    CHANGES["a rejection"](place)
    assert "again. Next: dayfold pool set 6=0.9 8=0.1" in said("release", "--version", "8")
    assert f"until `dayfold release --day {D4} --reason WHY`" in said("rollback", "--day", D4)
    output = said("rollback", "--to", "4")
    assert "`dayfold release --version 6 --reason WHY` lets one serve again" in output
    assert "Next: dayfold rollback --to 6 --reason WHY" in said("release", "--version", "6")


def test_a_rejection_outside_the_pool_makes_no_lists(place: Workplace) -> None:
    said: list[str] = []
    approval.reject(place, 8, reason=WHY, say=said.append)
    assert not [line for line in said if line.startswith(("recommend", "publish"))]


def test_a_day_run_again_with_and_without_approval_leaves_no_ghost(place: Workplace) -> None:
    """What was decided last holds: a version that serves does not wait."""
    lake = place.lake()
    careful = context_of(lake, place.settings, D4)
    free = context_of(lake, settings_of(place.home), D4)
    assert waits_after(careful) == 8
    for _ in range(2):
        assert waits_after(free) == 0
        assert waits_after(careful) == 8
    assert waits_after(free) == 0
    recommend.run(free)
    publish.run(free)
    events = all_events(lake)
    assert [line for line in standing_lines(lake) if "waits" in line] == []
    for decide in (approval.approve, approval.reject):
        with pytest.raises(OrderError, match="Version 8 serves already: it does not wait"):
            decide(place, 8, reason=WHY, say=quiet)
    # as earlier releases left it: the proposal has the higher number
    proposal = next(one for one in events if one.kind == "proposal")
    write_event(lake, replace(proposal, number=events[-1].number + 1), "done")
    assert waiting(all_events(lake)) is not None
    assert waiting_now(lake) is None
    with pytest.raises(OrderError, match="Version 8 serves already"):
        approval.approve(place, 8, reason=WHY, say=quiet)


def test_a_day_run_again_that_proposes_nothing_takes_its_proposal_back(place: Workplace) -> None:
    lake = place.lake()
    context = context_of(lake, place.settings, D4)
    prepare(context, {"two_tower": (BAD, GOOD), "mlp": (BAD, GOOD)})
    assert promote(context).facts["waits"] == 0
    assert waiting_now(lake) is None
    assert [one.state for one in all_events(lake) if one.kind == "proposal"] == ["withdrawn"]


@pytest.mark.parametrize(
    ("what", "version", "kind"), [("an approval", 8, "approval"), ("a rollback", 4, "rollback")]
)
def test_the_days_run_and_status_say_who_serves_since(
    place: Workplace, what: str, version: int, kind: str
) -> None:
    lake, registry = place.lake(), registry_of(place)
    client, run_id = client_of(registry), registry.day_run(D4)
    assert client.get_run(run_id).data.tags["by_hand"] == "no"
    CHANGES[what](place)
    run = client.get_run(run_id).data
    told = (run.tags["version"], run.tags["by_hand"], run.tags["promoted"])
    assert told == (str(version), kind, "no")
    assert run.metrics["champion_version"] == version
    assert run.tags["mlflow.note.content"].startswith(
        f"**Changed by hand ({kind}): version {version} (mlp) serves in place of version 6**. "
        "The day itself had decided: champion kept: version 6 (mlp)"
    )
    day = collect_status(lake, 14)[-1]
    champion = day["champion"]
    assert (day["ds"], champion["version"], champion["by_hand"]) == (D4, version, kind)
    shown = Console(width=200, file=io.StringIO())
    shown.print(status_table([day], 200))
    assert f"v{version} mlp {kind}" in shown.file.getvalue()  # type: ignore[attr-defined]


def test_what_waits_serves_nowhere_in_mlflow(place: Workplace) -> None:
    lake, registry = place.lake(), registry_of(place)
    (gate,) = (row for row in lake.read(GATES, [D4]).to_pylist() if row["scorer"] == "mlp")
    why = gate["reason"].removeprefix("champion: ")
    day = tags_of(place, registry.day_run(D4))
    assert day["mlflow.note.content"].startswith(
        "**Champion kept: version 6 (mlp)**; version 8 (mlp) passed and waits for a human's word "
        f"(dayfold history): {why}. It trained"
    )
    assert day["gate"] == "mlp passed, two_tower head"
    scorer = tags_of(place, registry.scorer_run(D4, "mlp"))
    assert scorer["gate"] == "passed"
    assert scorer["mlflow.note.content"].startswith(
        f"**Passed, version 8 waited for a human's word** (dayfold history): {why}. Trained"
    )
    proposal = waiting_now(lake)
    assert proposal is not None
    assert tags_of(place, log_event(registry, proposal))["mlflow.note.content"].startswith(
        f"proposal after {D4}: version 8 waits for a human's word, until a later day proposes "
        "another: dayfold approve 8 --reason WHY. mlp: champion"
    )


@pytest.mark.parametrize(
    ("what", "became"),
    list(zip(CHANGES, ("approved", "rejected", "taken back by the rollback"), strict=True)),
)
def test_the_proposals_run_says_what_became_of_it(place: Workplace, what: str, became: str) -> None:
    lake, registry = place.lake(), registry_of(place)
    proposal = waiting_now(lake)
    assert proposal is not None
    run_id = log_event(registry, proposal)
    event = CHANGES[what](place)
    said = tags_of(place, run_id)["mlflow.note.content"]
    answer = f"version 8 waited for a human's word, and was {became} after {D4}. {WHY}"
    assert said == f"proposal after {D4}: {answer}"
    if event.version == 8:
        day = tags_of(place, registry.day_run(D4))["mlflow.note.content"]
        assert "kept: version 6 (mlp); version 8 (mlp) passed and waited for a human's word" in day


def test_an_approval_blocks_no_day(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    event = CHANGES["an approval"](place)
    assert event.day == D4
    assert tags_of(place, log_event(registry_of(place), event))["blocked"] == ""
    monkeypatch.setattr(rollback_commands, "workplace_of", lambda *_: place)
    rollback_commands.history()
    (row,) = (line for line in capsys.readouterr().out.splitlines() if "│ approval" in line)
    assert [cell.strip() for cell in row.split("│")][1:6] == [D4, "approval", "v8 mlp", "v6", "-"]


def tags_of(place: Workplace, run_id: str) -> dict[str, str]:
    found: dict[str, str] = client_of(registry_of(place)).get_run(run_id).data.tags
    return found


def waits_after(context: StepContext) -> object:
    """What waits once the day is promoted, and that the ledger says so too."""
    waits = promote(context).facts["waits"]
    now = waiting_now(context.lake)
    assert waits == (now.version if now else 0)
    return waits


def test_what_was_rejected_and_released_is_not_rejected_already(place: Workplace) -> None:
    CHANGES["a rejection"](place)
    rollback.release(place, day=None, version=8, reason=WHY)
    with pytest.raises(MissingPartition, match="Version 8 does not wait for approval: none does"):
        CHANGES["a rejection"](place)
