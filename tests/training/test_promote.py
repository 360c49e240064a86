"""The promotion on a real lake and a real registry, also when it is killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conf.errors import RegistryError
from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES, PROMOTIONS, SCORE_MAPS
from tests.training.home_fixture import fresh_home
from tests.training.lake_fixture import small_dataset
from tests.training.promotion_fixture import (
    BAD,
    D1,
    D2,
    D3,
    FAIR,
    GOOD,
    context_of,
    logits_like,
    prepare,
    promote,
    write_drift,
    written,
)
from training import promote as promote_step
from training.drift.score_map import quantile_map
from training.registry.bundle import Bundle
from training.registry.champion import Standing, standing_after, standing_before
from training.registry.registry import Registry
from training.scoring.composite import load_composite

LakeOf = Callable[[str], Lake]
BOTH = {"two_tower": (FAIR, None), "mlp": (GOOD, None)}


@pytest.fixture
def lake(own_lake_of: LakeOf) -> Lake:
    return own_lake_of("impressions")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fresh_home(tmp_path / "home")


@pytest.fixture
def registry(lake: Lake, settings: Settings) -> Registry:
    return Registry(settings, lake.id)


def versions_of(registry: Registry) -> dict[int, dict[str, str]]:
    """Tags of every version."""
    found = {}
    for version in range(1, 20):
        try:
            found[version] = registry.version_tags(version)
        except RegistryError:
            return found
    return found


def first_promotion(lake: Lake, settings: Settings) -> None:
    context = context_of(lake, settings, D1)
    prepare(context, BOTH)
    promote(context)


# ---- outcomes ------------------------------------------------------------------------------------


def test_the_first_day_registers_those_that_pass_and_crowns_the_best(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    context = context_of(lake, settings, D1)
    prepare(context, BOTH)
    result = promote(context)
    assert result.facts == {"promoted": True, "version": 2}
    assert standing_before(lake, D1) is None
    assert standing_after(lake, D1) == Standing(2, "mlp", {"two_tower": 1, "mlp": 2})
    assert registry.aliases() == {
        "champion": 2,
        "challenger": 2,
        "head-two_tower": 1,
        "head-mlp": 2,
    }
    tags = versions_of(registry)
    assert {v: (t["ds"], t["scorer"]) for v, t in tags.items()} == {
        1: (D1, "two_tower"),
        2: (D1, "mlp"),
    }
    assert tags[2]["vocabulary_day"] == "2026-01-07"
    (row,) = written(lake, D1)["promotions"]
    assert (row["state"], row["promoted"], row["previous_version"]) == ("done", True, 0)


def test_a_version_is_retriever_and_ranker_and_answers(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    composite = load_composite(registry.version_directory(2), 2)
    assert (composite.retriever.name, composite.ranker.name) == ("two_tower", "mlp")
    known = lake.read(EXAMPLES, [D1], ["user_index"]).column(0)[0].as_py()
    bundle = Bundle(registry.version_directory(2), "2")
    answer = bundle.predict(pd.DataFrame({"user_id": [f"u{known:05d}", "nobody"], "top_n": [3, 2]}))
    assert answer["rank"].tolist() == [1, 2, 3, 1, 2]
    assert answer["version"].unique().tolist() == ["2"]
    for _, mine in answer.groupby("user_id"):
        assert mine["score"].is_monotonic_decreasing
        assert mine["item_id"].is_unique


def test_the_champions_update_replaces_it_and_the_score_map_leads_over(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {"two_tower": (GOOD, FAIR), "mlp": (GOOD, FAIR)})
    assert promote(context).facts == {"promoted": True, "version": 4}
    assert standing_after(lake, D2) == Standing(4, "mlp", {"two_tower": 3, "mlp": 4})
    assert registry.aliases()["previous"] == 2
    rows = lake.read(SCORE_MAPS, [D2]).sort_by("bin")
    assert set(rows.column("from_version").to_pylist()) == {2}
    assert set(rows.column("to_version").to_pylist()) == {4}
    labels = lake.read(EXAMPLES, [D2]).column("label").to_numpy()
    expected = quantile_map(logits_like(labels, FAIR, 1), logits_like(labels, GOOD, 2))
    np.testing.assert_allclose(rows.column("mapped_logit").to_numpy(), expected, atol=1e-12)


def test_a_candidate_that_fails_is_not_registered_and_the_champion_stays(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {"mlp": (BAD, GOOD)}, champion=GOOD)
    result = promote(context)
    assert result.facts == {"promoted": False, "version": 2}
    assert "mlp rejected" in result.summary
    assert len(versions_of(registry)) == 2
    assert standing_after(lake, D2) == standing_after(lake, D1)
    (gate,) = written(lake, D2)["gates"]
    assert (gate["outcome"], gate["version"]) == ("rejected", 0)


def test_a_day_that_did_not_train_carries_the_standing_over_with_the_reason(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {})
    result = promote(context)
    assert result.facts == {"promoted": False, "version": 2}
    assert written(lake, D2)["gates"] == []
    (row,) = written(lake, D2)["promotions"]
    assert row["reason"] == "not trained, skip: by hand"
    assert standing_after(lake, D2) == standing_after(lake, D1)


def test_a_day_whose_scorers_all_failed_says_so(lake: Lake, settings: Settings) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {})
    write_drift(lake, D2, train=True)
    assert "no scorer could be trained" in promote(context).summary


def test_a_ranker_may_pass_beside_a_retriever_that_did_not(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    context = context_of(lake, settings, D1)
    prepare(context, {"two_tower": (BAD, None), "mlp": (GOOD, None)})
    promote(context)
    assert standing_after(lake, D1) == Standing(1, "mlp", {"mlp": 1})
    assert load_composite(registry.version_directory(1), 1).retriever.name == "two_tower"


def test_without_any_retriever_a_ranker_is_rejected(lake: Lake, settings: Settings) -> None:
    context = context_of(lake, settings, D1)
    prepare(context, {"mlp": (GOOD, None)})
    assert "no two_tower that could recall" in promote(context).summary
    assert standing_after(lake, D1) is None


def test_no_champion_and_no_candidate_is_said_too(lake: Lake, settings: Settings) -> None:
    context = context_of(lake, settings, D1)
    prepare(context, {})
    assert promote(context).facts == {"promoted": False, "version": 0}
    (row,) = written(lake, D1)["promotions"]
    assert (row["champion_version"], row["heads"]) == (0, "{}")


# ---- again ---------------------------------------------------------------------------------------


def test_a_day_promoted_again_registers_nothing_and_moves_nothing(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    before = written(lake, D1), versions_of(registry), registry.aliases()
    promote(context_of(lake, settings, D1))
    assert (written(lake, D1), versions_of(registry), registry.aliases()) == before


def test_an_older_day_run_again_leaves_the_aliases_of_a_later_one(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {"two_tower": (GOOD, FAIR), "mlp": (GOOD, FAIR)})
    promote(context)
    aliases, rows = registry.aliases(), written(lake, D1)
    promote(context_of(lake, settings, D1))
    assert registry.aliases() == aliases
    assert written(lake, D1) == rows


def test_a_head_that_a_later_day_moved_stays_when_an_older_day_runs_again(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {"two_tower": (GOOD, FAIR)}, champion=GOOD)
    promote(context)
    assert standing_after(lake, D2) == Standing(2, "mlp", {"two_tower": 3, "mlp": 2})
    promote(context_of(lake, settings, D1))
    assert registry.aliases()["head-two_tower"] == 3


def test_no_step_reads_a_later_days_promotion(lake: Lake, settings: Settings) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D3)
    prepare(context, {})
    promote(context)
    assert standing_before(lake, D2) == standing_after(lake, D1)
    assert standing_before(lake, D1) is None


def test_a_promotion_that_was_never_finished_does_not_count(lake: Lake, settings: Settings) -> None:
    first_promotion(lake, settings)
    rows = lake.read(PROMOTIONS, [D1])
    begun = rows.set_column(rows.column_names.index("state"), "state", [["intent"]]).drop_columns(
        ["ds"]
    )
    lake.replace(PROMOTIONS, {"ds": D2}, begun, {"step": "test", "ds": D2})
    assert standing_before(lake, D3) == standing_after(lake, D1)


# ---- killed --------------------------------------------------------------------------------------

KILLS: dict[str, tuple[type | object, str, int, bool]] = {
    "before the first version": (Registry, "register", 1, True),
    "between two versions": (Registry, "register", 1, False),
    "after the intent": (promote_step, "_write_promotion", 1, False),
    "among the heads": (Registry, "set_head", 1, False),
    "before the champion": (Registry, "set_champion", 1, True),
    "between previous and champion": (Registry, "_set_alias", 4, False),
    "after the champion": (Registry, "set_champion", 1, False),
    "before the row done": (promote_step, "_write_promotion", 2, True),
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
    target, name, at, before = KILLS[point]
    original, calls = getattr(target, name), []

    def deadly(*args: object, **keywords: object) -> object:
        calls.append(name)
        if before and len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **keywords)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(target, name, deadly)
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


@pytest.mark.parametrize("point", KILLS)
def test_killed_at_any_point_the_second_run_ends_the_same(
    day_before: tuple[Path, Settings], point: str
) -> None:
    place, settings = day_before
    saved = place.with_name(f"{place.name}-saved")
    shutil.rmtree(saved, ignore_errors=True)
    shutil.copytree(place, saved)
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
    shutil.rmtree(place)
    saved.rename(place)
