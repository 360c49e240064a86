"""Step check_drift: what it reads from the lake, and what it must not read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conf.settings import Settings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.ledger import close_day
from feature_store.promotion_ledger import PromotionEvent, write_event
from feature_store.step import StepContext
from feature_store.tables import (
    CANDIDATES,
    DAILY_METRICS,
    DRIFT,
    LEDGER,
    PROMOTIONS,
    SCORE_MAPS,
    SKETCHES,
    Table,
)
from tests.training.lake_fixture import small_dataset
from training import check_drift
from training.drift.score_map import CENTRES, quantile_map
from training.measures.sketch import sketch_rows
from training.score_day import metric_rows
from training.scoring.metrics import Metric, sigmoid

FIRST = "2026-01-05"
DAYS = 25
LINEAGE = {"step": "test", "ds": ""}
ROWS = 4000


def promotion(lake: Lake, ds: str, version: int, *, promoted: bool = True) -> None:
    row = {
        "champion_version": version,
        "champion_scorer": "mlp",
        "previous_version": 0,
        "promoted": promoted,
        "state": "done",
        "heads": "{}",
        "reason": "by hand",
    }
    schema = pa.schema([f for f in lake.schema(PROMOTIONS) if f.name != "ds"])
    lake.replace(PROMOTIONS, {"ds": ds}, pa.Table.from_pylist([row], schema), LINEAGE)


def sketch(
    lake: Lake,
    ds: str,
    version: int = 1,
    change: float = 0.0,
    scale: float = 1.0,
    rank: float | None = None,
) -> None:
    """A day's sketch by a model whose logits are the true ones times `scale` (about -2)."""
    random = np.random.default_rng(int(ds.replace("-", "")))
    truth = random.normal(-2 + random.normal(0, 0.02), 1.0, ROWS)
    labels = (random.random(ROWS) < sigmoid(truth + change)).astype(float)
    logits = -2 + scale * (truth + 2)
    lake.replace(SKETCHES, {"ds": ds}, sketch_rows(version, logits, labels, {}), LINEAGE)
    if rank is not None:
        ranks = np.clip(random.normal(rank + random.normal(0, 0.005), 0.1, 400), 0, 1)
        said = {"mean_percentile_rank": ranks.mean(), "std_percentile_rank": ranks.std()}
        metrics = [Metric("champion", name, float(value), 400) for name, value in said.items()]
        lake.replace(DAILY_METRICS, {"ds": ds}, metric_rows(metrics), LINEAGE)


def history(lake: Lake, days: int = DAYS, **how: float) -> str:
    """A promotion, then `days` quiet days; gives the day after them."""
    promotion(lake, shift(FIRST, -1), 1)
    for number in range(days):
        sketch(lake, shift(FIRST, number), **how)  # type: ignore[arg-type]
    return shift(FIRST, days)


def decide(lake: Lake, ds: str) -> dict[str, object]:
    context = StepContext((ds,), lake, lake.dataset, Settings(dataset="small"))
    result = check_drift.run(context)
    (row,) = lake.read(DRIFT, [ds]).to_pylist()
    assert result.facts == {"decision": row["decision"], "train": row["train"]}
    assert result.summary == f"{row['decision']}: {row['reason']}"
    return dict(row) | {"evidence": json.loads(row["evidence"])}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", small_dataset())


def test_a_quiet_day_is_skipped_and_a_changed_one_retrains(lake: Lake) -> None:
    today = history(lake)
    sketch(lake, today)
    assert decide(lake, today)["decision"] == "skip"
    sketch(lake, today, change=-0.5)
    row = decide(lake, today)
    assert (row["decision"], row["train"]) == ("retrain", True)


def test_an_empty_lake_has_no_champion_yet(lake: Lake) -> None:
    assert decide(lake, FIRST)["reason"] == "no champion yet"


def test_a_day_without_rows_is_not_called_quiet(lake: Lake) -> None:
    row = decide(lake, history(lake))
    assert (row["decision"], row["train"]) == ("not_enough_data", False)


def test_the_same_day_again_gives_the_same_row_even_when_later_days_exist(lake: Lake) -> None:
    today = history(lake)
    sketch(lake, today)
    before = decide(lake, today)
    for number in range(1, 8):
        sketch(lake, shift(today, number), version=9, change=2.0)
    promotion(lake, shift(today, 1), 9)
    promotion(lake, today, 8)
    assert decide(lake, today) == before


def test_days_scored_by_earlier_champions_are_carried_over(lake: Lake) -> None:
    """Version 2 spreads its scores 1.4 times as wide; the map of the promotion undoes that."""
    today = history(lake)
    sketch(lake, today, version=2, scale=1.4)
    old = np.random.default_rng(0).normal(-2, 1, 5000)
    mapped = quantile_map(old, -2 + 1.4 * (old + 2))
    promotion(lake, shift(today, -1), 2)
    rows = pa.table(
        {
            "from_version": pa.array([1] * 200, pa.int32()),
            "to_version": pa.array([2] * 200, pa.int32()),
            "bin": pa.array(range(200), pa.int32()),
            "mapped_logit": mapped,
        }
    )
    lake.replace(SCORE_MAPS, {"ds": shift(today, -1)}, rows, LINEAGE)
    tests = {t["name"]: t for t in decide(lake, today)["evidence"]["tests"]}  # type: ignore[index]
    assert not tests["score"]["drifted"]
    assert tests["score"]["days"] == 19  # the weekdays among 25 days
    identity = rows.set_column(3, "mapped_logit", pa.array(CENTRES))
    lake.replace(SCORE_MAPS, {"ds": shift(today, -1)}, identity, LINEAGE)
    tests = {t["name"]: t for t in decide(lake, today)["evidence"]["tests"]}  # type: ignore[index]
    assert tests["score"]["drifted"]


def test_observed_over_expected_goes_on_across_versions_without_a_map(lake: Lake) -> None:
    today = history(lake)
    promotion(lake, shift(today, -1), 2)
    sketch(lake, today, version=2, change=-0.5)
    row = decide(lake, today)
    assert row["decision"] == "retrain"
    assert {t["name"] for t in row["evidence"]["tests"]} == {"label", "auc", "calibration"}  # type: ignore[index]


def test_a_waived_day_is_no_part_of_what_is_normal(lake: Lake) -> None:
    today = history(lake)
    sketch(lake, today)
    evidence = decide(lake, today)["evidence"]
    assert evidence["reference_days"] == DAYS  # type: ignore[index]
    close_day(lake, shift(FIRST, 3), "waived", "the log was broken", LINEAGE, {})
    evidence = decide(lake, today)["evidence"]
    assert evidence["reference_days"] == DAYS - 1  # type: ignore[index]


def test_a_blocked_day_is_no_part_of_what_is_normal_for_days_that_begin_after_it(
    lake: Lake,
) -> None:
    today = history(lake)
    sketch(lake, today)
    bad, served = shift(FIRST, 3), {"mlp": 1}
    rollback = PromotionEvent(
        shift(today, -1), "rollback", 1, "mlp", 2, served, "bad labels", "nobody", day=bad, number=1
    )
    write_event(lake, rollback, "intent")
    assert decide(lake, today)["evidence"]["reference_days"] == DAYS  # type: ignore[index]
    write_event(lake, rollback, "done")
    assert decide(lake, today)["evidence"]["reference_days"] == DAYS - 1  # type: ignore[index]
    release = PromotionEvent(
        shift(today, -1), "release", 0, "", 0, {}, "they were good", "nobody", day=bad, number=2
    )
    write_event(lake, release, "done")
    assert decide(lake, today)["evidence"]["reference_days"] == DAYS  # type: ignore[index]
    write_event(lake, replace(rollback, ds=today, number=3), "done")  # after the day
    assert decide(lake, today)["evidence"]["reference_days"] == DAYS  # type: ignore[index]


def test_only_the_reference_days_of_the_ledger_are_opened(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = history(lake, days=60)
    sketch(lake, today)
    for number in range(0, 60, 3):
        close_day(lake, shift(FIRST, number), "published", "", LINEAGE, {"a": 1})
    opened: list[str] = []
    read = lake.read

    def watched(table: Table, days: Iterable[str], *more: Any, **how: Any) -> pa.Table:
        found = list(days)
        opened.extend(found if table is LEDGER else [])
        return read(table, found, *more, **how)

    monkeypatch.setattr(lake, "read", watched)
    decide(lake, today)
    assert min(opened) == shift(today, -54)
    assert len(opened) == len(set(opened)) == 18


def test_the_reference_goes_back_no_further_than_asked_for(lake: Lake) -> None:
    today = history(lake, days=70)
    sketch(lake, today)
    assert decide(lake, today)["evidence"]["reference_days"] == 56  # type: ignore[index]


def trained(lake: Lake, ds: str) -> None:
    """A candidate of that day."""
    row = {"run_id": "r", "parent_version": 0, "first_day": FIRST, "last_day": FIRST}
    row |= {"rows": 1, "replay_rows": 0, "directory": "d", "evidence": "{}"}
    schema = pa.schema([f for f in lake.schema(CANDIDATES) if f.name not in ("ds", "scorer")])
    partition = {"ds": ds, "scorer": "mlp"}
    lake.replace(CANDIDATES, partition, pa.Table.from_pylist([row], schema), LINEAGE)


@pytest.mark.parametrize(("days", "decision"), [(8, "not_enough_data"), (27, "skip")])
def test_the_last_training_is_read_from_the_candidates(
    lake: Lake, days: int, decision: str
) -> None:
    today = history(lake, days=days)
    sketch(lake, today)
    row = decide(lake, today)
    assert (row["decision"], row["train"]) == (decision, True)
    assert "never trained yet" in str(row["reason"])
    for before, train in ((7, True), (3, False), (0, False)):
        trained(lake, shift(today, -before))  # today's own is none before it
        row = decide(lake, today)
        assert (row["decision"], row["train"]) == (decision, train)
        assert f"last trained {before or 3} days ago" in str(row["reason"]) or decision == "skip"


def test_a_day_that_was_taken_back_found_and_trained_nothing(lake: Lake) -> None:
    bad = history(lake, days=28)
    trained(lake, shift(bad, -3))
    sketch(lake, bad, change=-0.8)
    assert decide(lake, bad)["decision"] == "retrain"
    trained(lake, bad)
    after = shift(bad, 1)
    sketch(lake, after)
    assert "is not learned yet" in str(decide(lake, after)["reason"])
    event = PromotionEvent(bad, "rollback", 1, "mlp", 2, {"mlp": 1}, "bad", "me", day=bad, number=1)
    write_event(lake, event, "done")
    row = decide(lake, after)
    assert (row["decision"], row["train"]) == ("skip", False)
    fourth = shift(bad, 4)  # a week after the last training that was not taken back
    sketch(lake, fourth)
    assert "last trained 7 days ago" in str(decide(lake, fourth)["reason"])


def test_where_negatives_are_drawn_the_ranks_are_read_from_the_metrics(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "sampled", small_dataset("sampled"))
    today = history(lake, rank=0.8)
    sketch(lake, today, rank=0.8)
    quiet = decide(lake, today)
    assert quiet["decision"] == "skip"
    assert {t["name"] for t in quiet["evidence"]["tests"]} == {"score", "rank"}  # type: ignore[index]
    sketch(lake, today, rank=0.7)
    assert decide(lake, today)["decision"] == "retrain"
