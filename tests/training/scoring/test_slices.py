"""New and seen users and items of a day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from feature_store.days import ordinal
from feature_store.tables import EXAMPLES, VOCABULARIES
from tests.training.lake_fixture import small_dataset, small_lake
from tests.training.log_fixture import FIRST_DAY, day_name
from training.scorers.schema import schema_on
from training.scoring.day_scores import DayScores, sliced_metrics
from training.scoring.metrics import auc
from training.scoring.slices import new_and_seen


def test_new_is_what_had_no_id_the_evening_before(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", days=4)
    found = {"new_users": 0, "new_items": 0}
    for ds in lake.days(EXAMPLES)[1:]:
        examples = lake.read(EXAMPLES, [ds])
        slices = new_and_seen(examples, schema_on(lake, day_name(ordinal(ds) - 1)))
        for side, field in (("user", "user_id"), ("item", "item_id")):
            words = lake.read(VOCABULARIES, lake.days(VOCABULARIES)).to_pylist()
            born = {w["id"]: w["born_on"] for w in words if w["field"] == field}
            ids = examples.column(f"{side}_index").to_pylist()
            expected = [i not in born or born[i] >= ds for i in ids]
            assert slices[f"new_{side}s"].tolist() == expected
            assert (slices[f"seen_{side}s"] ^ slices[f"new_{side}s"]).all()
            found[f"new_{side}s"] += sum(expected)
    assert lake.days(EXAMPLES)[0] == FIRST_DAY
    assert all(found.values()), found


def test_each_slice_is_measured_on_its_own_rows() -> None:
    random = np.random.default_rng(3)
    label, logits = random.integers(0, 2, 40).astype(float), random.normal(size=40)
    examples = pa.table({"label": label, "user_index": random.integers(0, 9, 40)})
    first = np.arange(40) < 15
    slices = {"new_users": first, "seen_users": ~first, "new_items": np.zeros(40, bool)}
    scores = DayScores(logits, np.full(40, np.nan))
    found = {n: (v, k) for n, v, k in sliced_metrics(scores, examples, small_dataset(), slices)}
    assert found["auc_new_users"] == (pytest.approx(auc(logits[:15], label[:15])), 15)
    assert found["auc_seen_users"] == (pytest.approx(auc(logits[15:], label[15:])), 25)
    assert (
        found["f1_seen_users"][1] == found["gauc_seen_users"][1] == found["ece_seen_users"][1] == 25
    )
    assert not any(name.endswith("new_items") for name in found)
