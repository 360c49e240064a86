"""A rollback killed at any point: gone on with, it ends as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.errors import OrderError
from dayfold import by_hand, rollback
from dayfold.workplace import Workplace
from feature_store.champion import standing_before
from feature_store.promotion_ledger import all_events
from feature_store.tables import RECOMMENDATIONS, SCORE_MAPS
from tests.dayfold.forget_fixture import quiet
from tests.dayfold.rollback_fixture import D4, close_databases, place_at, put_back, three_days
from tests.dayfold.test_rollback import WHY, registry_of, serving
from tests.training.killed import dies_at
from tests.training.promotion_fixture import D2, D3
from training import by_hand as deciding
from training.registry import pool, promotion_runs
from training.registry.registry import Registry

KILLS: dict[str, tuple[object, str, int, bool]] = {
    "after the intent": (by_hand, "write_event", 1, False),
    "between score map and aliases": (deciding, "_set_aliases", 1, True),
    "among the heads": (Registry, "set_head", 1, False),
    "before the champion": (Registry, "set_champion", 1, True),
    "before it is decided": (deciding, "write_event", 1, True),
    "before its run": (promotion_runs, "log_event", 1, True),
    "before the pool": (pool, "leave_pool", 1, True),
    "after the pool": (pool, "leave_pool", 1, False),
    "between lists and publishing": (by_hand, "run_step", 1, False),
    "before it is done": (by_hand, "write_event", 2, True),
}
"""Point: what is patched, its name, at which call the process dies, before (else after) it."""


def _killed(home: str, point: str) -> None:
    dies_at(*KILLS[point])
    rollback.roll_back(place_at(Path(home)), to=None, day=D2, reason=WHY, say=quiet)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("killed-rollback") / "home"
    three_days(home)
    return home


@pytest.fixture
def place(made: Path) -> Iterator[Workplace]:
    with put_back(made) as place:
        yield place


@pytest.mark.parametrize("point", KILLS)
def test_killed_at_any_point_it_is_gone_on_with(place: Workplace, point: str) -> None:
    pool.set_pool(registry_of(place), {6: 0.5, 4: 0.3, 2: 0.2}, "sticky")
    close_databases()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch", "training.features.reader"])
    child = context.Process(target=_killed, args=(str(place.home), point))
    child.start()
    child.join(300)
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(OrderError, match="Next: dayfold rollback --resume"):
        rollback.roll_back(place, to=None, day=None, reason=WHY, say=quiet)
    assert rollback.resume(place, quiet).state == "done"
    lake, registry = place.lake(), registry_of(place)
    assert [event.kind for event in all_events(lake)] == ["promotion"] * 3 + ["rollback"]
    standing = standing_before(lake, D4)
    assert standing is not None
    assert (standing.version, standing.heads) == (2, {"two_tower": 1, "mlp": 2})
    assert registry.aliases() == {"champion": 2, "head-two_tower": 1, "head-mlp": 2}
    assert lake.read(SCORE_MAPS, [D3]).num_rows == 400
    lists = lake.read(RECOMMENDATIONS, [D3], ["model_version"]).column(0).to_pylist()
    assert set(lists) == {2}
    assert pool.named_in_pool(registry) == set()
    assert serving(place) == 2
    client = registry._client
    tagged = "tags.`dayfold.kind` = 'promotion' and tags.kind = 'rollback'"
    assert len(client.search_runs([registry.experiment_id], tagged)) == 1
