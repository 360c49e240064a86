"""A registered version's answers as a table, a row per request and rank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from training.light.recommender import load


def answers(directory: Path, requests: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """What the version in `directory` (a composite's folder) says to each of `requests`."""
    recommender = load(directory / "light")
    return pd.DataFrame(
        [
            {"user_id": request.get("user_id"), **entry}
            for request in requests
            for entry in recommender.recommend(request)
        ]
    )
