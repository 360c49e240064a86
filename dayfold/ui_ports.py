"""The ports of `dayfold ui`: free ones, or the command with others that are."""

from __future__ import annotations

import socket
from collections.abc import Collection

from conf.errors import DayfoldError

HOST = "127.0.0.1"
MLFLOW_PORT, AIRFLOW_PORT = 5000, 8080
_LAST_PORT = 65535
_FIRST_FOR_ANYBODY = 1024


def require_free_ports(mlflow_port: int, airflow_port: int) -> None:
    """Pass if both ports can be bound on loopback.

    Raises:
        DayfoldError: they are one, or in use; the message has the command with free ones.
    """
    if mlflow_port == airflow_port:
        other = _free_port(airflow_port + 1, {mlflow_port})
        raise DayfoldError(
            f"For MLflow and Airflow both ports are {mlflow_port}, expected two. "
            f"Next: `{_command(mlflow_port, other)}`"
        )
    ports = [mlflow_port, airflow_port]
    busy = {port: said for port in ports if (said := _why_not(port))}
    if busy:
        for place, port in enumerate(ports):
            if port in busy:
                ports[place] = _free_port(port + 1, set(ports))
        raise DayfoldError(
            f"{'; '.join(busy.values())}. Next: `{_command(*ports)}`, or stop what listens there."
        )


def _why_not(port: int) -> str | None:
    """Why `port` cannot be bound on loopback; None if it can."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            return f"Port {port} on {HOST} is the system's, only root may listen there"
        except OSError:
            return f"Port {port} on {HOST} is in use"
    return None


def _free_port(first: int, taken: Collection[int]) -> int:
    """The first free port from `first` on, else from the lowest that anybody may bind."""
    begin = min(max(first, _FIRST_FOR_ANYBODY), _LAST_PORT)
    candidates: tuple[int, ...] = (*range(begin, _LAST_PORT + 1), *range(_FIRST_FOR_ANYBODY, begin))
    return next(port for port in candidates if port not in taken and _why_not(port) is None)


def _command(mlflow_port: int, airflow_port: int) -> str:
    """The command with these ports; a default need not be typed."""
    mlflow = f" --mlflow-port {mlflow_port}" if mlflow_port != MLFLOW_PORT else ""
    airflow = f" --airflow-port {airflow_port}" if airflow_port != AIRFLOW_PORT else ""
    return f"dayfold ui{mlflow}{airflow}"
