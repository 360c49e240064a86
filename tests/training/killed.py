"""A process that dies, as by kill -9, at one call of one function."""

from __future__ import annotations

import os
import signal


def dies_at(target: object, name: str, at: int, before: bool) -> None:
    """Make this process die at the `at`-th call of `target.name`, before it begins or after it."""
    original, calls = getattr(target, name), []

    def deadly(*args: object, **keywords: object) -> object:
        calls.append(name)
        if before and len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **keywords)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(target, name, deadly)
