"""The promotion on a real lake and a real registry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conf.settings import Settings
from feature_store.champion import Standing, standing_after, standing_before
from feature_store.lake import Lake
from feature_store.ledger import reopen_days
from feature_store.tables import CANDIDATE_SCORES, EXAMPLES, PROMOTIONS, SCORE_MAPS
from tests.training.answers import answers
from tests.training.promotion_fixture import (
    BAD,
    BOTH,
    D1,
    D2,
    D3,
    FAIR,
    GOOD,
    context_of,
    first_promotion,
    logits_like,
    prepare,
    promote,
    versions_of,
    write_drift,
    written,
)
from training.drift.score_map import quantile_map
from training.registry.registry import Registry
from training.scoring.composite import load_composite

LakeOf = Callable[[str], Lake]


# ---- outcomes ------------------------------------------------------------------------------------


def test_the_first_day_registers_those_that_pass_and_crowns_the_best(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    context = context_of(lake, settings, D1)
    prepare(context, BOTH)
    result = promote(context)
    assert result.facts == {"promoted": True, "version": 2, "scorer": "mlp", "waits": 0}
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
    asked = [{"user_id": f"u{known:05d}", "top_n": 3}, {"user_id": "nobody", "top_n": 2}]
    answer = answers(registry.version_directory(2), asked)
    assert answer["rank"].tolist() == [1, 2, 3, 1, 2]
    key = registry.version_tags(2)["promote_key"]
    assert answer["version"].unique().tolist() == [f"{D1}-mlp-{key[:8]}"]
    for _, mine in answer.groupby("user_id"):
        assert mine["score"].is_monotonic_decreasing
        assert mine["item_id"].is_unique


def test_the_champions_update_replaces_it_and_the_score_map_leads_over(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {"two_tower": (GOOD, FAIR), "mlp": (GOOD, FAIR)})
    assert promote(context).facts == {"promoted": True, "version": 4, "scorer": "mlp", "waits": 0}
    assert standing_after(lake, D2) == Standing(4, "mlp", {"two_tower": 3, "mlp": 4})
    assert registry.aliases()["previous"] == 2
    rows = lake.read(SCORE_MAPS, [D2]).sort_by("bin")
    assert set(rows.column("from_version").to_pylist()) == {2}
    assert set(rows.column("to_version").to_pylist()) == {4}
    labels = lake.read(EXAMPLES, [D2]).column("label").to_numpy()
    expected = quantile_map(logits_like(labels, FAIR, 1), logits_like(labels, GOOD, 2))
    np.testing.assert_allclose(rows.column("mapped_logit").to_numpy(), expected, atol=1e-12)


def test_days_rebuilt_after_another_one_leave_no_alias_of_their_earlier_run(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    for ds, version in ((D2, 4), (D3, 6)):
        context = context_of(lake, settings, ds)
        prepare(context, {"two_tower": (GOOD, FAIR), "mlp": (GOOD, FAIR)})
        assert promote(context).facts["version"] == version
    assert (registry.aliases()["champion"], registry.aliases()["previous"]) == (6, 4)
    reopen_days(lake, [D2, D3], {})
    for ds, champion in ((D2, 6), (D3, 2)):
        context = context_of(lake, settings, ds)
        prepare(context, {"mlp": (BAD, GOOD)}, champion=GOOD)
        assert promote(context).facts == {
            "promoted": False,
            "version": 2,
            "scorer": "mlp",
            "waits": 0,
        }
        assert registry.aliases()["champion"] == champion  # a later day's stays until it is rebuilt
    assert standing_after(lake, D3) == standing_after(lake, D1)
    assert "previous" not in registry.aliases()
    assert registry.aliases()["head-mlp"] == 2


def test_a_candidate_that_fails_is_not_registered_and_the_champion_stays(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {"mlp": (BAD, GOOD)}, champion=GOOD)
    result = promote(context)
    assert result.facts == {"promoted": False, "version": 2, "scorer": "mlp", "waits": 0}
    assert "mlp rejected" in result.summary
    assert len(versions_of(registry)) == 2
    assert standing_after(lake, D2) == standing_after(lake, D1)
    (gate,) = written(lake, D2)["gates"]
    assert (gate["outcome"], gate["version"]) == ("rejected", 0)


def test_a_scorer_that_was_not_evaluated_rejects_only_itself(
    lake: Lake, settings: Settings
) -> None:
    context = context_of(lake, settings, D1)
    prepare(context, BOTH)
    nothing = lake.read(CANDIDATE_SCORES, [])
    lake.replace(CANDIDATE_SCORES, {"ds": D1, "scorer": "mlp"}, nothing, {"step": "test", "ds": D1})
    promote(context)
    assert standing_after(lake, D1) == Standing(1, "two_tower", {"two_tower": 1})
    gates = {row["scorer"]: row for row in written(lake, D1)["gates"]}
    assert gates["two_tower"]["outcome"] == "champion"
    assert gates["mlp"]["outcome"] == "rejected"
    examples = lake.read(EXAMPLES, [D1]).num_rows
    assert gates["mlp"]["reason"] == (
        f"rejected: it was not evaluated, there are no scores of the day's {examples} examples. "
        f"Next: dayfold step evaluate --ds {D1} --scorer mlp"
    )


def test_on_a_day_without_examples_nothing_can_be_tested(lake: Lake, settings: Settings) -> None:
    context = context_of(lake, settings, D1)
    prepare(context, BOTH)
    for table, more in ((EXAMPLES, [{}]), (CANDIDATE_SCORES, [{"scorer": s} for s in BOTH])):
        for rest in more:
            lake.replace(table, {"ds": D1, **rest}, lake.read(table, []), {"step": "t", "ds": D1})
    assert promote(context).facts["promoted"] is False
    reasons = {row["reason"] for row in written(lake, D1)["gates"]}
    assert reasons == {"rejected: the day has no rows to test it on"}


def test_a_day_that_did_not_train_carries_the_standing_over_with_the_reason(
    lake: Lake, settings: Settings, registry: Registry
) -> None:
    first_promotion(lake, settings)
    context = context_of(lake, settings, D2)
    prepare(context, {})
    result = promote(context)
    assert result.facts == {"promoted": False, "version": 2, "scorer": "mlp", "waits": 0}
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
    assert promote(context).facts == {"promoted": False, "version": 0, "scorer": "", "waits": 0}
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
