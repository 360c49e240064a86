"""What ends a training badly, as a message that says what to change."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed

from conf.errors import TrainingError
from conf.processes import ALONE, Processes
from conf.training import TrainingSettings

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
"""What torch's allocators say when there is none."""


@contextmanager
def explained(
    scorer: str, ds: str, settings: TrainingSettings, processes: Processes = ALONE
) -> Iterator[None]:
    """While inside, what ends a training from outside of it is a `TrainingError`.

    Raises:
        TrainingError: the loss is not finite, memory ran out, or another of the `processes` that
            train together died; nothing of the training was kept but its progress.
    """
    again = f"`dayfold step train --ds {ds} --scorer {scorer}`"
    try:
        with _ended_by_torchrun(processes):
            yield
    except FloatingPointError as error:
        raise TrainingError(
            f"{scorer} of {ds}: {error}, with training.learning_rate {settings.learning_rate}. "
            "Nothing was registered. Next: lower training.learning_rate in conf/base.yaml "
            f"(DAYFOLD__TRAINING__LEARNING_RATE), then {again}."
        ) from error
    except (MemoryError, RuntimeError) as error:
        if processes.world > 1 and _is_of_others(error):
            raise TrainingError(
                f"{scorer} of {ds}: another of the {processes.world} processes died, and process "
                f"{processes.rank} cannot go on alone: {_first_line(error)}. Next: see torchrun's "
                "`Root Cause`, then the same torchrun command, with as many processes or others: "
                "it goes on from the last progress."
            ) from error
        if not is_out_of_memory(error):
            raise
        rows = f"training.replay_rows ({settings.replay_rows})"
        raise TrainingError(
            f"{scorer} of {ds} ran out of memory: {_first_line(error)}. Next: lower "
            f"training.batch_size ({settings.batch_size}), training.negatives "
            f"({settings.negatives}), {rows} or training.embedding_dim ({settings.embedding_dim}) "
            f"in conf/base.yaml, or give the machine more memory; then {again}, which goes on "
            "from what it had kept if none of them was changed."
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that there is no memory left, on the CPU or a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(text in str(error).lower() for text in _NO_MEMORY)


class _Ended(RuntimeError):
    """torchrun ends the processes that are left when one of them died."""


@contextmanager
def _ended_by_torchrun(processes: Processes) -> Iterator[None]:
    if processes.world == 1:
        yield
        return

    def end(number: int, _: object) -> None:
        raise _Ended(f"torchrun ended it (signal {number})")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_of_others(error: BaseException) -> bool:
    if isinstance(error, _Ended | torch.distributed.DistError):
        return True
    return "gloo" in str(error).lower()


def _first_line(error: BaseException) -> str:
    said = (str(error) or type(error).__name__).splitlines()[0]
    return said[:300].rstrip(". ")
