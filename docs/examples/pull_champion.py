"""Another team's DAG: whenever Dayfold has promoted a champion, pull the release.

The event may come twice (a day that was cleared and run again), so pulling the same release again
must change nothing: it is compared by its etag. Put this file into your own dags folder.
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset

CHAMPION = Asset("dayfold://simulated/champion")
RELEASE = Path(os.environ.get("DAYFOLD_RELEASE", ".dayfold/release/simulated"))
OURS = Path(os.environ.get("OUR_MODELS", "our-models"))


def pull(triggering_asset_events: Any, release: Path = RELEASE, ours: Path = OURS) -> str:
    """Copy what serves now; the newest promotion that was told is named in the log."""
    told = [event.extra for events in triggering_asset_events.values() for event in events]
    newest = max(told, key=lambda extra: extra["version"], default=None)
    etag = json.loads((release / "release.json").read_text())["etag"]
    place = ours / etag
    if place.exists():
        return f"{etag} is here already"
    fresh = ours / f".{etag}"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(release, fresh)
    fresh.rename(place)
    return f"pulled {etag}, told of {newest}"


with DAG(
    dag_id="pull_champion",
    doc_md=__doc__,
    schedule=[CHAMPION],
    start_date=datetime(2026, 1, 1),
    catchup=False,
) as dag:
    PythonOperator(task_id="pull", python_callable=pull)
