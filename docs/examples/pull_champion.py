"""Another team's DAG: whenever Dayfold has promoted a champion, pull the release.

The event may come twice (a day that was cleared and run again), so pulling the same release again
must change nothing: it is compared by its etag. A change by the command line, such as a rollback,
is no event: a schedule beside it, or a poll, finds that. Put this file into your own dags folder.
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
TRIES = 3


def pull(triggering_asset_events: Any, release: Path = RELEASE, ours: Path = OURS) -> str:
    """Copy what serves now; the newest promotion that was told is named in the log."""
    told = [event.extra for events in triggering_asset_events.values() for event in events]
    newest = max(told, key=lambda extra: extra["version"], default=None)
    for _ in range(TRIES):
        etag = _etag(release)
        place, fresh = ours / etag, ours / f".{etag}"
        if place.exists():
            return f"{etag} is here already"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(release, fresh)
        # a release that changed meanwhile would lie under the etag of the one before
        if _etag(fresh) == etag == _etag(release):
            fresh.rename(place)
            return f"pulled {etag}, told of {newest}"
        shutil.rmtree(fresh)
    raise RuntimeError(f"{release} changed while it was copied, {TRIES} times")


def _etag(folder: Path) -> str:
    etag: str = json.loads((folder / "release.json").read_text())["etag"]
    return etag


with DAG(
    dag_id="pull_champion",
    doc_md=__doc__,
    schedule=[CHAMPION],
    default_args={"retries": 3},  # a folder may be cleared while it is copied
    start_date=datetime(2026, 1, 1),
    catchup=False,
) as dag:
    PythonOperator(task_id="pull", python_callable=pull)
