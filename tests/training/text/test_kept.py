"""Encoded texts are kept: the same to the bit, bounded, safe for several processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conf.training import TextSettings
from tests.training.text.tiny_models import tiny_bert
from training.features.words import Words
from training.text.architecture import text_architecture
from training.text.frozen import FrozenPart
from training.text.kept import KEPT, KeptTexts

TEXTS = [f"item {n} . w {'x ' * (n % 5)}" for n in range(24)]


def rows(seed: int, n: int = 6, width: int = 8) -> dict[int, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        seed * 100 + k + 1: generator.random((1 + k % 3, width), dtype=np.float32) for k in range(n)
    }


def check(kept: KeptTexts, key: str, expected: dict[int, np.ndarray]) -> None:
    found = kept.get(key, np.array(list(expected)))
    assert found.keys() == expected.keys()
    for number, values in expected.items():
        np.testing.assert_array_equal(found[number], values)


@pytest.mark.parametrize("layers", [0, 1])
def test_what_was_kept_is_what_would_be_encoded_to_the_bit_in_any_company(
    tmp_path: Path, layers: int
) -> None:
    settings = TextSettings(bert_model=tiny_bert(tmp_path / "m"), trained_layers=layers)
    architecture = text_architecture("bert", settings)
    assert architecture is not None
    words = Words()
    numbers = words.add(TEXTS)
    KEPT.forget()
    KEPT.keep_in(tmp_path / "texts", 64)
    together = FrozenPart(architecture).encode(numbers, words)
    KEPT.forget()
    from_disk = FrozenPart(architecture).encode(numbers[::-1], Words())  # no text is there to read
    KEPT.keep_in(None, 64)
    KEPT.forget()
    for number in numbers.tolist():
        alone = FrozenPart(architecture).encode(np.array([number]), words)[number]
        np.testing.assert_array_equal(together[number], alone)
        np.testing.assert_array_equal(from_disk[number], alone)
    KEPT.forget()


def test_two_encoders_do_not_read_each_others_texts(tmp_path: Path) -> None:
    kept = KeptTexts()
    kept.keep_in(tmp_path, 64)
    kept.put("one", rows(1))
    assert kept.get("other", np.array(list(rows(1)))) == {}


def test_what_several_processes_wrote_is_read_and_a_torn_file_is_left_out(tmp_path: Path) -> None:
    writers = [KeptTexts() for _ in range(3)]
    for seed, writer in enumerate(writers):
        writer.keep_in(tmp_path, 64)
        writer.put("key", rows(seed))
        writer.put("key", rows(9))  # the same texts, one file
    files = list(tmp_path.rglob("*.safetensors"))
    assert len(files) == 4
    assert len(list(tmp_path.rglob("*"))) == 5
    reader = KeptTexts()
    reader.keep_in(tmp_path, 64)
    check(reader, "key", {**rows(0), **rows(1), **rows(2), **rows(9)})
    files[0].write_bytes(files[0].read_bytes()[:20])
    after = KeptTexts()
    after.keep_in(tmp_path, 64)
    found = after.get("key", np.array([n for seed in (0, 1, 2, 9) for n in rows(seed)]))
    assert len(found) == 18
    assert not files[0].exists()


def test_memory_and_files_stay_within_their_bound(tmp_path: Path) -> None:
    kept = KeptTexts()
    kept.keep_in(tmp_path, 1)
    for seed in range(8):
        kept.put("key", rows(seed, n=6, width=10_000))  # 0.48 MB each
    assert kept._bytes <= 1 << 20
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) <= 1 << 20
    check(kept, "key", rows(7, n=6, width=10_000))
