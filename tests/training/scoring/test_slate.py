from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.scoring.slate import Entries, ListRules, lists_of, occurrence, top_k

USERS = 4


@dataclass(frozen=True)
class Case:
    """Random input of `lists_of`: 4 users, a catalogue, ranked entries, taken pairs, rules."""

    items: int
    ranked: Entries
    taken: np.ndarray
    popular: np.ndarray
    rules: ListRules


@st.composite
def cases(draw: st.DrawFn) -> Case:
    items = draw(st.integers(1, 25))
    pairs = st.tuples(st.integers(0, USERS - 1), st.integers(0, items - 1))
    ranked = sorted(draw(st.sets(pairs, max_size=60)))
    scores = draw(
        st.lists(st.integers(-3, 3), min_size=len(ranked), max_size=len(ranked))
    )  # few values: many ties
    taken = sorted(u * items + i for u, i in draw(st.sets(pairs, max_size=40)))
    category = draw(st.none() | st.lists(st.integers(0, 4), min_size=items, max_size=items))
    rules = ListRules(
        draw(st.integers(1, 8)),
        None if category is None else np.array(category, dtype=np.int64),
        draw(st.integers(1, 3)),
    )
    popular = np.array(draw(st.permutations(range(items))), dtype=np.int64)
    entries = Entries(
        np.array([u for u, _ in ranked], dtype=np.int64),
        np.array([i for _, i in ranked], dtype=np.int64),
        np.array(scores, dtype=np.float64),
    )
    return Case(items, entries, np.array(taken, dtype=np.int64), popular, rules)


def one_list_by_hand(case: Case, user: int) -> list[tuple[int, float | None]]:
    """The same list, one item after the other, by the rules as people say them."""
    own = [
        (-score, item)
        for u, item, score in zip(
            case.ranked.user, case.ranked.item, case.ranked.score, strict=True
        )
        if u == user
    ]
    wanted = [(int(i), -s) for s, i in sorted(own)] + [(int(i), None) for i in case.popular]
    chosen: dict[int, float | None] = {}
    of_category: Counter[int] = Counter()
    for item, score in wanted:
        category = 0 if case.rules.category is None else int(case.rules.category[item])
        if item in chosen or user * case.items + item in case.taken:
            continue
        if category > 1 and of_category[category] == case.rules.category_cap:
            continue
        if len(chosen) < case.rules.top_n:
            chosen[item] = score
            of_category[category] += 1
    return list(chosen.items())


@settings(deadline=None)
@given(cases())
def test_lists_are_those_made_one_item_after_the_other(case: Case) -> None:
    lists = lists_of(case.ranked, case.taken, case.popular, USERS, case.items, case.rules)
    found: list[list[tuple[int, float | None]]] = [[] for _ in range(USERS)]
    for user, item, score in zip(lists.user, lists.item, lists.score, strict=True):
        found[user].append((int(item), None if np.isnan(score) else float(score)))
    assert found == [one_list_by_hand(case, user) for user in range(USERS)]


@settings(deadline=None)
@given(cases())
def test_no_list_repeats_an_item_or_holds_a_taken_one_or_breaks_the_cap(case: Case) -> None:
    lists = lists_of(case.ranked, case.taken, case.popular, USERS, case.items, case.rules)
    keys = lists.user * case.items + lists.item
    assert len(set(keys.tolist())) == len(keys)
    assert not set(keys.tolist()) & set(case.taken.tolist())
    assert np.bincount(lists.user, minlength=USERS).max(initial=0) <= case.rules.top_n
    assert (np.diff(lists.user) >= 0).all()
    if case.rules.category is not None:
        category = case.rules.category[lists.item]
        counts = Counter(zip(lists.user.tolist(), category.tolist(), strict=True))
        assert all(n <= case.rules.category_cap for (_, c), n in counts.items() if c > 1)


@settings(deadline=None)
@given(cases())
def test_a_list_is_full_where_the_catalogue_suffices(case: Case) -> None:
    rules = ListRules(case.rules.top_n, None, 1)
    lists = lists_of(case.ranked, case.taken, case.popular, USERS, case.items, rules)
    lengths = np.bincount(lists.user, minlength=USERS)
    open_ = case.items - np.bincount(case.taken // case.items, minlength=USERS)
    assert lengths.tolist() == np.minimum(rules.top_n, open_).tolist()


def test_model_items_stand_before_popular_ones_and_ties_go_to_the_lower_item() -> None:
    ranked = Entries(np.array([0, 0, 0]), np.array([7, 2, 5]), np.array([1.0, 1.0, 3.0]))
    lists = lists_of(ranked, np.empty(0, int), np.array([5, 0, 1]), 1, 8, ListRules(5, None, 1))
    assert lists.item.tolist() == [5, 2, 7, 0, 1]
    assert np.isnan(lists.score).tolist() == [False, False, False, True, True]


def test_a_full_category_makes_room_for_the_next_one() -> None:
    ranked = Entries(np.zeros(4, int), np.array([0, 1, 2, 3]), np.array([4.0, 3.0, 2.0, 1.0]))
    rules = ListRules(3, np.array([5, 5, 5, 6]), 2)
    lists = lists_of(ranked, np.empty(0, int), np.empty(0, int), 1, 4, rules)
    assert lists.item.tolist() == [0, 1, 3]


def test_unknown_and_missing_categories_are_not_capped() -> None:
    ranked = Entries(np.zeros(4, int), np.arange(4), np.array([4.0, 3.0, 2.0, 1.0]))
    rules = ListRules(4, np.array([0, 0, 1, 1]), 1)
    lists = lists_of(ranked, np.empty(0, int), np.empty(0, int), 1, 4, rules)
    assert lists.item.tolist() == [0, 1, 2, 3]


def test_an_empty_catalogue_makes_no_list() -> None:
    nothing = Entries(np.empty(0, int), np.empty(0, int), np.empty(0))
    rules = ListRules(10, np.empty(0, int), 1)
    assert len(lists_of(nothing, np.empty(0, int), np.empty(0, int), 3, 0, rules)) == 0


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_top_k_is_a_stable_sort_of_all_scores(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(-3, 4, (5, 9)).astype(np.float32) / 2  # ties, and both zeros
    scores[0, 0], scores[1, 3] = -0.0, -np.inf
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(top_k(scores, k), expected)


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=30))
def test_occurrence_counts_what_came_before(keys: list[int]) -> None:
    found = occurrence(np.array(keys, dtype=np.int64))
    assert found.tolist() == [keys[:position].count(key) for position, key in enumerate(keys)]
