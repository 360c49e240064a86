"""A winner that waits, answered in Airflow as a human would, by the real scheduler."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from feature_store.champion import standing_after
from feature_store.promotion_ledger import all_events, waiting
from tests.e2e.conftest import Shop
from tests.e2e.test_scheduler import FIRST, _copy, _next_days, _served, _wait_for

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]

ANSWER_TIMEOUT_SECONDS = 300
# Whatever the day brings, it trains, and its winner passes.
CERTAIN = {
    "DAYFOLD__PROMOTION__APPROVAL": "required",
    "DAYFOLD__DRIFT__MAX_GAP_DAYS": "1",
    "DAYFOLD__GATE__MARGIN": "0.5",
    "DAYFOLD__GATE__MAX_CALIBRATION_ERROR": "9",
    "DAYFOLD__GATE__MAX_ECE": "1",
    "DAYFOLD__GATE__MAX_LOG_LOSS_INCREASE": "9",
    "DAYFOLD__GATE__MAX_NEW_USER_INCREASE": "9",
    "DAYFOLD__GATE__MAX_NEW_ITEM_INCREASE": "9",
}


def test_a_human_approves_in_airflow_and_the_version_serves(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _next_days(shop, tmp_path / "raw")
    careful = _copy(shop, tmp_path / "careful")
    for name, value in CERTAIN.items():
        monkeypatch.setenv(name, value)
    served_before = standing_after(careful.lake, "2026-02-02")
    assert served_before is not None
    with _served(careful) as airflow:
        day = f"{FIRST}T00:00:00+00:00"
        careful.run("airflow", "dags", "trigger", "dayfold_daily", "--logical-date", day)
        for dag in ("dayfold_approval", "dayfold_daily"):
            careful.run("airflow", "dags", "unpause", dag, "--yes")
        _wait_for(careful, FIRST)
        proposal = waiting(all_events(careful.lake))
        assert proposal is not None, careful.run("history").stdout
        assert standing_after(careful.lake, FIRST).version == served_before.version  # type: ignore[union-attr]
        detail = _asked(airflow)
        assert f"version {proposal.version} waits for approval" in detail["subject"]
        assert f"dayfold approve {proposal.version}" in detail["body"]
        task = detail["task_instance"]
        path = (
            f"dags/dayfold_approval/dagRuns/{task['dag_run_id']}/taskInstances/ask/-1/hitlDetails"
        )
        answer = {"chosen_options": ["Approve"], "params_input": {"reason": "looked at it"}}
        _call(airflow, path, answer)
        _wait_until_it_serves(careful, proposal.version)
    (event,) = [e for e in all_events(careful.lake) if e.kind == "approval"]
    assert (event.reason, event.ds) == ("looked at it", FIRST)
    assert "waits for approval" not in careful.run("history").stdout


def _asked(airflow: str) -> dict[str, Any]:
    """What the human is asked."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        found = _call(airflow, "dags/dayfold_approval/dagRuns/~/hitlDetails")["hitl_details"]
        if found:
            asked: dict[str, Any] = found[0]
            return asked
        time.sleep(2)
    pytest.fail("nobody was asked in time")


def _wait_until_it_serves(shop: Shop, version: int) -> None:
    deadline = time.monotonic() + ANSWER_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        done = [e for e in all_events(shop.lake) if e.kind == "approval" and e.state == "done"]
        if done:
            assert done[0].version == version
            return
        time.sleep(2)
    pytest.fail("the answer was not carried out in time\n" + shop.run("history").stdout)


def _call(airflow: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    token = httpx.get(f"{airflow}/auth/token", timeout=30).json()["access_token"]
    answered = httpx.request(
        "GET" if body is None else "PATCH",
        f"{airflow}/api/v2/{path}",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert answered.is_success, answered.text
    found: dict[str, Any] = answered.json()
    return found
