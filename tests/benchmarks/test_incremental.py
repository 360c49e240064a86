"""The incremental protocol on sessions made by hand, against plain Python."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from benchmarks import session_memory
from benchmarks.evidence import State, learned_weights, sources, target_shares
from benchmarks.full_retrain import with_full_retrains
from benchmarks.incremental import main
from benchmarks.next_item import MISS, Predictions, places
from benchmarks.periods import Run, run_periods
from benchmarks.reranker import candidates_of, places_among
from benchmarks.sequence_network import fresh
from benchmarks.session_memory import Counts, SessionMemory
from benchmarks.sessions import Sessions, joined, load_periods
from benchmarks.teaching import REPLAYED, Replay, candidate_logits, full_places

ITEMS = 6
logs = st.lists(st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=7), min_size=1, max_size=8)


def sessions(log: list[list[int]]) -> Sessions:
    starts = np.concatenate([[0], np.cumsum([len(clicks) for clicks in log])])
    return Sessions(np.array([i for clicks in log for i in clicks], dtype=np.int64), starts)


def test_interleaved_lines_are_sessions_by_their_last_click(tmp_path: Path) -> None:
    (tmp_path / "period_0.txt").write_text("a x\nb y\na z\nc x\nb x\n")
    with gzip.open(tmp_path / "period_1.txt.gz", "wt") as file:
        file.write("d w\nd x\n")
    (first, second), items = load_periods(tmp_path)
    assert items == 4  # x, y, z, w
    assert first.items.tolist() == [0, 2, 0, 1, 0]  # a: x z, c: x, b: y x
    assert first.starts.tolist() == [0, 2, 3, 5]
    assert second.items.tolist() == [3, 0]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, r"has the periods \[\], expected period_0"),
        ({"period_1.txt": "a x\n"}, r"periods \[1\], expected period_0"),
        ({"period_0.txt": "a x\na\n"}, "period_0.txt line 2: 'a.n', expected two words"),
    ],
)
def test_a_folder_that_is_none_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SystemExit, match=said):
        load_periods(tmp_path)


@settings(deadline=None)
@given(logs, st.sets(st.integers(0, ITEMS - 1)))
def test_what_was_never_seen_leaves_the_test(log: list[list[int]], seen: set[int]) -> None:
    known = np.isin(np.arange(ITEMS), list(seen))
    left = [[item for item in clicks if item in seen] for clicks in log]
    expected = sessions([clicks for clicks in left if len(clicks) > 1])
    found = sessions(log).of_known(known)
    assert found.items.tolist() == expected.items.tolist()
    assert found.starts.tolist() == expected.starts.tolist()
    test = Predictions.of(found, known)
    wanted = [
        (clicks[at], [*reversed(clicks[:at])])
        for clicks in left
        if len(clicks) > 1
        for at in range(1, len(clicks))
    ]
    assert test.target.tolist() == [target for target, _ in wanted]
    assert [[i for i in row if i >= 0] for row in test.prefix.tolist()] == [p for _, p in wanted]


@settings(deadline=None)
@given(logs, logs)
def test_counts_are_folded_period_by_period(one: list[list[int]], two: list[list[int]]) -> None:
    counts = Counts.empty(ITEMS, 2.0)
    for log in (one, two):
        counts = counts.with_period(sessions(log))
    expected: Counter[tuple[int, int, int]] = Counter()
    for log, weight in ((one, 0.5**0.5), (two, 1.0)):
        for clicks in log:
            for at, item in enumerate(clicks):
                for distance in range(1, session_memory.DISTANCE + 1):
                    if at >= distance:
                        expected[distance, clicks[at - distance], item] += weight  # type: ignore[assignment]
    for distance, found in enumerate(counts.by_distance, start=1):
        for before in range(ITEMS):
            for after in range(ITEMS):
                wanted = expected[distance, before, after]
                assert found[before, after] == pytest.approx(wanted, rel=1e-5)


@settings(deadline=None, max_examples=30)
@given(logs, logs, st.integers(1, 3))
def test_the_memory_holds_the_newest_sessions_of_each_item(
    one: list[list[int]], two: list[list[int]], most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_memory, "SESSIONS_PER_ITEM", most)
        memory = SessionMemory(ITEMS)
        for log in (one, two):
            memory = memory.with_period(sessions(log))
        newest: dict[int, list[int]] = {}
        everything = [*one, *two]
        for number, clicks in enumerate(everything):
            for item in set(clicks):
                newest.setdefault(item, []).append(number)
        needed = sorted({n for numbers in newest.values() for n in numbers[-most:]})
        kept = memory.sessions
        found = [
            kept.items[a:b].tolist() for a, b in zip(kept.starts, kept.starts[1:], strict=False)
        ]
        assert found == [everything[n] for n in needed]
        # One item: all its newest sessions vote for what they hold.
        item = everything[0][0]
        prefix = np.array([[item, *[-1] * (session_memory.LENGTH - 1)]])
        votes = Counter(i for n in newest[item][-most:] for i in set(everything[n]))
        scores = memory.scores(prefix).toarray()[0]
        assert scores.tolist() == pytest.approx([votes[i] for i in range(ITEMS)])


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=6))
def test_places_are_those_of_a_stable_sort(rows: list[list[int]]) -> None:
    dense = np.array(rows, dtype=float)
    target = np.arange(len(rows)) % 5
    order = np.argsort(-dense, axis=1, kind="stable")
    expected = [
        order[n].tolist().index(target[n]) + 1 if dense[n, target[n]] else MISS
        for n in range(len(rows))
    ]
    assert places(sparse.csr_matrix(dense), target).tolist() == expected


def test_weights_make_what_came_likelier() -> None:
    log = walks(200)
    state = State.empty(ITEMS).with_period(sessions(log))
    lesson = Predictions.of(sessions(log), state.known)
    found = sources(state, lesson.prefix)
    weights = learned_weights(target_shares(found, lesson.target), lesson.length_class)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    said = np.stack([s.toarray()[np.arange(len(lesson)), lesson.target] for s in found])
    mixed = (weights[lesson.length_class].T * said).sum(axis=0)
    assert np.log(mixed).mean() >= np.log(said.mean(axis=0)).mean()


def walks(number: int) -> list[list[int]]:
    random = np.random.default_rng(0)
    return [[(s + k) % ITEMS for k in range(2 + s % 4)] for s in random.integers(0, 99, number)]


@pytest.fixture
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_one_thread")
def test_a_stopped_protocol_goes_on_to_the_same_figures(tmp_path: Path) -> None:
    log = walks(200)
    parts = [sessions(log[n::4]) for n in range(4)]
    assert len(joined(parts)) == len(log)
    small = Run(predictions=50, network_predictions=30, taught=40, learned=60)
    whole = list(run_periods(parts, ITEMS, small, tmp_path))
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    rows = run_periods(parts, ITEMS, small, stopped)
    next(rows)
    next(rows)  # killed after the second period's row
    rows.close()
    again = list(run_periods(parts, ITEMS, small, stopped))
    assert [row["period"] for row in again] == [1, 2, 3]
    assert [row["known"] for row in again] == [row["known"] for row in whole]
    assert len((stopped / "rows.jsonl").read_text().splitlines()) == 3
    # six items: all within 20
    assert {metrics["recall20"] for metrics in again[-1]["known"].values()} == {100.0}
    taught = list(with_full_retrains(again, parts, ITEMS, small, 1, stopped))
    assert [row["period"] for row in taught] == [1]
    assert taught[0]["known"]["full_retrain"]["recall20"] == 100.0
    kept = json.loads((stopped / "full-1.json").read_text())
    assert kept["cpu_seconds"] == taught[0]["cpu_seconds"]["full_retrain"]
    assert "full_retrain" not in again[1]["known"]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_replay_is_bounded_and_knows_the_past_alone(periods: list[int]) -> None:
    replay = Replay()
    for number, size in enumerate(periods):
        new = np.full(size, number)
        prefix = np.full((size, session_memory.LENGTH), -1)
        replay = replay.with_period(Predictions(new, prefix))
        assert len(replay.kept) <= REPLAYED
        assert set(replay.kept.target) <= set(range(number + 1))


def test_places_among_candidates_are_those_of_a_stable_sort() -> None:
    scores = sparse.csr_matrix(np.array([[0, 3, 1, 0, 3], [0, 0, 0, 2, 0.0]]))
    items = candidates_of(scores)
    assert {*items[0][items[0] >= 0]} == {1, 2, 4}
    assert {*items[1][items[1] >= 0]} == {3}
    said = np.where(items >= 0, scores.toarray()[np.arange(2)[:, None], items], 0)
    for target, place in ((1, 1), (4, 2), (2, 3), (0, MISS)):
        found = places_among(said.astype(np.float32), items, np.array([target, 3]))
        assert found.tolist() == [place, 1]


def test_a_net_ranks_all_items_and_says_the_same_of_candidates() -> None:
    network = fresh(5, 3)
    prefix = np.full((4, session_memory.LENGTH), -1)
    prefix[:, 0] = [0, 4, 2, 1]
    vectors = network.vectors()
    dense = (network.users(prefix) @ vectors.T).numpy()
    target = np.array([3, 0, 2, 4])
    expected = [1 + int((dense[n] > dense[n, target[n]]).sum()) for n in range(4)]
    assert full_places(network, Predictions(target, prefix)).tolist() == expected
    items = np.array([[4, 0], [1, 2], [3, 3], [2, -1]])
    said = candidate_logits(network, vectors, prefix, items)
    np.testing.assert_allclose(said[0], dense[0, [4, 0]], rtol=1e-5)
    np.testing.assert_allclose(said[3, 0], dense[3, 2], rtol=1e-5)


@pytest.mark.usefixtures("_one_thread")
def test_the_command_writes_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(1)
    for period in range(5):
        log = random.integers(0, 30, 40)
        lines = [f"s{s} i{(item + k) % 40}" for s, item in enumerate(log) for k in range(3)]
        (tmp_path / f"period_{period}.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr("benchmarks.result.RESULTS", tmp_path)
    arguments = ["incremental", "--source", str(tmp_path), "--quick", "--home", str(tmp_path / "h")]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    assert "period 3 of 3: 80 predictions" in capsys.readouterr().out
    written = json.loads((tmp_path / "incremental-quick.json").read_text())
    summary = written["summary"]
    assert summary["periods"] == len(written["rows"]) == 3
    assert summary["recall20_counts"] > summary["recall20_popularity"]
    assert summary["mrr20_interpolated"] > 20
    assert summary["mrr20_best"] > 20
    assert 0 < summary["cost_ratio_finetune"] < summary["cost_ratio_best"]
    assert summary["recall20_interpolated_whole"] <= summary["recall20_interpolated"]
