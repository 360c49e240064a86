"""What a promoted version answers: to whom it knows, to strangers, about new items."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from training.light import asked as asked_module
from training.light.asked import candidates_of, context_of, user_of
from training.light.entities import MISSING, UNKNOWN
from training.light.known import FormatError, Known, load_known
from training.light.reasons import GROUPS, masks, shares
from training.light.recommender import NOTHING_KNOWN, Recommender, load
from training.light.request import Candidate, RequestError, checked


@pytest.fixture(scope="module")
def known(composite: Path) -> Known:
    return load_known(composite / "light" / "data")


def user(known: Known, **raw: object) -> object:
    return user_of(known, checked(raw, known.declared, 10))


def test_a_list_is_ranked_and_says_why_and_by_which_version(
    recommender: Recommender, known: Known
) -> None:
    name = next(iter(known.user_row))
    entries = recommender.recommend({"user_id": name, "top_n": 7})
    assert [entry["rank"] for entry in entries] == list(range(1, 8))
    scores = [entry["score"] for entry in entries]
    assert scores == sorted(scores, reverse=True)
    assert len({entry["item_id"] for entry in entries}) == 7
    assert all(entry["reason"].startswith("because ") for entry in entries)
    assert {entry["version"] for entry in entries} == {recommender.version}
    json.dumps(entries, allow_nan=False)


def test_what_a_user_took_lately_is_not_recalled(recommender: Recommender, known: Known) -> None:
    for name, row in list(known.user_row.items())[:5]:
        rows = known.rows_of_history(known.users.take([row]))
        taken = {known.item_ids[r] for r in rows}
        everything = recommender.recommend({"user_id": name, "top_n": 1000})
        assert not taken & {entry["item_id"] for entry in everything}
        assert len(everything) == len(known.item_ids) - 1 - len(taken)


def test_a_profile_reads_as_in_the_lake(known: Known) -> None:
    cities = known.words["user.city"]
    city, number = next(iter(cities.items()))
    stranger = user(known, profile={"city": f" {city} ", "age": 18, "interests": ["?", "!"]})
    assert stranger.categorical.tolist() == [[3, number]]  # 18 is in the bin from 18 to 40
    assert stranger.multi[0].tolist() == [[UNKNOWN]]
    partly = user(known, profile={"age": 17.9})
    assert partly.categorical.tolist() == [[2, MISSING]]
    assert partly.multi[0].tolist() == [[MISSING]]
    new_value = user(known, profile={"city": "a town that nobody heard of"})
    assert new_value.categorical[0, 1] == UNKNOWN


def test_what_a_request_does_not_say_of_a_known_user_stays(known: Known) -> None:
    name, row = next(iter(known.user_row.items()))
    before = known.users.take([row])
    after = user(known, user_id=name, profile={"age": 50})
    assert after.categorical[0, 0] == 4
    assert after.categorical[0, 1] == before.categorical[0, 1]
    np.testing.assert_array_equal(after.history, before.history)


def test_a_history_replaces_the_one_that_is_known(known: Known) -> None:
    name = next(iter(known.user_row))
    first, second = known.item_ids[1:3]
    asked = user(known, user_id=name, history=[second, "no such item", first])
    expected = [known.items.index[2], known.items.index[1]]
    assert asked.history[0, :3].tolist() == [*expected, 0]


def test_a_context_reads_as_in_the_lake(known: Known) -> None:
    devices = known.words["context.device"]
    device, number = next(iter(devices.items()))
    said = context_of(known, {"hour": 3, "device": device})
    assert said.tolist() == [[3, known.about["weekday"], number]]
    assert context_of(known, {"device": "fridge"})[0, 2] == UNKNOWN
    assert context_of(known, {})[0].tolist() == [12, known.about["weekday"], MISSING]


def test_a_new_item_is_ranked_by_what_it_is_and_an_unknown_one_comes_last(
    recommender: Recommender, known: Known
) -> None:
    category = next(iter(known.words["item.category"]))
    new = {"item_id": "brand-new", "attributes": {"category": category}}
    asked = {"candidates": ["nobody-knows", new, *known.item_ids[1:4]], "top_n": 10}
    entries = recommender.recommend(asked)
    assert len(entries) == 5
    assert entries[-1]["item_id"] == "nobody-knows"
    assert (entries[-1]["score"], entries[-1]["reason"]) == (None, NOTHING_KNOWN)
    assert all(entry["score"] is not None for entry in entries[:-1])
    other = {**new, "attributes": {"category": "another kind"}}
    score = {e["item_id"]: e["score"] for e in recommender.recommend({"candidates": [new]})}
    changed = {e["item_id"]: e["score"] for e in recommender.recommend({"candidates": [other]})}
    assert score["brand-new"] != changed["brand-new"]


def test_new_items_keep_their_places_among_the_others(known: Known) -> None:
    somebody = user(known)
    category, number = next(iter(known.words["item.category"].items()))
    wanted = (
        Candidate(known.item_ids[2]),
        Candidate("new", {"category": category, "tags": []}),
        Candidate(known.item_ids[1]),
    )
    asked = candidates_of(known, somebody, wanted, context_of(known, {}), None)
    assert asked.items.index.tolist() == [known.items.index[2], UNKNOWN, known.items.index[1]]
    assert asked.items.categorical[1, 0] == number
    assert asked.known.tolist() == [True, True, True]
    assert asked_module.MISSING in asked.items.multi[0][1]


def test_no_candidates_give_an_empty_list(recommender: Recommender) -> None:
    assert recommender.recommend({"candidates": []}) == []
    assert recommender.explain({"candidates": []}) == []


def test_a_wrong_field_is_a_request_error(recommender: Recommender) -> None:
    with pytest.raises(RequestError, match=r"profile\.age: 'x'"):
        recommender.recommend({"profile": {"age": "x"}})


# ---- reasons -------------------------------------------------------------------------------------


def test_attributions_sum_to_the_difference_of_the_scores(
    recommender: Recommender, known: Known
) -> None:
    starts = set()
    for name in list(known.user_row)[:4]:
        for entry in recommender.explain({"user_id": name, "context": {"hour": 20}}):
            added = entry["attributions"]
            assert set(added) == set(GROUPS)
            assert entry["score"] - entry["start"] == pytest.approx(sum(added.values()), abs=1e-5)
            starts.add(round(entry["start"], 4))
    assert len(starts) == 1  # everybody begins at the same


def test_what_nobody_took_is_never_called_popular_though_that_adds_to_its_score(
    composite: Path, tmp_path: Path
) -> None:
    shutil.copytree(composite / "light", tmp_path / "light")
    path = tmp_path / "light" / "data" / "items.npz"
    with np.load(path) as held:
        items = dict(held)
    items["numeric"][-5:] = items["numeric"][0]
    np.savez(path, **items)
    client = load(tmp_path / "light", "numpy")
    # a ranker that prefers what is less popular than the mean
    column = client._known.about["item_numeric"].index("positive_h30")
    client._rank = lambda asked: (  # type: ignore[method-assign]
        lambda users, items, pair, context: -items.numeric[pair, column]
    )
    names = client._known.item_ids
    new = {"item_id": "new", "attributes": {"tags": ["x"]}}
    entries = client.explain({"candidates": [*names[1:], new], "top_n": 1000})
    untaken = {*names[-5:], "new"}
    told = {entry["item_id"]: entry["reason"] for entry in entries}
    assert {told[name] for name in untaken} == {"because of what it is"}
    popular = {"because it is popular", "because it is rising"}
    assert popular & {told[name] for name in told.keys() - untaken}
    for entry in entries:
        assert entry["start"] + sum(entry["attributions"].values()) == pytest.approx(entry["score"])
        if entry["item_id"] in untaken:
            assert entry["attributions"]["popularity"] > 0


def test_shares_of_a_sum_are_its_parts_and_of_pairs_their_halves() -> None:
    parts = np.array([1.0, -2.0, 0.5, 4.0, 0.0, 3.0])

    def score(mask: np.ndarray) -> float:
        # a product is shared by both of its factors, as the Shapley value has it
        return float(parts @ mask + 6.0 * mask[0] * mask[3])

    said = shares(np.array([[score(mask)] for mask in masks()], dtype=np.float32))[:, 0]
    np.testing.assert_allclose(said, parts + np.array([3, 0, 0, 3, 0, 0]), atol=1e-5)
    exact = np.zeros(len(GROUPS))
    orders = list(permutations(range(len(GROUPS))))
    for order in orders:
        mask = np.zeros(len(GROUPS))
        for group in order:
            before = score(mask)
            mask[group] = 1.0
            exact[group] += (score(mask) - before) / len(orders)
    np.testing.assert_allclose(said, exact, atol=1e-4)


# ---- folders -------------------------------------------------------------------------------------


def test_a_folder_that_is_no_version_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"holds no about\.json: expected a version's folder"):
        load(tmp_path)


def test_a_folder_of_another_format_is_refused(composite: Path, tmp_path: Path) -> None:
    shutil.copytree(composite / "light", tmp_path / "light")
    about = tmp_path / "light" / "data" / "about.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "format": 2}))
    with pytest.raises(FormatError, match=r"has format 2, this client reads 1\. Next: "):
        load(tmp_path / "light")


def test_text_of_a_new_item_is_that_of_items_like_it(known: Known) -> None:
    from training.light.graphs import Texts

    vectors = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float32)
    more, row = Texts(vectors).mean_of(np.array([1, 2]))
    assert row == 4
    inputs = more.inputs(np.array([[1, 0]]), np.array([[4], [3]]))
    said = inputs["texts_vectors"][inputs["texts_item"]]
    np.testing.assert_allclose(said, [[0.5**0.5, 0.5**0.5], [1, 1]], rtol=1e-6)
    assert inputs["texts_user_has"].tolist() == [[1, 0]]
    assert replace(known).users.text.shape[1] == 0  # this version reads none
