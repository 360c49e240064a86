"""The ports of `dayfold ui`: a busy one is answered with a command that works."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from conf.errors import DayfoldError
from dayfold.ui_ports import HOST, require_free_ports


@pytest.fixture
def busy() -> Iterator[int]:
    """The first of two ports, one beside the other, on which something listens."""
    while True:
        with ExitStack() as stack:
            one, next_one = (stack.enter_context(socket.socket()) for _ in range(2))
            one.bind((HOST, 0))
            one.listen()
            port = one.getsockname()[1]
            try:
                next_one.bind((HOST, port + 1))
            except (OSError, OverflowError):
                continue
            next_one.listen()
            yield port
            return


def advised(mlflow_port: int, airflow_port: int) -> tuple[str, dict[str, int]]:
    with pytest.raises(DayfoldError) as raised:
        require_free_ports(mlflow_port, airflow_port)
    said = str(raised.value)
    command = re.search("`dayfold ui(.*?)`", said)
    assert command
    return said, {n: int(p) for n, p in re.findall(r"--(\w+)-port (\d+)", command[1])}


def test_a_busy_port_is_answered_with_a_free_one_and_the_other_flag_as_given(busy: int) -> None:
    other = busy + 2
    said, ports = advised(busy, other)
    assert f"Port {busy} on {HOST} is in use" in said
    assert ports["airflow"] == other
    assert ports["mlflow"] not in {busy, busy + 1, other}
    require_free_ports(ports["mlflow"], ports["airflow"])


def test_two_busy_ports_are_answered_at_once(busy: int) -> None:
    said, ports = advised(busy, busy + 1)
    assert f"Port {busy} on" in said
    assert f"Port {busy + 1} on" in said
    require_free_ports(ports["mlflow"], ports["airflow"])


def test_one_port_for_both_is_refused(busy: int) -> None:
    said, ports = advised(busy + 2, busy + 2)
    assert f"both ports are {busy + 2}" in said
    assert ports["mlflow"] == busy + 2
    assert ports["airflow"] != busy + 2
