"""Why an entry is in a list: the shares sum to its score, and the words are those of the share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from feature_store.champion import standing_after
from feature_store.tables import MISSING, RECOMMENDATIONS
from tests.training.promoted_home import TRAINED, Home
from training.features.reader import ITEM_NUMERIC, USER_NUMERIC, FeatureReader
from training.features.rows import Rows
from training.light.reasons import GROUPS
from training.light.recommender import load
from training.light.told import RISING, TAKEN
from training.registry.registry import Registry
from training.registry.serving import load_version
from training.scoring.catalogue_ranks import neutral_context, same_moment
from training.scoring.entry_reasons import Shelf, group_shares, reasons_of

WORDS = re.compile(
    r"because (it is (rising|popular)|of (your profile|what it is|what you took|the moment)"
    r"|you took (it before|\S+))"
)


@pytest.fixture(scope="module")
def home(promoted: Callable[[str], Home]) -> Home:
    return promoted("impressions")


@pytest.fixture(scope="module")
def asked(home: Home) -> tuple[Rows, np.ndarray, Shelf]:
    """Every one of 30 users with 7 items."""
    reader = FeatureReader(home.lake, TRAINED, TRAINED)
    at, day = reader.at_end_of(TRAINED)
    catalogue = np.sort(reader.catalogue(at, day))
    users = reader.users(np.arange(2, 32, dtype=np.int32), *same_moment(30, at, day))
    items = reader.items(catalogue, *same_moment(len(catalogue), at, day))
    user, item = np.repeat(np.arange(30), 7), np.tile(np.arange(7) * 3, 30)
    context = neutral_context(len(user), day, home.lake.dataset)
    rows = Rows(users.take(user), items.take(item), context)
    vectors = np.random.default_rng(4).normal(size=(len(catalogue), 5)).astype(np.float32)
    names = [f"item{number}" for number in catalogue]
    nobody = reader.users(np.zeros(1, np.int32), *same_moment(1, at, day))
    nothing = reader.items(np.zeros(1, np.int32), *same_moment(1, at, day))
    return rows, item, Shelf(catalogue, names, items, vectors, nobody, nothing)


def test_the_shares_sum_to_the_score_less_that_of_the_beginning(home: Home, asked) -> None:
    rows, _, shelf = asked
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    ranker = load_version(home.lake, home.settings, standing.version).ranker
    added = group_shares(ranker, rows, shelf)
    assert added.shape == (len(GROUPS), len(rows))
    start = ranker.logits(rows) - added.sum(axis=0)
    assert np.ptp(start) < 1e-4
    assert np.abs(added).max() > 1e-3


class Told:
    """A scorer that goes by what a test says."""

    def __init__(self, score: Callable[[Rows], np.ndarray]) -> None:
        self.logits = lambda rows: np.asarray(score(rows), dtype=np.float64)


def test_each_group_has_its_words(asked) -> None:
    rows, item, shelf = asked
    rising = ITEM_NUMERIC.index(RISING)

    def said(score: Callable[[Rows], np.ndarray]) -> list[str]:
        return reasons_of(Told(score), rows, item, shelf)  # type: ignore[arg-type]

    popular = said(lambda asked: 50 + asked.item.numeric[:, rising])
    up = rows.item.numeric[:, rising]
    mean = shelf.side.numeric[:, rising].mean()
    counts = rows.item.numeric[:, ITEM_NUMERIC.index(TAKEN)]
    for reason, value, count in zip(popular, up, counts, strict=True):
        expected = "because it is rising" if value > 0 else "because it is popular"
        assert reason == (expected if value > mean and count else "because of what it is")
    assert set(said(lambda asked: (asked.item.index > 0) * 1.0)) == {"because of what it is"}
    # an attribute that is missing, or a user of whom nothing is known, is no reason
    described = rows.user.categorical[:, 0] > MISSING
    profiles = said(lambda asked: (asked.user.categorical[:, 0] > MISSING) * 1.0)
    for reason, known in zip(profiles, described, strict=True):
        assert reason == ("because of your profile" if known else "because of what it is")
    active = said(lambda asked: asked.user.numeric[:, USER_NUMERIC.index("known")] * 1.0)
    assert set(active) == {"because of what it is"}  # activity says nothing to a person


def test_what_nobody_took_is_not_called_popular(asked) -> None:
    rows, item, shelf = asked
    count = ITEM_NUMERIC.index(TAKEN)
    numeric = rows.item.numeric.copy()
    numeric[::2, count] = 0
    numeric[1::2, count] = 0.1
    rows = replace(rows, item=replace(rows.item, numeric=numeric))
    rare = Told(lambda asked: -asked.item.numeric[:, count] * 1.0)
    reasons = reasons_of(rare, rows, item, shelf)  # type: ignore[arg-type]
    assert set(reasons[::2]) == {"because of what it is"}
    assert set(reasons[1::2]) <= {"because it is rising", "because it is popular"}


def test_nobody_has_no_profile_that_a_reason_could_name(home: Home, asked) -> None:
    """The list for everybody, and users without attributes: the beginning is themselves."""
    rows, item, shelf = asked
    version = standing_after(home.lake, TRAINED)
    assert version is not None
    ranker = load_version(home.lake, home.settings, version.version).ranker
    nobody = Rows(shelf.nobody.take(np.zeros(len(rows), np.int64)), rows.item, rows.context)
    added = group_shares(ranker, nobody, shelf)
    for group in ("profile", "history", "activity"):
        assert np.abs(added[GROUPS.index(group)]).max() < 1e-5, group
    told = set(reasons_of(ranker, nobody, item, shelf))
    assert told <= {"because it is rising", "because it is popular", "because of what it is"}


def test_whom_is_known_by_an_id_alone_took_nothing_that_could_be_named(asked) -> None:
    rows, item, shelf = asked
    by_id = Told(lambda asked: (asked.user.index > 0) * 1.0)
    reasons = reasons_of(by_id, rows, item, shelf)  # type: ignore[arg-type]
    empty = ~(rows.user.history > 0).any(axis=1)
    told = {reason for reason, none in zip(reasons, empty, strict=True) if none}
    assert told <= {"because of what it is"}
    assert all(
        reason.startswith("because you took")
        for reason, none in zip(reasons, empty, strict=True)
        if not none
    )


def test_the_item_that_is_named_is_the_likest_of_the_history(asked) -> None:
    rows, item, shelf = asked
    known = Told(lambda asked: (asked.user.history > 0).any(axis=1) * 1.0)
    reasons = reasons_of(known, rows, item, shelf)  # type: ignore[arg-type]
    place = {number: position for position, number in enumerate(shelf.ids.tolist())}
    unit = shelf.vectors / np.linalg.norm(shelf.vectors, axis=1, keepdims=True)
    named = 0
    for number, reason in enumerate(reasons):
        history = [one for one in rows.user.history[number].tolist() if one > 0]
        if not history:
            assert reason == "because of what it is"
        elif rows.item.index[number] in history:
            assert reason == "because you took it before"
        else:
            there = [place[one] for one in history if one in place]
            likest = max(there, key=lambda one: float(unit[one] @ unit[item[number]]))
            assert reason == f"because you took {shelf.names[likest]}"
            named += 1
    assert named > 20


def test_every_entry_of_the_published_lists_has_a_reason(home: Home) -> None:
    rows = home.rows(RECOMMENDATIONS, TRAINED)
    assert rows
    for row in rows:
        assert WORDS.fullmatch(str(row["reason"])), row
        if row["source"] == "popularity":
            assert row["reason"] in {"because it is rising", "because it is popular"}


def test_the_lists_say_what_the_light_client_says(home: Home) -> None:
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    folder = Registry(home.settings, home.lake.id).version_directory(standing.version)
    client = load(folder / "light", "numpy")
    same = total = 0
    by_user: dict[str, dict[str, str]] = {}
    for row in home.rows(RECOMMENDATIONS, TRAINED):
        if row["source"] == "model":
            by_user.setdefault(str(row["user_id"]), {})[str(row["item_id"])] = str(row["reason"])
    for user, reasons in list(by_user.items())[:20]:
        answers = client.recommend({"user_id": user, "candidates": list(reasons)})
        for answer in answers:
            total += 1
            same += answer["reason"] == reasons[answer["item_id"]]
    assert total > 50
    # the client asks for the moment of the request, lists for noon: near ties differ
    assert same / total > 0.9


def test_nobody_is_the_same_to_the_lists_and_to_the_light_client(home: Home, asked) -> None:
    *_, shelf = asked
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    folder = Registry(home.settings, home.lake.id).version_directory(standing.version)
    client = load(folder / "light", "numpy")
    nobody, nothing = client._beginning.user, client._known.items.take([0])
    for ours, theirs in ((shelf.nobody, nobody), (shelf.nothing, nothing)):
        assert ours.index.tolist() == theirs.index.tolist()
        assert ours.categorical.tolist() == theirs.categorical.tolist()
        assert ours.numeric == pytest.approx(theirs.numeric)
        for mine, other in zip(ours.multi, theirs.multi, strict=True):
            assert [x for x in mine[0] if x >= 0] == [x for x in other[0] if x >= 0]
    mean = shelf.side.numeric.mean(axis=0)
    assert client._beginning.item.numeric[0] == pytest.approx(mean, abs=1e-5)
