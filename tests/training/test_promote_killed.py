"""The promotion killed at any point: the second run ends as if there had been one."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conf.settings import Settings
from feature_store.lake import Lake
from tests.training.home_fixture import fresh_home
from tests.training.killed import dies_at
from tests.training.lake_fixture import small_dataset
from tests.training.promotion_fixture import (
    D1,
    D2,
    FAIR,
    GOOD,
    context_of,
    first_promotion,
    prepare,
    promote,
    versions_of,
    written,
)
from training import promote as promote_step
from training.registry.registry import Registry

LakeOf = Callable[[str], Lake]
KILLS: dict[str, tuple[type | object, str, int, bool]] = {
    "before the first version": (Registry, "register", 1, True),
    "between two versions": (Registry, "register", 1, False),
    "after the intent": (promote_step, "write_promotion", 1, False),
    "among the heads": (Registry, "set_head", 1, False),
    "before the champion": (Registry, "set_champion", 1, True),
    "between previous and champion": (Registry, "_set_alias", 4, False),
    "after the champion": (Registry, "set_champion", 1, False),
    "before the gates": (promote_step, "write_gates", 1, True),
    "between gates and score map": (promote_step, "write_gates", 1, False),
    "before the row done": (promote_step, "write_promotion", 2, True),
}
"""Point: what is patched, its name, at which call the process dies, before (else after) it."""


PRELOADED = [
    __name__,
    "torch",
    "training.fitting.checkpoint",
    "training.features.reader",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
]
"""Imported once, by the server that the dying processes are forked from."""


def _killed_while_promoting(root: str, settings: Settings, ds: str, point: str) -> None:
    dies_at(*KILLS[point])
    promote(context_of(Lake(Path(root), small_dataset()), settings, ds))


@pytest.fixture(scope="module")
def day_before(tmp_path_factory: pytest.TempPathFactory, lake_of: LakeOf) -> tuple[Path, Settings]:
    """A lake and a home in which D1 was promoted and D2 stands before its promotion."""
    place = tmp_path_factory.mktemp("killed")
    shutil.copytree(lake_of("impressions").root, place / "lake")
    settings = fresh_home(place / "home")
    lake = Lake(place / "lake", small_dataset())
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {"two_tower": (GOOD, FAIR), "mlp": (GOOD, FAIR)})
    return place, settings


@pytest.fixture
def restored(day_before: tuple[Path, Settings]) -> Iterator[tuple[Path, Settings]]:
    """The same, put back afterwards however the test ends."""
    place, settings = day_before
    saved = place.with_name(f"{place.name}-saved")
    shutil.copytree(place, saved)
    try:
        yield place, settings
    finally:
        shutil.rmtree(place)
        saved.rename(place)


@pytest.mark.parametrize("point", KILLS)
def test_killed_at_any_point_the_second_run_ends_the_same(
    restored: tuple[Path, Settings], point: str
) -> None:
    place, settings = restored
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    child = context.Process(
        target=_killed_while_promoting, args=(str(place / "lake"), settings, D2, point)
    )
    child.start()
    child.join(300)
    assert child.exitcode == -signal.SIGKILL
    lake = Lake(place / "lake", small_dataset())
    registry = Registry(settings, lake.id)
    promote(context_of(lake, settings, D2))
    tags = versions_of(registry)
    found = [(t["ds"], t["scorer"]) for t in tags.values()]
    assert found == [(D1, "two_tower"), (D1, "mlp"), (D2, "two_tower"), (D2, "mlp")]
    assert registry.aliases() == {
        "champion": 4,
        "previous": 2,
        "challenger": 4,
        "head-two_tower": 3,
        "head-mlp": 4,
    }
    (row,) = written(lake, D2)["promotions"]
    assert (row["state"], row["champion_version"], row["previous_version"]) == ("done", 4, 2)
    assert len(written(lake, D2)["score_maps"]) == 200
    outcomes = {row["scorer"]: row["outcome"] for row in written(lake, D2)["gates"]}
    assert outcomes == {"two_tower": "head", "mlp": "champion"}
