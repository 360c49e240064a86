"""A Spark standalone cluster on this machine: a master and workers of one core, on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark

_SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
_DEPLOY = "org.apache.spark.deploy"
_MASTER_URL = re.compile(r"Starting Spark master at (spark://\S+)")
_REGISTERED = "Successfully registered with master"
_PATIENCE_SECONDS = 60.0


@contextmanager
def standalone_cluster(folder: Path, workers: int = 2, memory: str = "2g") -> Iterator[str]:
    """Within the block the cluster runs; gives its URL (spark://127.0.0.1:PORT).

    Driver and cluster must find each other by loopback: the block sets SPARK_LOCAL_IP.

    Args:
        folder: where logs and the executors' files go.
        workers: how many, of one core each.
        memory: of each worker.

    Raises:
        TimeoutError: a part did not come up within a minute; the message names its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("SPARK_LOCAL_IP")
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    try:
        with ExitStack() as running:
            master = ["master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
            log = running.enter_context(_process(master, folder / "master.log"))
            url = _awaited(log, _MASTER_URL)[1]
            for number in range(workers):
                worker = ["worker.Worker", "--host", "127.0.0.1", "--webui-port", "0"]
                worker += ["--cores", "1", "--memory", memory]
                worker += ["--work-dir", str(folder / f"worker-{number}"), url]
                log = running.enter_context(_process(worker, folder / f"worker-{number}.log"))
                _awaited(log, re.compile(_REGISTERED))
            yield url
    finally:
        if before is None:
            del os.environ["SPARK_LOCAL_IP"]
        else:
            os.environ["SPARK_LOCAL_IP"] = before


@contextmanager
def _process(arguments: list[str], log: Path) -> Iterator[Path]:
    """Run a part of the cluster, its output in `log`, until the block ends."""
    name, *options = arguments
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603
            [str(_SPARK_CLASS), f"{_DEPLOY}.{name}", *options],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield log
        finally:
            process.terminate()
            try:
                process.wait(timeout=_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _awaited(log: Path, line: re.Pattern[str]) -> re.Match[str]:
    """The first match of `line` in `log`."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        found = line.search(log.read_text(errors="replace"))
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"No line {line.pattern!r} in {log} after {_PATIENCE_SECONDS:.0f} s")
