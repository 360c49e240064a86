"""Expired and forgotten ids in a candidate: their rows are the row of unknown again."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from feature_store.tables import UNKNOWN
from training.features.rows import Int64
from training.fitting.optimizer import Moments
from training.scorers.inputs import Table

Expired = dict[str, Int64]
"""Ids by field, ascending; fields in order."""


def ids_by_field(rows: pa.Table) -> Expired:
    """The distinct ids of `rows` (field, id) by field."""
    if not rows.num_rows:
        return {}
    field = np.asarray(rows.column("field").to_pylist())
    ids = rows.column("id").to_numpy().astype(np.int64)
    return {str(name): np.unique(ids[field == name]) for name in np.unique(field)}


def reset_rows(net: nn.Module, moments: Moments, expired: Expired) -> Moments:
    """Make the rows of `expired` in `net`'s tables their row of unknown; `moments`, zero there.

    Every other row of both stays as it is, to the bit. Moments may have fewer rows than the
    tables, as those of a parent have.
    """
    changed = dict(moments)
    for name, module in net.named_modules():
        if not isinstance(module, Table) or module.field not in expired:
            continue
        ids = torch.from_numpy(expired[module.field])
        with torch.no_grad():
            module.weight[ids] = module.weight[UNKNOWN].clone()
        for key, moment in moments.items():
            if key.startswith(f"{name}.weight|") and moment.dim():
                changed[key] = moment.index_fill(0, ids[ids < len(moment)], 0.0)
    return changed
