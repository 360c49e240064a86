"""MLflow and Airflow on this machine, on loopback, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from rich.console import Console

from conf.errors import DayfoldError
from dayfold import airflow_home
from dayfold.ui_ports import HOST, require_free_ports
from dayfold.workplace import Workplace

START_TIMEOUT_SECONDS = 180


def mlflow_command(workplace: Workplace, port: int) -> list[str]:
    """The command that serves MLflow's pages; where runs are kept comes by the environment."""
    settings = workplace.settings
    return [
        sys.executable, "-m", "mlflow", "server",
        "--default-artifact-root", settings.uri(settings.mlflow.artifact_root),
        "--host", HOST, "--port", str(port), "--workers", "1",
    ]  # fmt: skip


def serve(workplace: Workplace, mlflow_port: int, airflow_port: int) -> None:
    """Start MLflow and Airflow, print their links, wait for Ctrl-C or SIGTERM, stop them.

    Raises:
        DayfoldError: a port is in use, or a server does not come up.
    """
    require_free_ports(mlflow_port, airflow_port)
    airflow_home.prepare(workplace.home)
    logs = workplace.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    airflow_url = f"http://{HOST}:{airflow_port}"
    environment = _environment(workplace, airflow_port, airflow_url)
    console = Console(emoji=False, highlight=False, soft_wrap=True)
    console.print(f"Starting MLflow and Airflow (logs in {logs}) ...")
    started: dict[str, subprocess.Popen[bytes]] = {}
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        for name, command in _commands(workplace, mlflow_port).items():
            started[name] = _start(command, _log(logs, name), environment)
        for name, url in (
            ("mlflow", f"http://{HOST}:{mlflow_port}/health"),
            ("api-server", f"{airflow_url}/api/v2/monitor/health"),
        ):
            _wait(url, started[name], _log(logs, name))
        console.print(
            f"MLflow   http://{HOST}:{mlflow_port}/#/experiments?workflowType=machine_learning"
        )
        console.print(f"Airflow  {airflow_url}/dags/dayfold_daily")
        console.print("Ctrl-C stops both.")
        while not (ended := [n for n, process in started.items() if process.poll() is not None]):
            time.sleep(1)
        raise DayfoldError(f"{ended[0]} ended by itself. Next: look at {_log(logs, ended[0])}")
    except KeyboardInterrupt:
        console.print("Stopping.")
    finally:
        _stop(list(started.values()))


def _commands(workplace: Workplace, mlflow_port: int) -> dict[str, list[str]]:
    """What runs: MLflow and the parts of Airflow.

    Not `airflow standalone`: its scheduler and triggerer serve logs on all interfaces. Here the
    pages read the logs from the disk.
    """
    parts = (
        ("scheduler", "--skip-serve-logs"),
        ("triggerer", "--skip-serve-logs"),
        ("dag-processor",),
        ("api-server",),
    )
    airflow = {part[0]: [sys.executable, "-m", "airflow", *part] for part in parts}
    return {"mlflow": mlflow_command(workplace, mlflow_port), **airflow}


def _environment(workplace: Workplace, airflow_port: int, airflow_url: str) -> dict[str, str]:
    settings = workplace.settings
    return {
        **os.environ,
        "AIRFLOW__API__PORT": str(airflow_port),
        "AIRFLOW__API__BASE_URL": airflow_url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{airflow_url}/execution/",
        # Not an argument: everybody on the machine can read those, and a URI may hold a password.
        "MLFLOW_BACKEND_STORE_URI": settings.uri(settings.mlflow.tracking_uri),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "DO_NOT_TRACK": "1",
    }


def _log(logs: Path, name: str) -> Path:
    return logs / f"ui-{name}.log"


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _start(command: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DayfoldError(f"A server ended while starting. Next: look at the end of {log}")
        try:
            with urlopen(url, timeout=5) as answer:  # noqa: S310
                if answer.status == 200:  # noqa: PLR2004
                    return
        except (URLError, OSError):
            time.sleep(1)
    raise DayfoldError(
        f"{url} did not answer within {START_TIMEOUT_SECONDS} s. Next: look at {log}"
    )


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the process groups: servers start workers of their own."""
    for sign, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
        deadline = time.monotonic() + patience
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0))
