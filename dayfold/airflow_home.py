"""Airflow's environment on this machine: everything under Dayfold's home, servers on loopback."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from conf.errors import DayfoldError

DAGS_FOLDER = Path(__file__).parent.parent / "dags"


def environment(home: Path) -> dict[str, str]:
    """The variables that put Airflow's database, logs and configuration under `home`/airflow."""
    airflow = home / "airflow"
    return {
        "PATH": _path_with_airflow(),
        "AIRFLOW_HOME": str(airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS_FOLDER),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret(airflow / "jwt.secret"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(airflow / "logs"),
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }


def prepare(home: Path) -> None:
    """Put the environment into this process and create Airflow's database if it is not there."""
    os.environ.update(environment(home))
    marker = home / "airflow" / "migrated"
    if marker.exists():
        return
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DayfoldError(f"Airflow's database could not be made:\n{done.stderr[-2000:]}")
    marker.touch()


def run_airflow(home: Path, arguments: Sequence[str]) -> int:
    """Run Airflow's command line on the database under `home`; its exit code."""
    prepare(home)
    command = [sys.executable, "-m", "airflow", *arguments]
    return subprocess.run(command, check=False).returncode  # noqa: S603


def _path_with_airflow() -> str:
    """PATH with this environment's programs first: Airflow starts its parts by name."""
    own = str(Path(sys.executable).parent)
    others = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder != own]
    return os.pathsep.join([own, *others])


def _secret(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    return path.read_text()
