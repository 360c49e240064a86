"""How a training uses the hardware that is found: device, precision, compilation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy
from pytorch_lightning.strategies import Strategy as LightningStrategy
from torch import nn

from conf.processes import ALONE, Processes
from conf.training import Compile, Precision, Strategy

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others: they read the same rows, but not equally fast."""


def trainer_options(
    precision: Precision,
    accumulate_batches: int,
    processes: Processes = ALONE,
    strategy: Strategy = "ddp",
) -> dict[str, Any]:
    """Keyword arguments of Lightning's Trainer for the devices that are there, one per process.

    `auto` is bf16 with weights of 32 bits on a CUDA GPU, 32 bits throughout on a CPU. Processes
    started together average their gradients (DDP), or hold a share of the weights each (FSDP), and
    talk over NCCL between GPUs and gloo between CPUs.
    """
    cuda = torch.cuda.is_available()
    if precision == "auto":
        precision = "bf16-mixed" if cuda else "32-true"
    together: dict[str, Any] = {"devices": 1}
    if processes.world > 1:
        together = {
            "devices": processes.local_world,
            "num_nodes": processes.world // processes.local_world,
            "strategy": _strategy(strategy, processes.world, "nccl" if cuda else "gloo"),
            "use_distributed_sampler": False,
        }
    return {
        **together,
        "accelerator": "cuda" if cuda else "cpu",
        "precision": precision,
        "accumulate_grad_batches": accumulate_batches,
    }


def gpu_seconds(seconds: float, processes: Processes = ALONE) -> dict[str, float]:
    """`gpu_seconds` of a training of `seconds` wall time: each process holds one GPU meanwhile.

    Empty on a CPU: what was not measured is not 0.
    """
    return {"gpu_seconds": seconds * processes.world} if torch.cuda.is_available() else {}


def _strategy(strategy: Strategy, world: int, backend: str) -> LightningStrategy:
    if strategy == "fsdp":
        return ModelParallelStrategy(world, 1, process_group_backend=backend, timeout=PATIENCE)
    return DDPStrategy(
        process_group_backend=backend,
        timeout=PATIENCE,
        gradient_as_bucket_view=True,
        forward_sync_buffers=False,  # statistics are summed, and so equal: scorers/norm.py
    )


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
