"""score_day, evaluate and recommend on a real champion: trained, gated and registered once."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conf.dataset import RecommendRules
from conf.settings import GateSettings, RecommendSettings, Settings
from feature_store.lake import Lake
from feature_store.step import StepContext
from feature_store.tables import (
    CANDIDATE_SCORES,
    CANDIDATES,
    DAILY_METRICS,
    DRIFT,
    ENCODED_ITEMS,
    EVALUATIONS,
    EVENTS,
    EXAMPLES,
    ITEM_STATS,
    RECOMMENDATIONS,
    SCORES,
    SKETCHES,
    USER_SEQUENCES,
    USER_STATS,
    USERS,
    VOCABULARIES,
    Table,
)
from tests.training.home_fixture import fresh_home
from tests.training.lake_fixture import FIRST_DAY, LINEAGE, small_dataset
from training import evaluate, promote, recommend, score_day, train
from training.measures.sketch import BINS, bin_edges
from training.promotion.candidates import Aligned
from training.promotion.score_scale import same_rows_logits
from training.registry.bundle import Bundle
from training.registry.champion import standing_after
from training.registry.registry import Registry
from training.scoring.metrics import auc, log_loss, logit_of, sigmoid

TRAINED = "2026-01-09"
SCORED = "2026-01-10"
LATER = ("2026-01-11", "2026-01-12")


@dataclass(frozen=True)
class Home:
    """A lake and a home in which TRAINED promoted a champion."""

    lake: Lake
    settings: Settings

    def context(self, ds: str, scorer: str | None = None) -> StepContext:
        return StepContext((ds,), self.lake, self.lake.dataset, self.settings, scorer)

    def rows(self, table: Table, ds: str) -> list[dict[str, object]]:
        return self.lake.read(table, [ds]).to_pylist()

    def metrics(self, ds: str) -> dict[str, tuple[float, int]]:
        rows = self.lake.read(DAILY_METRICS, [ds]).to_pylist()
        return {f"{row['subject']}.{row['metric']}": (row["value"], row["n"]) for row in rows}


@pytest.fixture(scope="module")
def promoted(
    lake_of: Callable[[str], Lake], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Home]:
    """The home of a dataset of the given kind of labels, TRAINED done and SCORED scored."""
    made: dict[str, Home] = {}

    def home(kind: str) -> Home:
        if kind not in made:
            root = tmp_path_factory.mktemp(f"promoted-{kind}")
            shutil.copytree(lake_of(kind).root, root / "lake")
            lake = Lake(root / "lake", small_dataset(kind))
            # Twelve small days make no good model; here every model passes.
            gate = GateSettings(margin=9.0, max_calibration_error=9.0, resamples=50)
            settings = fresh_home(root / "home").model_copy(update={"gate": gate})
            made[kind] = Home(lake, settings)
            _promote(made[kind])
            score_day.run(made[kind].context(SCORED))
        return made[kind]

    return home


def _promote(home: Home) -> None:
    decision = {"decision": ["retrain"], "train": [True], "reason": ["."], "evidence": ["{}"]}
    home.lake.replace(DRIFT, {"ds": TRAINED}, pa.table(decision), LINEAGE)
    for step in (train, evaluate):
        for scorer in home.settings.training.scorers:
            step.run(home.context(TRAINED, scorer))
    promote.run(home.context(TRAINED))
    recommend.run(home.context(TRAINED))
    assert standing_after(home.lake, TRAINED) is not None


# ---- score_day ---------------------------------------------------------------------------------


def test_every_example_is_scored_once_by_the_champion(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    scores = home.lake.read(SCORES, [SCORED])
    examples = home.lake.read(EXAMPLES, [SCORED])
    ids = examples.column("example_id").to_pylist()
    assert scores.column("example_id").to_pylist() == sorted(ids)
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    assert set(scores.column("model_version").to_pylist()) == {standing.version}
    assert scores.column("percentile_rank").null_count == scores.num_rows


def test_the_sketch_adds_up_to_the_scores(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    scores = home.lake.read(SCORES, [SCORED])
    sketch = (
        home.lake.read(SKETCHES, [SCORED])
        .group_by("slice")
        .aggregate([("n", "sum"), ("clicks", "sum"), ("expected", "sum")])
    )
    by_slice = {row["slice"]: row for row in sketch.to_pylist()}
    everything = by_slice["all"]
    assert everything["n_sum"] == scores.num_rows
    assert everything["clicks_sum"] == pc.sum(scores.column("label")).as_py()
    expected = sigmoid(scores.column("logit").to_numpy()).sum()
    assert everything["expected_sum"] == pytest.approx(expected)
    for field in ("history=", "ctx_device="):
        parts = [row["n_sum"] for name, row in by_slice.items() if name.startswith(field)]
        assert sum(parts) == scores.num_rows


def test_the_champions_metrics_are_those_of_its_scores(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    scores = home.lake.read(SCORES, [SCORED])
    logits, labels = (scores.column(name).to_numpy() for name in ("logit", "label"))
    found = home.metrics(SCORED)
    assert found["champion.auc"] == (pytest.approx(auc(logits, labels)), len(labels))
    assert found["champion.log_loss"][0] == pytest.approx(log_loss(logits, labels))
    best = log_loss(np.full(len(labels), logit_of(labels.mean())), labels)
    assert found["base_rate.log_loss"] == (pytest.approx(best), len(labels))
    assert found["lists.recall_at_10"][1] == found["popularity_7d.recall_at_10"][1] > 0


def test_sampled_sketches_hold_ten_drawn_negatives_per_positive(
    promoted: Callable[[str], Home],
) -> None:
    home = promoted("sampled")
    positives = home.lake.read(EXAMPLES, [SCORED]).num_rows
    sketch = home.lake.read(SKETCHES, [SCORED])
    everything = sketch.filter(pc.equal(sketch.column("slice"), "all"))
    assert pc.sum(everything.column("n")).as_py() == 11 * positives
    assert pc.sum(everything.column("clicks")).as_py() == positives
    ranks = home.lake.read(SCORES, [SCORED]).column("percentile_rank")
    found = home.metrics(SCORED)["champion.mean_percentile_rank"]
    assert found == (pytest.approx(pc.mean(ranks).as_py()), positives - ranks.null_count)


def test_two_champions_are_compared_on_the_rows_that_the_sketch_counts(
    promoted: Callable[[str], Home],
) -> None:
    home = promoted("sampled")
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    other = next(version for version in standing.heads.values() if version != standing.version)
    aligned = Aligned([], {}, np.zeros(1))
    logits = same_rows_logits(home.context(SCORED), aligned, standing.version, other, "two_tower")
    assert logits is not None
    old, new = logits
    sketch = home.lake.read(SKETCHES, [SCORED])
    everything = sketch.filter(pc.equal(sketch.column("slice"), "all"))
    counts = np.zeros(BINS)
    counts[everything.column("bin").to_numpy()] = everything.column("n").to_numpy()
    assert np.histogram(old, bin_edges())[0].tolist() == counts.tolist()
    assert len(new) == len(old)
    assert not np.array_equal(old, new)


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_what_is_served_gives_the_scores_that_were_published(
    promoted: Callable[[str], Home], kind: str
) -> None:
    home = promoted(kind)
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    registry = Registry(home.settings, home.lake.id)
    bundle = Bundle(registry.version_directory(standing.version), str(standing.version))
    published = {
        (row["user_id"], row["item_id"]): row["score"]
        for row in home.rows(RECOMMENDATIONS, TRAINED)
        if row["source"] == "model"
    }
    users = sorted({user for user, _ in published})
    served = bundle.predict(pd.DataFrame({"user_id": users, "top_n": 50}))
    compared = [
        (row.score, published[row.user_id, row.item_id])
        for row in served.itertuples()
        if (row.user_id, row.item_id) in published
    ]
    assert len(compared) >= len(published) / 2 > 0
    np.testing.assert_allclose(*zip(*compared, strict=True), rtol=1e-4, atol=1e-4)


def test_a_day_without_a_champion_has_only_baselines(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    result = score_day.run(home.context(FIRST_DAY))
    assert home.rows(SCORES, FIRST_DAY) == home.rows(SKETCHES, FIRST_DAY) == []
    assert "base_rate.log_loss" in home.metrics(FIRST_DAY)
    assert not any(name.startswith(("champion", "lists")) for name in home.metrics(FIRST_DAY))
    assert "no champion" in result.summary


def test_an_empty_day_writes_empty_partitions(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    result = score_day.run(home.context("2026-01-20"))
    assert home.rows(SCORES, "2026-01-20") == home.rows(DAILY_METRICS, "2026-01-20") == []
    assert result.summary.startswith("0 examples")


# ---- evaluate ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scorer", ["two_tower", "mlp"])
def test_a_first_candidate_has_no_head(promoted: Callable[[str], Home], scorer: str) -> None:
    home = promoted("impressions")
    scores = home.lake.read(CANDIDATE_SCORES, [TRAINED])
    mine = scores.filter(pc.equal(scores.column("scorer"), scorer))
    assert mine.num_rows == home.lake.read(EXAMPLES, [TRAINED]).num_rows
    assert np.isnan(mine.column("head_logit").to_numpy()).all()
    rows = [row for row in home.rows(EVALUATIONS, TRAINED) if row["scorer"] == scorer]
    values = {row["metric"]: row["value"] for row in rows}
    logits, labels = (mine.column(name).to_numpy() for name in ("logit", "label"))
    assert values["auc"] == pytest.approx(auc(logits, labels))
    assert "base_rate_log_loss" in values
    assert all(np.isnan(row["head_value"]) for row in rows)


def test_a_candidate_equal_to_its_head_scores_the_same(promoted: Callable[[str], Home]) -> None:
    home = promoted("sampled")
    # The checkpoint that became the head stands as the next day's candidate.
    rows = home.lake.read(CANDIDATES, [TRAINED]).to_pylist()
    for row in rows:
        partition = {"ds": SCORED, "scorer": row.pop("scorer")}
        row.pop("ds")
        home.lake.replace(CANDIDATES, partition, pa.Table.from_pylist([row]), LINEAGE)
        evaluate.run(home.context(SCORED, partition["scorer"]))
    scores = home.lake.read(CANDIDATE_SCORES, [SCORED])
    assert scores.num_rows == 2 * home.lake.read(EXAMPLES, [SCORED]).num_rows
    for mine, heads in (("logit", "head_logit"), ("percentile_rank", "head_percentile_rank")):
        np.testing.assert_array_equal(
            scores.column(mine).to_numpy(), scores.column(heads).to_numpy()
        )
    for row in home.rows(EVALUATIONS, SCORED):
        if not str(row["metric"]).startswith("popularity"):
            assert row["value"] == row["head_value"]


def test_a_scorer_that_was_not_trained_is_not_tested(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    result = evaluate.run(home.context(LATER[0], "mlp"))
    assert result.summary.startswith("mlp: no candidate")
    assert home.rows(CANDIDATE_SCORES, LATER[0]) == home.rows(EVALUATIONS, LATER[0]) == []


# ---- recommend ---------------------------------------------------------------------------------


def lists_on(home: Home, ds: str) -> dict[str, list[dict[str, object]]]:
    lists: dict[str, list[dict[str, object]]] = {}
    for row in home.rows(RECOMMENDATIONS, ds):
        lists.setdefault(str(row["user_id"]), []).append(row)
    return lists


def positives_until(home: Home, ds: str) -> set[tuple[str, str]]:
    events = home.lake.read(EVENTS, [day for day in home.lake.days(EVENTS) if day <= ds])
    return {
        (row["user_id"], row["item_id"])
        for row in events.to_pylist()
        if row["event_type"] in home.lake.dataset.positive
    }


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_lists_are_full_ordered_and_new_to_their_users(
    promoted: Callable[[str], Home], kind: str
) -> None:
    home = promoted(kind)
    taken = positives_until(home, TRAINED)
    born = {
        row["value"]
        for row in home.lake.read(
            VOCABULARIES, [d for d in home.lake.days(VOCABULARIES) if d <= TRAINED]
        ).to_pylist()
        if row["field"] == "item_id"
    }
    lists = lists_on(home, TRAINED)
    for user, rows in lists.items():
        items = [row["item_id"] for row in rows]
        open_ = born - {item for owner, item in taken if owner == user}
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert len(set(items)) == len(items) == min(10, len(open_))
        assert set(items) <= open_
        scores = [row["score"] for row in rows if row["source"] == "model"]
        assert scores == sorted(scores, reverse=True)
        sources = [row["source"] for row in rows]
        assert sources == sorted(sources)  # model before popularity
    model = Counter(row["source"] for rows in lists.values() for row in rows)["model"]
    assert model > 100
    assert len(lists["*"]) == min(10, len(born))


def test_everyone_active_has_a_list(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    events = home.lake.read(EVENTS, [d for d in home.lake.days(EVENTS) if d <= TRAINED])
    everyone = set(events.column("user_id").to_pylist())
    assert set(lists_on(home, TRAINED)) == everyone | {"*"}
    few = RecommendSettings(active_days=1)
    home = replace(home, settings=home.settings.model_copy(update={"recommend": few}))
    recommend.run(home.context("2026-01-08"))
    expected = {
        row["user_id"]
        for row in events.to_pylist()
        if row["ds"] <= "2026-01-08" and row["event_ds"] >= "2026-01-08"
    }
    assert set(lists_on(home, "2026-01-08")) == expected | {"*"}


def test_what_the_model_lists_lies_above_the_base_rate(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    labels = home.lake.read(
        EXAMPLES, [d for d in home.lake.days(EXAMPLES) if "2026-01-03" <= d <= TRAINED]
    ).column("label")
    threshold = logit_of(pc.mean(labels).as_py())
    rows = [row for rows in lists_on(home, TRAINED).values() for row in rows]
    assert all(row["score"] > threshold for row in rows if row["source"] == "model")


def test_the_category_cap_holds_in_every_list(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    rules = RecommendRules(exclude_taken=False, category_attribute="category", category_cap=2)
    dataset = home.lake.dataset.model_copy(update={"recommend": rules})
    capped = replace(home, lake=Lake(home.lake.root, dataset))
    recommend.run(capped.context(SCORED))
    lists = lists_on(capped, SCORED)
    for rows in lists.values():
        # The fixture's category is the item's number modulo 4.
        counts = Counter(int(str(row["item_id"])[1:]) % 4 for row in rows)
        assert set(counts.values()) == {2}
    assert len(lists["*"]) == 8


def test_an_item_that_is_not_available_when_the_day_ends_is_not_listed(
    promoted: Callable[[str], Home], tmp_path: Path
) -> None:
    home = copied(promoted("impressions"), tmp_path)
    items = home.lake.read(ENCODED_ITEMS, [FIRST_DAY])
    end = datetime(2026, 1, 11, tzinfo=UTC)  # the instant at which SCORED ends
    until = pa.array([end] * 5 + [None] * (items.num_rows - 5), pa.timestamp("us", tz="UTC"))
    changed = items.set_column(
        items.column_names.index("available_until"), "available_until", until
    )
    home.lake.replace(ENCODED_ITEMS, {"ds": FIRST_DAY}, changed, LINEAGE)
    gone = {f"i{index:05}" for index in items.column("item_index").to_pylist()[:5]}
    for ds, listed in (("2026-01-09", True), (SCORED, False)):
        recommend.run(home.context(ds))
        found = {row["item_id"] for rows in lists_on(home, ds).values() for row in rows}
        assert bool(found & gone) is listed


def test_without_a_champion_popularity_fills_the_lists(promoted: Callable[[str], Home]) -> None:
    home = promoted("impressions")
    recommend.run(home.context("2026-01-05"))
    lists = lists_on(home, "2026-01-05")
    assert len(lists) > 20
    assert {row["source"] for rows in lists.values() for row in rows} == {"popularity"}
    assert {row["model_version"] for rows in lists.values() for row in rows} == {0}


def test_a_lake_without_a_single_event_publishes_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", small_dataset())
    home = Home(lake, Settings(home=str(tmp_path), dataset="small"))
    result = recommend.run(home.context(FIRST_DAY))
    assert home.rows(RECOMMENDATIONS, FIRST_DAY) == []
    assert result.facts["users"] == result.facts["items"] == 0


# ---- all of them -------------------------------------------------------------------------------


def copied(home: Home, folder: Path) -> Home:
    """The same home on a copy of its lake (same id, same registry)."""
    shutil.copytree(home.lake.root, folder / "lake")
    return replace(home, lake=Lake(folder / "lake", home.lake.dataset))


def written(home: Home) -> dict[str, list[dict[str, object]]]:
    tables = (SCORES, SKETCHES, DAILY_METRICS, RECOMMENDATIONS)
    return {table.name: home.rows(table, SCORED) for table in tables}


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_a_second_run_writes_the_same_rows(
    promoted: Callable[[str], Home], tmp_path: Path, kind: str
) -> None:
    home = copied(promoted(kind), tmp_path)
    recommend.run(home.context(SCORED))
    before = written(home)
    score_day.run(home.context(SCORED))
    recommend.run(home.context(SCORED))
    np.testing.assert_equal(written(home), before)  # NaN equals NaN


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_what_comes_after_the_day_changes_nothing(
    promoted: Callable[[str], Home], tmp_path: Path, kind: str
) -> None:
    home = copied(promoted(kind), tmp_path)
    recommend.run(home.context(SCORED))
    before = written(home)
    for table in (EVENTS, EXAMPLES, USERS, ENCODED_ITEMS, USER_STATS, ITEM_STATS, USER_SEQUENCES):
        for ds in LATER:
            home.lake.replace(table, {"ds": ds}, home.lake.read(table, [ds]).slice(0, 0), LINEAGE)
    score_day.run(home.context(SCORED))
    recommend.run(home.context(SCORED))
    np.testing.assert_equal(written(home), before)  # NaN equals NaN
