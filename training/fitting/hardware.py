"""How a training uses the hardware that is found: device, precision, compilation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from conf.training import Compile, Precision


def trainer_options(precision: Precision, accumulate_batches: int) -> dict[str, Any]:
    """Keyword arguments of Lightning's Trainer for one process on the device that is there.

    `auto` is bf16 with weights of 32 bits on a CUDA GPU, 32 bits throughout on a CPU.
    """
    cuda = torch.cuda.is_available()
    if precision == "auto":
        precision = "bf16-mixed" if cuda else "32-true"
    return {
        "accelerator": "cuda" if cuda else "cpu",
        "devices": 1,
        "precision": precision,
        "accumulate_grad_batches": accumulate_batches,
    }


def optimizer_steps(batches: int, batches_per_pass: int, accumulate_batches: int) -> int:
    """Steps that the optimizer takes over the first `batches`; the last batch of a pass is one."""
    passes, rest = divmod(batches, max(batches_per_pass, 1))
    return passes * -(-batches_per_pass // accumulate_batches) + rest // accumulate_batches


@contextmanager
def compiled(net: nn.Module, choice: Compile) -> Iterator[None]:
    """`net` compiled by torch where `choice` is `on`, and as it was afterwards.

    `auto` is off: on a CPU compiling gains nothing for `mlp`, and no GPU has been measured.
    """
    if choice != "on":
        yield
        return
    net.compile()
    try:
        yield
    finally:
        net._compiled_call_impl = None
