"""FSDP: each of the processes that train together keeps its share of every weight's rows.

Gradients and the optimizer's moments are split alike. A layer's weights are put together for the
moment that they are read, so that a scorer may be larger than one device's memory. (PyTorch's
`fully_shard`, which gloo serves too: what runs between GPUs is tested between two CPUs.)
"""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from training.scorers import ScorerNet


def sharded(net: ScorerNet, mesh: DeviceMesh) -> ScorerNet:
    """A copy of `net` of which each process of `mesh` holds its rows.

    The repeated layers of an encoder are put together one after the other, the rest at once.
    """
    shared = copy.deepcopy(net)
    for layers in shared.modules():
        for layer in layers if isinstance(layers, nn.ModuleList) else ():
            if any(True for _ in layer.children()):  # tables are read without their `forward`
                fully_shard(layer, mesh=mesh)
    fully_shard(shared, mesh=mesh)
    return shared


def whole(values: Tensor) -> Tensor:
    """All rows of `values`; every process has to ask, and in the same order."""
    return values.full_tensor() if isinstance(values, DTensor) else values


def own_rows(values: Tensor) -> Tensor:
    """The rows of `values` that this process holds, not a copy of them."""
    return values.to_local() if isinstance(values, DTensor) else values


def shared_like(values: Tensor, parameter: Tensor) -> Tensor:
    """`values`, which every process has whole, split as the rows of `parameter` are."""
    values = values.to(parameter.device)
    if not isinstance(parameter, DTensor) or not values.dim():
        return values
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(values, mesh, placements, src_data_rank=None)
