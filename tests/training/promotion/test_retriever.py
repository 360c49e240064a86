"""A ranker's ranks depend on what is recalled: what is tested together is registered together."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from feature_store.champion import Standing, standing_after
from feature_store.tables import CANDIDATE_SCORES, CANDIDATES, EXAMPLES
from tests.training.log_fixture import LINEAGE
from tests.training.promoted_home import SCORED, TRAINED, Home, copied
from training import evaluate, promote
from training.features.reader import FeatureReader
from training.fitting.checkpoint import load_checkpoint, load_scorer, save_scorer
from training.promotion.candidates import TrainedCandidate
from training.promotion.retriever import Retriever, find_retriever
from training.registry.registry import Registry
from training.scorers import build
from training.scorers.trained import TrainedScorer
from training.scoring.catalogue_ranks import Cascade, percentile_ranks
from training.scoring.composite import load_composite

RECALLED = 5


@pytest.fixture
def home(promoted: Callable[[str], Home], tmp_path: Path) -> Home:
    """A home of its own whose SCORED day has both candidates; two_tower starts afresh."""
    shared = promoted("sampled")
    shutil.copytree(shared.settings.home, tmp_path / "home")
    recommend = shared.settings.recommend.model_copy(update={"recall_k": RECALLED})
    changes = {"home": str(tmp_path / "home"), "recommend": recommend}
    own = replace(copied(shared, tmp_path), settings=shared.settings.model_copy(update=changes))
    for row in own.rows(CANDIDATES, TRAINED):
        scorer, folder = str(row.pop("scorer")), str(row.pop("directory"))
        del row["ds"]
        today = folder.replace(TRAINED, SCORED)
        checkpoint = load_checkpoint(tmp_path / "home" / folder)
        if scorer == "two_tower":
            fresh = build(scorer, checkpoint.net.schema, checkpoint.architecture)
            checkpoint = replace(checkpoint, net=fresh)
        save_scorer(tmp_path / "home" / today, checkpoint)
        row |= {"directory": today, "evidence": f'{{"input_hash": "{SCORED}-{scorer}"}}'}
        partition = {"ds": SCORED, "scorer": scorer}
        own.lake.replace(CANDIDATES, partition, pa.Table.from_pylist([row]), LINEAGE)
    return own


def ranks_over(home: Home, ranker: TrainedScorer, retriever: TrainedScorer) -> np.ndarray:
    examples = home.lake.read(EXAMPLES, [SCORED]).sort_by("example_id")
    reader = FeatureReader(home.lake, SCORED, SCORED)
    return percentile_ranks(
        Cascade(ranker, retriever, RECALLED), reader, examples, home.lake.dataset
    )


def candidates(home: Home) -> dict[str, TrainedScorer]:
    folder = Path(home.settings.home) / "candidates" / "small" / SCORED
    return {name: load_scorer(folder / name) for name in ("two_tower", "mlp")}


def test_a_ranker_is_tested_over_todays_retriever_and_its_head_over_its_own(home: Home) -> None:
    evaluate.run(home.context(SCORED, "mlp"))
    scores = home.lake.read(CANDIDATE_SCORES, [SCORED]).sort_by("example_id")
    today = candidates(home)
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    version = standing.heads["mlp"]
    directory = Registry(home.settings, home.lake.id).version_directory(version)
    head = load_composite(directory, version)
    tested = ranks_over(home, today["mlp"], today["two_tower"])
    np.testing.assert_array_equal(scores.column("percentile_rank").to_numpy(), tested)
    served = ranks_over(home, head.ranker, head.retriever)
    np.testing.assert_array_equal(scores.column("head_percentile_rank").to_numpy(), served)
    assert not np.array_equal(tested, served, equal_nan=True)


def test_a_ranker_is_registered_with_the_retriever_it_was_tested_over(home: Home) -> None:
    evaluate.run(home.context(SCORED, "mlp"))  # two_tower is not: it does not pass
    promote.run(home.context(SCORED))
    standing = standing_after(home.lake, SCORED)
    assert standing is not None
    version = standing.heads["mlp"]
    directory = Registry(home.settings, home.lake.id).version_directory(version)
    registered = load_composite(directory, version)
    assert registered.retriever.name == "two_tower"
    assert standing.heads["two_tower"] != version
    scores = home.lake.read(CANDIDATE_SCORES, [SCORED]).sort_by("example_id")
    np.testing.assert_array_equal(
        scores.column("percentile_rank").to_numpy(),
        ranks_over(home, registered.ranker, registered.retriever),
    )
    assert pc.count(scores.column("percentile_rank")).as_py()


TODAY = TrainedCandidate("two_tower", "r", 0, "", "", Path("today"), {"input_hash": "abc"})
ORDER: Mapping[str, tuple[TrainedCandidate | None, bool, bool, str | None]] = {
    "today's, where it may lead": (TODAY, True, True, "input:abc"),
    "else its head": (TODAY, False, True, "version:head"),
    "its head where nothing was trained": (None, True, True, "version:head"),
    "today's all the same, without a head": (TODAY, False, False, "input:abc"),
    "at last the champion's": (None, True, False, "version:champion"),
}
"""Case: today's candidate, whether it may lead, whether there is a head, what is found."""


@pytest.mark.parametrize("case", ORDER)
def test_what_recalls_is_found_in_the_stated_order(home: Home, case: str) -> None:
    trained, may_lead, has_head, expected = ORDER[case]
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    heads = {name: v for name, v in standing.heads.items() if name == "mlp" or has_head}
    names = {"head": standing.heads["two_tower"], "champion": standing.version}
    found = find_retriever(
        Registry(home.settings, home.lake.id),
        Standing(standing.version, standing.scorer, heads),
        trained=trained,
        scorer="two_tower",
        may_lead=may_lead,
    )
    assert isinstance(found, Retriever)
    assert expected is not None
    kind, _, name = expected.partition(":")
    assert found.key == f"{kind}:{names.get(name, name)}"


def test_without_a_champion_and_a_candidate_nothing_recalls(home: Home) -> None:
    registry = Registry(home.settings, home.lake.id)
    found = find_retriever(registry, None, trained=None, scorer="two_tower", may_lead=True)
    assert found is None
