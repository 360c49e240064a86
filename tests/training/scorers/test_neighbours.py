"""What the memory says, against plain loops."""

from __future__ import annotations

from collections import Counter

import numpy as np

from training.light.memory import Memory

PRIOR = 0.3
SEQUENCES = np.array(
    [
        [3, 1, 2, 0],
        [4, 3, 1, 0],
        [2, 1, 0, 0],
        [5, 4, 0, 0],
        [1, 5, 1, 3],
    ],
    dtype=np.int32,
)


def votes(history: list[int], item: int) -> float:
    """Log of observed over expected votes: all sequences that share an item are near enough."""
    held = [set(row) - {0} for row in SEQUENCES.tolist()]
    degree = Counter(i for row in held for i in row)
    alike = []
    for row in held:
        places = {i: p for p, i in reversed(list(enumerate(history, start=1)))}
        shared = sum(p**-0.7 / np.log(2 + degree[i]) for i, p in places.items() if i in row)
        alike.append(shared / np.sqrt(1 + len(row)))
    effective = sum(alike) ** 2 / sum(a**2 for a in alike)
    share = sum(a for a, row in zip(alike, held, strict=True) if item in row) / sum(alike)
    chance = degree[item] / len(held)
    return float(np.log((effective * share + PRIOR) / (effective * chance + PRIOR)))


def follows(history: list[int], item: int) -> float:
    """Log of how often the item came after those of the history, over chance."""
    counts: Counter[tuple[int, int]] = Counter()
    for row in SEQUENCES.tolist():
        taken = [i for i in row if i][::-1]  # in the order of time
        for later in range(len(taken)):
            for apart in range(1, min(4, later) + 1):
                counts[taken[later - apart], taken[later]] += 1 / apart  # type: ignore[assignment]
    all_counts = sum(counts.values())
    chance = sum(n for (_, after), n in counts.items() if after == item) / all_counts
    observed = expected = 0.0
    for lag, before in enumerate(history[:4], start=1):
        observed += counts[before, item] / lag
        expected += chance * sum(n for (first, _), n in counts.items() if first == before) / lag
    return float(np.log((observed + PRIOR) / (expected + PRIOR)))


def test_the_evidence_is_what_was_observed_over_what_chance_would_give() -> None:
    histories = [[1, 3], [4, 1, 1], [2, 5]]
    padded = np.zeros((4, 5), dtype=np.int32)
    for row, history in zip(padded, histories, strict=False):
        row[: len(history)] = history
    items = np.array([3, 5, 1, 2, 4], dtype=np.int32)
    pair = np.tile(np.arange(5), (4, 1))[:, ::-1]
    found = Memory(SEQUENCES).evidence(padded, items, pair)
    for b, history in enumerate(histories):
        for p in range(5):
            item = int(items[pair[b, p]])
            np.testing.assert_allclose(found[b, p, 0], votes(history, item), rtol=1e-5)
            np.testing.assert_allclose(found[b, p, 1], follows(history, item), rtol=1e-5)
    assert not found[3].any()  # nobody is alike to a user who took nothing


def test_items_and_histories_that_the_memory_never_saw_are_no_evidence() -> None:
    history = np.array([[99, 0], [0, 0]], dtype=np.int32)
    items = np.array([1, 0, 98], dtype=np.int32)
    pair = np.tile(np.arange(3), (2, 1))
    assert not Memory(SEQUENCES).evidence(history, items, pair).any()
    empty = Memory(np.zeros((4, 3), dtype=np.int32))
    assert not empty.evidence(np.array([[1, 2]], dtype=np.int32), items, pair[:1]).any()


def test_however_many_users_are_asked_about_at_once_each_gets_the_same_answer() -> None:
    generator = np.random.default_rng(1)
    memory = Memory(generator.integers(0, 30, (400, 6)).astype(np.int32))
    histories = generator.integers(0, 30, (600, 4)).astype(np.int32)
    items = np.arange(30, dtype=np.int32)
    pair = generator.integers(0, 30, (600, 3))
    together = memory.evidence(histories, items, pair)
    for row in (0, 255, 256, 599):
        part = slice(row, row + 1)
        alone = memory.evidence(histories[part], items, pair[part])
        np.testing.assert_allclose(together[part], alone, rtol=1e-5, atol=1e-6)
