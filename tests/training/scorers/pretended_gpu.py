"""A device that is pretended: it shows on a CPU what would fail on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree
from torch.utils.weak import WeakTensorKeyDictionary

_INDEXING = {"__getitem__", "__setitem__", "set_", "__get__"}
"""A GPU's tensor may be indexed by a CPU's."""
_TO_HOST = {"numpy", "tolist", "item"}


class PretendedGpu(TorchFunctionMode):
    """Follows which tensors would be on the GPU: those put there, and what is made of them.

    A function that is given tensors of both devices fails as it would there; so does `numpy()` of
    a tensor that is on the GPU. What is made with `device=` or moved by `to(device)` is on the GPU,
    for within a net the only device to name is that of its inputs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._there = WeakTensorKeyDictionary()

    def put(self, value: Any) -> Any:
        """`value` with its tensors, or the tensors of a net, on the GPU."""
        tensors = list(_states(value)) if isinstance(value, nn.Module) else _tensors(value)
        for tensor in tensors:
            self._there[tensor] = True
        return value

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        given = [t for t in _tensors((args, kwargs)) if t.dim()]
        there = [t for t in _tensors((args, kwargs)) if t in self._there]
        moved = "device" in kwargs or (
            name == "to" and any(isinstance(a, torch.device) for a in args)
        )
        if there and name == "numpy":
            raise AssertionError("numpy() of a tensor on the GPU")
        apart = [t for t in given if t not in self._there]
        if there and apart and name not in _INDEXING and not moved:
            shapes = ([tuple(t.shape) for t in there], [tuple(t.shape) for t in apart])
            raise AssertionError(f"{name}: tensors on the GPU {shapes[0]}, on the CPU {shapes[1]}")
        result = func(*args, **kwargs)
        if (there or moved) and name not in _TO_HOST:
            for tensor in _tensors(result):
                self._there[tensor] = True
        return result


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree.tree_leaves(value) if isinstance(leaf, Tensor)]


def _states(net: nn.Module) -> Iterator[Tensor]:
    yield from net.parameters()
    yield from net.buffers()
