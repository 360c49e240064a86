"""The model card says what the lake says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from feature_store.tables import EVALUATIONS
from tests.training.promoted_home import TRAINED, Home


def test_the_card_has_days_metrics_slices_and_limits(
    promoted: Callable[[str], Home], composite: Path
) -> None:
    card = (composite / "light" / "MODEL_CARD.md").read_text()
    about = json.loads((composite / "light" / "data" / "about.json").read_text())
    assert card.startswith(f"# {about['version']}\n")
    rows = promoted("impressions").rows(EVALUATIONS, TRAINED)
    tested = {str(row["metric"]): row for row in rows if row["scorer"] == about["scorer"]}
    assert f"| auc | {tested['auc']['value']:.4f} | - |" in card
    assert f"| auc_seen_users | {tested['auc_seen_users']['value']:.4f} |" in card
    assert "precision_seen_users" not in card
    assert f"| tested on the day, which it has not seen | {TRAINED} |" in card
    users = json.loads((composite / "light" / "data" / "users.json").read_text())
    assert f"| {len(users) - 1:,} |" in card
    assert "log-odds of a positive among what was shown" in card
