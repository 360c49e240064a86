"""The benchmark of variants on a small lake: its rows and what its summary names."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.compression import measure
from conf.compression import CompressionSettings
from conf.settings import Settings
from conf.training import TextSettings, TrainingSettings
from feature_store.days import shift
from tests.training.lake_fixture import small_lake
from tests.training.log_fixture import FIRST_DAY
from tests.training.text.tiny_models import tiny_bert

pytest.importorskip("transformers", reason="bert reads with transformers: the extra `text`")


def test_every_variant_stands_beside_what_it_is_made_of_with_its_verdict(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", "threshold")
    text = TextSettings(bert_model=tiny_bert(tmp_path / "bert"))
    settings = Settings(
        training=TrainingSettings(bootstrap_epochs=1, text=text),
        compression=CompressionSettings(requests=3),
    )
    days = [shift(FIRST_DAY, n) for n in (9, 10)]
    summary, rows = measure(lake, settings, ("mlp", "bert"), days, tmp_path / "variants")
    of_mlp, of_bert = (
        [row for row in rows if row["subject"].startswith(scorer)] for scorer in ("mlp", "bert")
    )
    assert [row["subject"] for row in of_mlp] == ["mlp", "mlp_pruned", "mlp_int8", "mlp_distilled"]
    assert "left_out" in of_mlp[-1]
    assert [row["subject"] for row in of_bert[1:]] == [
        f"bert_{name}" for name in ("pruned", "int8", "distilled")
    ]
    for row in (*of_mlp[1:3], *of_bert[1:]):
        assert row["passed"] == (not row["reasons"])
        assert summary[f"passed_{row['subject']}"] == row["passed"]
        assert summary[f"agreement_{row['subject']}"] == row["agreement"]
    assert summary["size_mlp_int8"] == (tmp_path / "variants/mlp/int8.onnx").stat().st_size
