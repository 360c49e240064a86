"""The optimizer and its moments, which are saved with a candidate and carried into the next.

Small tables and layers are updated by AdamW. A large table is updated by row-wise Adagrad, which
touches only the rows that a batch reads, and keeps one number per row instead of two per cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from training.fitting.parameter_groups import parameter_groups
from training.fitting.sharding import own_rows, shared_like, whole
from training.scorers.inputs import Table

Moments = dict[str, Tensor]
"""`<parameter>|<step, exp_avg or exp_avg_sq>` -> tensor; of a large table `<parameter>|row_sum`."""

ROW_RATE = 40.0
"""Learning rate of a large table's rows, in learning rates of AdamW.

AdamW goes on moving a row for dozens of steps after the one batch that read it, by some 30 learning
rates in all. Of 5, 10, 20 and 40 the last gave the loss of AdamW: see docs/figures.md.
"""

_STATES = ("step", "exp_avg", "exp_avg_sq")
_ROW_SUM = "row_sum"
_EPSILON = 1e-8


class AdamByRows(torch.optim.AdamW):
    """AdamW, and row-wise Adagrad for the parameters of groups with `by_rows` set.

    Row-wise Adagrad (Mudigere et al. 2022, "Software-Hardware Co-design"): a row's step is its
    gradient over the root of the sum, over all its steps, of the mean square of its gradients.
    Weight decay pulls at a row in the steps that read it, and at no other time.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; a large table's gradient is gone after it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"] if group["by_rows"] else ():
                if table.grad is not None:
                    self._step_rows(table, group["lr"], group["weight_decay"])
                    table.grad = None  # AdamW passes over what has none
        super().step()
        return loss

    def _step_rows(self, table: Tensor, learning_rate: float, weight_decay: float) -> None:
        gradient = table.grad
        assert gradient is not None  # noqa: S101
        state = self.state[table]
        if not state:
            state[_ROW_SUM] = shared_like(torch.zeros(len(table)), table)
        # of a table that processes share, each updates the rows that it holds
        table, gradient, row_sum = map(own_rows, (table, gradient, state[_ROW_SUM]))
        # something that reads the whole table makes its gradient dense
        rows, change = summed_by_row(gradient if gradient.is_sparse else gradient.to_sparse(1))
        total = row_sum.index_select(0, rows)
        total += torch.linalg.vector_norm(change, dim=1).square_() / change.shape[1]
        row_sum.index_copy_(0, rows, total)
        change /= total.sqrt_().add_(_EPSILON)[:, None]
        fresh = table.index_select(0, rows)
        fresh *= 1.0 - learning_rate / ROW_RATE * weight_decay
        table.index_copy_(0, rows, fresh.sub_(change, alpha=learning_rate))


def make_optimizer(
    net: nn.Module,
    learning_rate: float,
    weight_decay: float,
    moments: Moments | None,
    sparse_rows: int | None = None,
) -> AdamByRows:
    """The optimizer of `net`, continuing from `moments`; rows that are new have moments of zero.

    Tables of `sparse_rows` rows and more (None: no table) are updated row-wise from now on, and
    give gradients of the rows that they read. One that was small when `moments` were made takes
    them over.
    """
    update_by_rows(net, sparse_rows)
    large = {id(table.weight) for table in _tables(net) if table.by_rows}
    optimizer = AdamByRows(
        _split(parameter_groups(net, learning_rate), large),
        lr=learning_rate,
        weight_decay=weight_decay,
        fused=True,
    )
    for name, parameter in net.named_parameters():
        state = _row_state if id(parameter) in large else _dense_state
        begun = state(name, parameter, moments or {})
        if begun:
            split = {kind: shared_like(values, parameter) for kind, values in begun.items()}
            optimizer.state[parameter].update(split)
    return optimizer


def update_by_rows(net: nn.Module, sparse_rows: int | None) -> None:
    """Have tables of `sparse_rows` rows and more (None: no table) give gradients of rows read."""
    for table in _tables(net):
        table.by_rows = sparse_rows is not None and len(table.weight) >= sparse_rows


def summed_by_row(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """(U,) rows of a sparse `gradient`, ascending, and the (U, D) sums of what it has for each.

    What `coalesce` gives, without its sort: a third of the time on a CPU.
    """
    if gradient.device.type != "cpu" or gradient.is_coalesced():
        gradient = gradient.coalesce()
        return gradient.indices()[0], gradient.values()
    read, values = gradient._indices()[0].numpy(), gradient._values().numpy()
    touched = np.zeros(len(gradient), dtype=np.bool_)
    touched[read] = True
    rows = np.flatnonzero(touched)
    place = np.empty(len(gradient), dtype=np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    ends = np.arange(len(read) + 1, dtype=np.int32)
    ones = np.ones(len(read), dtype=values.dtype)
    adder = sparse.csc_matrix((ones, place.take(read), ends), shape=(len(rows), len(read)))
    return torch.from_numpy(rows), torch.from_numpy(adder @ values)


def padded(moment: Tensor, parameter: Tensor) -> Tensor:
    """`moment` with rows of zeros added up to `parameter`'s rows; a step count as it is."""
    if moment.dim() == 0 or len(moment) == len(parameter):
        return moment.clone()
    rows = moment.new_zeros(len(parameter) - len(moment), *moment.shape[1:])
    return torch.cat([moment, rows])


def moments_of(net: nn.Module, optimizer: torch.optim.Optimizer) -> Moments:
    """The moments of each parameter that was ever updated, by its name."""
    return {
        f"{name}|{state}": whole(values.detach()).to("cpu", copy=True)
        for name, parameter in net.named_parameters()
        if parameter in optimizer.state
        for state, values in optimizer.state[parameter].items()
    }


def _split(groups: list[dict[str, Any]], large: set[int]) -> list[dict[str, Any]]:
    """`groups`, the parameters with ids in `large` in groups of their own; none is empty."""
    split = []
    for group in groups:
        for by_rows, factor in ((False, 1.0), (True, ROW_RATE)):
            inside = [p for p in group["params"] if (id(p) in large) == by_rows]
            rate = group["lr"] * factor
            split.append({"params": inside, "by_rows": by_rows, "lr": rate})
    return [group for group in split if group["params"]]


def _tables(net: nn.Module) -> list[Table]:
    return [module for module in net.modules() if isinstance(module, Table)]


def _dense_state(name: str, parameter: Tensor, moments: Moments) -> Moments:
    """AdamW's state; nothing where there was none, or where the table was updated row-wise."""
    if f"{name}|step" not in moments:
        return {}
    return {state: padded(moments[f"{name}|{state}"], parameter) for state in _STATES}


def _row_state(name: str, table: Tensor, moments: Moments) -> Moments:
    """Row-wise Adagrad's state: the sum that AdamW's mean square of the gradients stands for."""
    if f"{name}|{_ROW_SUM}" in moments:
        return {_ROW_SUM: padded(moments[f"{name}|{_ROW_SUM}"], table)}
    if f"{name}|step" not in moments:
        return {}
    total = moments[f"{name}|exp_avg_sq"].mean(dim=1) * moments[f"{name}|step"]
    return {_ROW_SUM: padded(total, table)}
