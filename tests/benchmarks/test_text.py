"""The benchmark of text scorers on a small lake: its rows and what they are counted from."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.text import FIGURES, measure
from conf.compression import CompressionSettings
from conf.settings import Settings
from conf.training import TextSettings, TrainingSettings
from feature_store.days import shift
from tests.training.lake_fixture import small_lake
from tests.training.log_fixture import FIRST_DAY
from tests.training.text.tiny_models import tiny_bert

pytest.importorskip("transformers", reason="bert reads with transformers: the extra `text`")


def test_scorers_and_variants_are_tested_on_the_same_later_rows(
    tmp_path: Path,
) -> None:
    lake = small_lake(tmp_path / "lake", "threshold")
    text = TextSettings(bert_model=tiny_bert(tmp_path / "bert"))
    settings = Settings(
        training=TrainingSettings(bootstrap_epochs=1, text=text),
        compression=CompressionSettings(requests=3),
    )
    days = [shift(FIRST_DAY, n) for n in (9, 10, 11)]
    summary, rows = measure(lake, settings, days, [7])
    subjects = ["mlp", "bert", "bert_int8", "bert_distilled"]
    assert [row["scorer"] for row in rows] == subjects
    for row in rows:
        assert row["tested_rows"] == row["rows_new_items"] + row["rows_seen_items"]
    assert len({row["tested_rows"] for row in rows}) == 1
    assert {f"{figure}_{scorer}" for figure in FIGURES for scorer in subjects} <= set(summary)
    assert summary["texts"] > 0
