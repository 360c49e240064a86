"""Where a human has the last word, the winner waits; one command makes it serve, or blocks it."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conf.errors import ConfigError, MissingPartition, OrderError
from dayfold import approval, by_hand, rollback
from dayfold.workplace import Workplace
from feature_store.champion import standing_after, standing_before
from feature_store.online import open_online_store
from feature_store.promotion_ledger import all_events, blocked_now, waiting
from feature_store.tables import GATES, PROMOTIONS, RECOMMENDATIONS, SCORE_MAPS
from tests.dayfold.forget_fixture import SmallPlace, quiet
from tests.dayfold.rollback_fixture import (
    AGAIN,
    D4,
    close_databases,
    finished,
    put_back,
    settings_of,
    three_days,
)
from tests.dayfold.test_rollback import WHY, registry_of, serving
from tests.training.killed import dies_at
from tests.training.lake_fixture import small_dataset
from tests.training.promotion_fixture import BAD, D1, D2, D3, GOOD, context_of, prepare, promote
from training import by_hand as deciding
from training import publish, recommend
from training.check_drift import _trained_to
from training.registry import promotion_runs
from training.registry.registry import Registry


def place_at(home: Path) -> Workplace:
    """The home, whose champions are approved by a human."""
    settings = settings_of(home)
    careful = settings.promotion.model_copy(update={"approval": "required"})
    return SmallPlace(settings.model_copy(update={"promotion": careful}), small_dataset())


def a_day(place: Workplace, ds: str, candidates: dict[str, tuple[float, float | None]]) -> None:
    context = context_of(place.lake(), place.settings, ds)
    prepare(context, candidates)
    promote(context)
    recommend.run(context)
    finished(place.lake(), ds)
    publish.run(context)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """D1 to D3 promoted versions 2, 4 and 6 by themselves; after D4 version 8 waits."""
    home = tmp_path_factory.mktemp("approval") / "home"
    three_days(home)
    a_day(place_at(home), D4, AGAIN)
    return home


@pytest.fixture
def place(made: Path) -> Iterator[Workplace]:
    with put_back(made):
        yield place_at(made)


def test_the_winner_waits_and_the_champion_goes_on_serving(place: Workplace) -> None:
    lake, registry = place.lake(), registry_of(place)
    (row,) = lake.read(PROMOTIONS, [D4]).to_pylist()
    assert (row["promoted"], row["champion_version"], row["state"]) == (False, 6, "done")
    assert "version 8 waits: dayfold approve 8 --reason WHY" in row["reason"]
    gates = {gate["scorer"]: gate["outcome"] for gate in lake.read(GATES, [D4]).to_pylist()}
    assert gates == {"mlp": "champion", "two_tower": "head"}
    # the next training need not wait
    assert json.loads(row["heads"]) == {"mlp": 8, "two_tower": 7}
    aliases = registry.aliases()
    assert (aliases["champion"], aliases["challenger"], aliases["previous"]) == (6, 8, 4)
    assert serving(place) == 6
    proposal = waiting(all_events(lake))
    assert proposal is not None
    assert (proposal.version, proposal.replaced_version, proposal.ds) == (8, 6, D4)
    context = context_of(lake, place.settings, D4)
    assert promote(context).facts == {
        "promoted": False,
        "version": 6,
        "scorer": "mlp",
        "waits": 8,
    }
    assert [e.kind for e in all_events(lake)] == ["promotion"] * 3 + ["proposal"]


def test_approved_it_serves_with_lists_aliases_and_drift_reference(place: Workplace) -> None:
    lake, registry = place.lake(), registry_of(place)
    event = approval.approve(place, 8, reason=WHY, say=quiet, actor="Ada")
    assert (event.kind, event.version, event.replaced_version) == ("approval", 8, 6)
    assert (event.actor, event.reason, event.day) == ("Ada", WHY, D4)
    standing = standing_after(lake, D4)
    assert standing is not None
    assert (standing.version, standing.heads) == (8, {"mlp": 8, "two_tower": 7})
    aliases = registry.aliases()
    assert (aliases["champion"], aliases["previous"]) == (8, 6)
    assert set(lake.read(RECOMMENDATIONS, [D4]).column("model_version").to_pylist()) == {8}
    found = open_online_store(place.settings).read_list("*")
    assert found is not None
    assert (found.ds, found.model_version) == (D4, 8)
    assert serving(place) == 8
    maps = lake.read(SCORE_MAPS, [D4], ["from_version", "to_version"]).to_pylist()
    assert {(row["from_version"], row["to_version"]) for row in maps} == {(6, 8)}
    # trained up to the day before its gate
    assert _trained_to(lake, "2026-01-12", "") == D3
    assert waiting(all_events(lake)) is None
    # the same again changes nothing
    events = all_events(lake)
    assert approval.approve(place, 8, reason=WHY, say=quiet) == event
    assert all_events(lake) == events
    # its day, run again, neither proposes nor promotes anew
    assert promote(context_of(lake, place.settings, D4)).facts["waits"] == 0
    assert all_events(lake) == events
    assert registry.aliases() == aliases
    # and it can be gone back from
    assert rollback.roll_back(place, to=None, day=None, reason=WHY, say=quiet).version == 6
    assert registry.aliases()["previous"] == 4


def test_rejected_it_is_blocked_and_its_family_starts_before_it(place: Workplace) -> None:
    lake, registry = place.lake(), registry_of(place)
    event = approval.reject(place, 8, reason=WHY, say=quiet, actor="Ada")
    assert (event.version, event.versions) == (6, (8,))
    standing = standing_before(lake, "2026-01-12")
    assert standing is not None
    assert (standing.version, standing.heads) == (6, {"mlp": 6, "two_tower": 7})
    aliases = registry.aliases()
    assert aliases == {"champion": 6, "previous": 4, "head-mlp": 6, "head-two_tower": 7}
    assert blocked_now(lake).versions == {8}
    assert serving(place) == 6
    assert approval.reject(place, 8, reason=WHY, say=quiet) == event
    with pytest.raises(MissingPartition, match="Version 8 does not wait for approval: none does"):
        approval.approve(place, 8, reason=WHY, say=quiet)


def test_a_rollback_takes_back_what_waits(place: Workplace) -> None:
    rollback.roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    assert waiting(all_events(place.lake())) is None
    with pytest.raises(MissingPartition, match="none does"):
        approval.approve(place, 8, reason=WHY, say=quiet)


@pytest.mark.parametrize("decide", [approval.approve, approval.reject])
def test_a_wrong_word_is_refused(place: Workplace, decide: Callable[..., object]) -> None:
    with pytest.raises(OrderError, match=r"Version 7 does not wait .*: version 8 of 2026-01-11"):
        decide(place, 7, reason=WHY, say=quiet)
    with pytest.raises(ConfigError, match="--reason is empty"):
        decide(place, 8, reason=" ", say=quiet)
    assert [e.kind for e in all_events(place.lake())][-1] == "proposal"


def test_a_day_under_way_sees_that_the_champion_changed(place: Workplace) -> None:
    """Its scores are the old champion's: it must not gate by them."""
    lake = place.lake()
    context = context_of(lake, place.settings, D4)
    lake.clear(PROMOTIONS, [D4], {"step": "test"})
    prepare(context, AGAIN)  # scored by version 6
    lake.clear(PROMOTIONS, [D3], {"step": "test"})  # as if 4 served when promote begins
    with pytest.raises(
        OrderError, match=r"scored by version 6, and version 4 .* --from 2026-01-11"
    ):
        promote(context)


def test_before_the_first_champion_it_waits_too(tmp_path: Path) -> None:
    from tests.training.home_fixture import fresh_home
    from tests.training.lake_fixture import small_lake

    home = tmp_path / "home"
    fresh_home(home)
    place = place_at(home)
    small_lake(home / "lake" / "small")
    a_day(place, D1, {"two_tower": (GOOD, None)})
    lake, registry = place.lake(), registry_of(place)
    assert standing_after(lake, D1) is None
    assert registry.aliases() == {"challenger": 1}
    approval.reject(place, 1, reason=WHY, say=quiet)
    assert standing_after(lake, D1) is None
    assert registry.aliases() == {}
    a_day(place, D2, {"two_tower": (GOOD, None)})
    event = approval.approve(place, 2, reason=WHY, say=quiet)
    assert (event.version, event.replaced_version) == (2, 0)
    assert registry.aliases() == {"champion": 2, "challenger": 2, "head-two_tower": 2}
    assert serving(place) == 2
    a_day(place, D3, {"two_tower": (BAD, GOOD)})
    standing = standing_after(lake, D3)
    assert standing is not None
    assert standing.version == 2


KILLS: dict[str, tuple[object, str, int, bool]] = {
    "after the intent": (by_hand, "write_event", 1, False),
    "among the heads": (Registry, "set_head", 1, False),
    "before it is decided": (deciding, "write_event", 1, True),
    "before its run": (promotion_runs, "log_event", 1, True),
    "before it is done": (by_hand, "write_event", 2, True),
}


def _killed(home: str, point: str) -> None:
    dies_at(*KILLS[point])
    approval.approve(place_at(Path(home)), 8, reason=WHY, say=quiet)


@pytest.mark.parametrize("point", KILLS)
def test_killed_at_any_point_the_same_command_goes_on(place: Workplace, point: str) -> None:
    close_databases()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch", "training.features.reader"])
    child = context.Process(target=_killed, args=(str(place.home), point))
    child.start()
    child.join(300)
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(OrderError, match="Next: dayfold approve 8 --reason WHY"):
        rollback.roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    event = approval.approve(place, 8, reason=WHY, say=quiet)
    assert event.state == "done"
    kinds = ["promotion"] * 3 + ["proposal", "approval"]
    assert [e.kind for e in all_events(place.lake())] == kinds
    assert registry_of(place).aliases()["champion"] == serving(place) == 8
    client = registry_of(place)._client
    tagged = "tags.`dayfold.kind` = 'promotion' and tags.kind = 'approval'"
    assert len(client.search_runs([registry_of(place).experiment_id], tagged)) == 1
