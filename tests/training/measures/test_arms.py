"""A/B by version: who was shown what by whom, what they took of it, and how sure that is."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from conf.errors import ConfigError
from feature_store.lake import Lake
from feature_store.tables import RECOMMENDATIONS
from tests.training.lake_fixture import small_dataset
from tests.training.log_fixture import LINEAGE
from tests.training.measures.test_lists import clicks, measured, put_events
from training.measures.answer_log import SHOWN, shown_by_log
from training.measures.arms import Arm, LogArms, _compared, arms_of_lists, arms_of_log
from training.registry.pool import Pool, version_of_user

LISTS_OF, SEEN = "2026-02-09", "2026-02-10"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", small_dataset())


def put_lists(lake: Lake, ds: str, lists: dict[tuple[str, int], list[str]]) -> None:
    rows = [
        {
            "user_id": user,
            "rank": rank,
            "item_id": item,
            "score": 0.0,
            "source": "model",
            "reason": "because it is popular",
            "model_version": version,
        }
        for (user, version), items in lists.items()
        for rank, item in enumerate(items, start=1)
    ]
    schema = pa.schema([f for f in lake.schema(RECOMMENDATIONS) if f.name != "ds"])
    lake.replace(RECOMMENDATIONS, {"ds": ds}, pa.Table.from_pylist(rows, schema), LINEAGE)


LISTS = {
    ("ann", 4): ["x", "y"],
    ("bob", 4): ["x", "z"],
    ("cid", 6): ["x", "y"],
    ("dan", 6): ["y", "z"],
    ("eve", 6): ["z"],
    ("*", 4): ["x"],
}


def test_hits_are_counted_by_who_made_the_list_active_or_not(lake: Lake) -> None:
    put_lists(lake, LISTS_OF, LISTS)
    put_events(lake, SEEN, clicks("ann:x", "ann:w", "cid:x", "cid:y", "dan:w", "zoe:x"))
    four, six = arms_of_lists(lake, [SEEN], 4)
    # ann took one of two, bob came not; cid took both, dan another item, eve came not
    assert four == Arm("4", 2, 0.5, 0.5)
    assert (six.version, six.users, six.hits) == ("6", 3, pytest.approx(2 / 3))
    assert six.active == pytest.approx(2 / 3)
    assert six.difference == pytest.approx(2 / 3 - 0.5)
    assert six.low is not None
    assert six.high is not None
    assert six.low < six.difference < six.high


def test_one_version_alone_has_nothing_to_be_compared_with(lake: Lake) -> None:
    put_lists(lake, LISTS_OF, {("ann", 4): ["x"], ("bob", 4): ["y"]})
    put_events(lake, SEEN, clicks("ann:x"))
    assert arms_of_lists(lake, [SEEN], 4) == []
    assert arms_of_lists(lake, [LISTS_OF], 4) == []
    assert not [name for name in measured(lake) if name.startswith("lists_v")]


def test_only_days_of_the_same_pool_count_and_users_who_kept_their_version(lake: Lake) -> None:
    put_lists(lake, "2026-02-07", {**LISTS, ("fay", 9): ["x"]})  # another pool
    put_lists(lake, "2026-02-08", {**LISTS, ("fay", 4): ["x"]})
    put_lists(lake, LISTS_OF, {**LISTS, ("fay", 6): ["x"]})  # other weights: fay is moved
    for ds in ("2026-02-08", "2026-02-09", SEEN):
        put_events(lake, ds, clicks("ann:x", "fay:x"))
    four, six = arms_of_lists(lake, ["2026-02-08", "2026-02-09", SEEN], 4)
    assert (four.users, six.users) == (2, 3)
    assert (four.hits, six.hits) == (0.5, 0.0)


def test_a_day_counts_what_happened_on_it_and_nothing_later(lake: Lake) -> None:
    put_lists(lake, LISTS_OF, LISTS)
    put_events(lake, SEEN, clicks("ann:x"), event_ds="2026-02-09")  # came late
    put_events(lake, "2026-02-11", clicks("ann:x"))
    assert [arm.hits for arm in arms_of_lists(lake, [SEEN], 4)] == [0.0, 0.0]


def test_the_days_metrics_tell_the_versions_apart(lake: Lake) -> None:
    put_lists(lake, LISTS_OF, LISTS)
    put_events(lake, SEEN, clicks("ann:x", "cid:x", "cid:w", "zoe:x"))
    found = measured(lake)
    assert found["lists_v4.recall_at_10"] == (1.0, 1)
    assert found["lists_v6.recall_at_10"] == (0.5, 2)
    assert found["lists.recall_at_10"] == (0.75, 4)


def test_a_log_is_read_as_the_server_writes_it(lake: Lake, tmp_path: Path) -> None:
    put_events(lake, SEEN, clicks("ann:x", "cid:x", "cid:y"))
    answers = [
        ("ann", "a", ["x", "y"]),
        ("ann", "a", ["x"]),  # asked again: the same item counts once
        ("bob", "a", ["x"]),
        ("cid", "b", ["x", "y"]),
        ("dan", "b", []),
        (None, "b", ["x"]),
    ]
    lines = [
        {"at": f"{SEEN}T10:00:00Z", "request_id": "1", "user_id": u, "version": v, "items": items}
        for u, v, items in answers
    ]
    path = tmp_path / "answers.jsonl"
    whole = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(whole)
    answered, damaged = shown_by_log(path)
    assert (answered.num_rows, damaged) == (5, 0)
    found = arms_of_log(lake, answered, "a", [SEEN])
    (a, b) = found.arms
    assert (found.unknown, found.moved) == ([], 0)
    assert (a.version, a.users, a.hits) == ("a", 2, 0.5)
    assert (b.version, b.users, b.hits) == ("b", 1, 2.0)
    assert arms_of_log(lake, answered, "a", [LISTS_OF]) == LogArms([], [SEEN], 0)
    broken = [b'{"at": 3}\n', b"[]\n", b"null\n", b"\xff\xfe\n", whole.encode()[:40], b"\n"]
    for one in (
        {"at": "soon", "user_id": "ann", "version": "a", "items": ["x"]},
        {"at": SEEN, "user_id": 7, "version": "a", "items": ["x"]},
        {"at": SEEN, "user_id": "ann", "version": 4, "items": ["x"]},
        {"at": SEEN, "user_id": "ann", "version": "a", "items": [None]},
        {"at": SEEN, "user_id": "ann", "version": "a", "items": None},
    ):
        broken.insert(0, json.dumps(one).encode() + b"\n")
    path.write_bytes(whole.encode() + b"".join(broken))
    again, damaged = shown_by_log(path)
    assert again.equals(answered)
    assert damaged == len(broken) - 1  # an empty line is nothing
    path.write_text("GET / 200\n")
    with pytest.raises(ConfigError, match=r"is no log of answers, expected JSON lines"):
        shown_by_log(path)
    with pytest.raises(ConfigError, match=r"--log \S+none.jsonl cannot be read \(No such file"):
        shown_by_log(tmp_path / "none.jsonl")


def test_users_whom_several_versions_answered_are_in_no_arm(lake: Lake) -> None:
    rows = [
        (SEEN, "ann", "a", "x"),
        (SEEN, "bob", "b", "x"),
        (SEEN, "cid", "a", "x"),
        (SEEN, "cid", "b", "y"),
        ("2026-02-11", "dan", "a", "x"),
        (SEEN, "dan", "b", "x"),
        ("2026-03-01", "ann", "b", "x"),  # of a day that does not count
    ]
    answered = pa.table(dict(zip(SHOWN.names, zip(*rows, strict=True), strict=True)), schema=SHOWN)
    for ds in (SEEN, "2026-02-11"):
        put_events(lake, ds, clicks("ann:x", "cid:x", "dan:x"))
    found = arms_of_log(lake, answered, "a", [SEEN, "2026-02-11"])
    assert found.moved == 2
    assert [(arm.version, arm.users, arm.hits) for arm in found.arms] == [
        ("a", 1, 1.0),
        ("b", 1, 0.0),
    ]


def test_the_sums_are_duckdbs(lake: Lake) -> None:
    random = np.random.default_rng(5)
    items = [f"i{number}" for number in range(8)]
    lists = {
        (f"u{user}", int(random.choice([4, 6, 7]))): list(random.choice(items, 3, replace=False))
        for user in range(60)
    }
    days = [SEEN, "2026-02-11", "2026-02-12"]
    shown, taken = [], []
    for ds in days:
        before = f"2026-02-{int(ds[-2:]) - 1:02}"
        put_lists(lake, before, lists)
        pairs = {f"u{random.integers(70)}:{random.choice(items)}" for _ in range(80)}
        put_events(lake, ds, clicks(*sorted(pairs)))
        taken += [(ds, *pair.split(":")) for pair in pairs]
        shown += [(ds, user, v, item) for (user, v), listed in lists.items() for item in listed]
    columns = ("ds", "user", "version", "item")
    shown_rows = pa.table({n: [row[i] for row in shown] for i, n in enumerate(columns)})
    taken_rows = pa.table({n: [r[i] for r in taken] for i, n in enumerate(("ds", "user", "item"))})
    expected = duckdb.sql(
        "with hits as (select s.ds, s.version, s.user, count(t.item) as n from shown_rows s "
        "left join taken_rows t using (ds, user, item) group by all), "
        "users as (select version, user, avg(n) as n from hits group by all) "
        "select version, count(*), avg(n) from users group by version order by version"
    ).fetchall()
    assert shown_rows.num_rows == 540
    assert taken_rows.num_rows > 100
    found = [(int(arm.version), arm.users, arm.hits) for arm in arms_of_lists(lake, days, 4)]
    assert found == [(v, n, pytest.approx(mean)) for v, n, mean in expected]


def test_the_interval_is_welchs(lake: Lake) -> None:
    random = np.random.default_rng(3)
    base, mine = random.poisson(0.3, 400).astype(float), random.poisson(0.5, 90).astype(float)
    arms = {"4": (base, base > 0), "6": (mine, mine > 0)}
    _, six = _compared(arms, "4")
    # Welch (1947) by hand: the variances of the two means, and Satterthwaite's degrees of freedom
    a, b = mine.var(ddof=1) / 90, base.var(ddof=1) / 400
    freedom = (a + b) ** 2 / (a**2 / 89 + b**2 / 399)
    half = student.ppf(0.975, freedom) * np.sqrt(a + b)
    apart = mine.mean() - base.mean()
    assert (six.low, six.high) == pytest.approx((apart - half, apart + half))


def test_equal_arms_differ_in_one_of_twenty_trials() -> None:
    random = np.random.default_rng(11)
    wrong = 0
    for _ in range(1000):
        base, mine = random.poisson(0.4, 300).astype(float), random.poisson(0.4, 120).astype(float)
        _, arm = _compared({"4": (base, base), "6": (mine, mine)}, "4")
        assert arm.low is not None
        assert arm.high is not None
        wrong += not arm.low <= 0 <= arm.high
    assert 30 <= wrong <= 70


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=4), st.integers(0, 99))
def test_every_user_has_one_version_and_the_shares_are_kept(
    weights: list[float], seed: int
) -> None:
    total = sum(weights)
    pool = Pool({number + 3: weight / total for number, weight in enumerate(weights)})
    users = [f"{seed}-{number}" for number in range(600)]
    picked = [version_of_user(pool, user) for user in users]
    assert picked == [version_of_user(pool, user) for user in users]
    for version, share in pool.weights.items():
        # five standard errors
        assert (
            abs(picked.count(version) / 600 - share)
            <= 5 * np.sqrt(share * (1 - share) / 600) + 1e-9
        )
