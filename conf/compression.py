"""Settings of `dayfold compress`: what a smaller variant of a version is made by, and its gate."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from conf.frozen import Frozen


class CompressionSettings(Frozen):
    """How variants are made, and what each must show beside its version."""

    pruned_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Share of the dense layers' weights that pruning sets to zero."""
    student_days: Annotated[PositiveInt, Field(le=36_500)] = 90
    """Days before the tested one on which a student of a version is trained."""
    distillation: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 10.0
    """Weight of a row's divergence from what the version says, where its own loss has weight 1."""
    drawn_pairs: Annotated[int, Field(ge=0)] = 3
    """Pairs without a label, per labelled row, on which a student learns from the version alone."""
    min_agreement: Annotated[float, Field(ge=0.0, le=1.0)] = 0.9
    """Least rank correlation (Spearman) of the variant's scores with the version's."""
    max_p99_ratio: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.2
    """Most times the version's 99th percentile of a request's latency that the variant's may be."""
    candidates: PositiveInt = 100
    """Items that a measured request scores."""
    requests: PositiveInt = 1000
    """Requests that are measured; with a few hundred, other work on the machine decides the 99th
    percentile."""
