"""Two promoters of one day at once: what serves ends as if there had been one."""

from __future__ import annotations

import multiprocessing
from contextlib import nullcontext
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from conf.errors import ConcurrentWrite
from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.locks import changing_what_serves
from feature_store.promotion_ledger import all_events
from tests.training.lake_fixture import small_dataset
from tests.training.promotion_fixture import (
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
from tests.training.test_promote_killed import PRELOADED
from training import promote as promote_step
from training.registry.registry import Registry

WON, TOLD_TO_WAIT = 0, 7


def _promoting(root: str, settings: Settings, barrier: Barrier, locked: bool) -> None:
    if not locked:  # as on two machines, whose kernels know nothing of each other's locks
        promote_step.changing_what_serves = lambda _root: nullcontext()  # type: ignore[assignment]
    context = context_of(Lake(Path(root), small_dataset()), settings, D2)
    barrier.wait(120)
    try:
        promote(context)
    except ConcurrentWrite:
        raise SystemExit(TOLD_TO_WAIT) from None


@pytest.mark.parametrize("locked", [True, False], ids=["one machine", "two machines"])
def test_two_promoters_at_once_end_as_one(lake: Lake, settings: Settings, locked: bool) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {"two_tower": (GOOD, FAIR), "mlp": (GOOD, FAIR)})
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload(PRELOADED)
    barrier = forked.Barrier(2)
    both = [
        forked.Process(target=_promoting, args=(str(lake.root), settings, barrier, locked))
        for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(300)
    assert {process.exitcode for process in both} <= {WON, TOLD_TO_WAIT}
    assert WON in {process.exitcode for process in both}
    promote(context)  # as Airflow would try again the one that was told to wait
    registry = Registry(settings, lake.id)
    (row,) = written(lake, D2)["promotions"]
    champion = row["champion_version"]
    assert (row["state"], row["promoted"], row["previous_version"]) == ("done", True, 2)
    keys = {version: tags["promote_key"] for version, tags in versions_of(registry).items()}
    first = {key: min(v for v, k in keys.items() if k == key) for key in keys.values()}
    assert champion == first[keys[champion]]
    aliases = registry.aliases()
    assert aliases["champion"] == aliases["challenger"] == aliases["head-mlp"] == champion
    assert aliases["previous"] == 2
    assert aliases["head-two_tower"] == first[keys[aliases["head-two_tower"]]]
    gates = {gate["scorer"]: gate["version"] for gate in written(lake, D2)["gates"]}
    assert gates == {"mlp": champion, "two_tower": aliases["head-two_tower"]}
    assert len(written(lake, D2)["score_maps"]) == 200
    assert [(e.ds == D2, e.version) for e in all_events(lake)] == [(False, 2), (True, champion)]
    if locked:
        assert len(keys) == 4
    client = registry._client
    tagged = f"tags.`dayfold.kind` = 'promotion' and tags.`dayfold.ds` = '{D2}'"
    assert len(client.search_runs([registry.experiment_id], tagged)) == 1


def test_a_promoter_waits_for_who_changes_what_serves(lake: Lake, settings: Settings) -> None:
    context = context_of(lake, settings, D2)
    with (
        changing_what_serves(lake.root),
        pytest.raises(ConcurrentWrite, match="wait for its end, then run the same command again"),
    ):
        promote(context)
