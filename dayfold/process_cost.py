"""What this process and its children (Spark's JVM, subprocesses) have cost so far."""

from __future__ import annotations

import resource
from pathlib import Path

import psutil

_PEAK_LINE = "VmHWM:"


def cpu_seconds() -> float:
    """CPU-seconds of this process, its living children and those that ended and were waited for."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = 0.0
    for process in _family():
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        living += times.user + times.system
    return living + ended.ru_utime + ended.ru_stime


def peak_memory_mb() -> float:
    """Sum of the peak resident memory of this process and each of its living children, MiB.

    Peaks since each process began. Where the system does not tell them (other than Linux), what is
    resident now.
    """
    return sum(_peak_bytes(process) for process in _family()) / 2**20


def _family() -> list[psutil.Process]:
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def _peak_bytes(process: psutil.Process) -> int:
    try:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith(_PEAK_LINE):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # Not Linux, or it has ended meanwhile.
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
