"""The DAG: it loads no engine, its edges are the declared ones, it keeps the house's policy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dayfold.day import STEPS, edges

ROOT = Path(__file__).parents[2]
ENGINES = ("pyspark", "torch", "pytorch_lightning", "mlflow", "pandas", "pyarrow", "deltalake")

DESCRIBE = """
import json, sys, time
import airflow.sdk, airflow.providers.standard.operators.python
before = set(sys.modules)
sys.path.insert(0, "dags")
started = time.process_time()
import dayfold_daily
seconds = time.process_time() - started
dag = dayfold_daily.dag
print(json.dumps({
    "seconds": seconds,
    "loaded": sorted(m for m in set(sys.modules) - before if "." not in m),
    "upstream": {t.task_id: sorted(t.upstream_task_ids) for t in dag.tasks},
    "mapped": sorted(t.task_id for t in dag.tasks if t.is_mapped),
    "owners": sorted({t.owner for t in dag.tasks}),
    "retries": sorted({t.retries for t in dag.tasks}),
    "tags": sorted(dag.tags),
    "doc": dag.doc_md,
    "max_active_runs": dag.max_active_runs,
    "start_date": dag.start_date.date().isoformat(),
    "catchup": dag.catchup,
}))
"""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    home = tmp_path_factory.mktemp("airflow")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DESCRIBE],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(home), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.airflow
def test_parsing_the_dag_loads_no_engine(described: dict[str, object]) -> None:
    assert not set(ENGINES) & set(described["loaded"])  # type: ignore[call-overload]


@pytest.mark.airflow
def test_the_dags_edges_are_those_of_the_tables(described: dict[str, object]) -> None:
    upstream: dict[str, list[str]] = described["upstream"]  # type: ignore[assignment]
    steps = {step.name for step in STEPS}
    actual = {(a, b) for b, earlier in upstream.items() for a in earlier if {a, b} <= steps}
    assert actual == edges()


@pytest.mark.airflow
def test_what_is_no_step_waits_for_the_day_or_branches(described: dict[str, object]) -> None:
    upstream: dict[str, list[str]] = described["upstream"]  # type: ignore[assignment]
    assert set(upstream) - {step.name for step in STEPS} == {"wait_for_day", "branch_on_drift"}
    assert upstream["wait_for_day"] == []
    assert upstream["open_day"] == ["wait_for_day"]
    assert upstream["branch_on_drift"] == ["check_drift"]
    assert {t for t, up in upstream.items() if "branch_on_drift" in up} == {"promote", "train"}
    assert described["mapped"] == sorted(step.name for step in STEPS if step.mapped)


@pytest.mark.airflow
def test_the_dag_keeps_the_policy(described: dict[str, object]) -> None:
    assert described["owners"] == ["data-engineering"]
    assert min(described["retries"]) >= 1  # type: ignore[call-overload]
    assert "tier:1" in described["tags"]  # type: ignore[operator]
    assert described["doc"]
    assert described["max_active_runs"] == 1
    # Tasks of a run before it are left out, and the run ends well.
    assert described["start_date"] <= "1970-01-01"  # type: ignore[operator]
    assert described["catchup"] is False
