"""How candidates are trained: section `training` of the settings."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from conf.frozen import Frozen

Share = Annotated[float, Field(ge=0.0, le=1.0)]
ScorerName = Literal["two_tower", "mlp", "ncf", "sequence", "lstm"]
SCORER_NAMES = get_args(ScorerName)
ReplayKind = Literal["none", "uniform", "recent", "exemplars"]
RECALLING_SCORERS = frozenset({"two_tower", "sequence", "lstm"})
"""Those with a vector of each user and item, whose dot product is their logit."""


class TrainingSettings(Frozen):
    """How a candidate is trained."""

    scorers: tuple[ScorerName, ...] = ("two_tower", "mlp")
    """Scorers trained on a day that retrains; the first must be able to recall."""
    seed: int = 7
    batch_size: PositiveInt = 1024
    embedding_dim: PositiveInt = 16
    hidden: tuple[PositiveInt, ...] = (128, 64)
    dropout: Share = 0.1
    learning_rate: PositiveFloat = 2e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-5
    max_epochs: PositiveInt = 2
    """Passes over the training days of a warm start."""
    bootstrap_epochs: PositiveInt = 4
    """Passes over the history when there is no parent."""
    validation_share: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    """Last share of the training rows by time, held out for early stopping."""
    start: Literal["parent", "afresh"] = "parent"
    """`parent`: go on from the family's head, on the days after its last one. `afresh`: train anew
    on all days, every day."""
    history_days: PositiveInt | None = None
    """Days before the tested one that a training without parent reads; None = all."""
    replay: ReplayKind = "uniform"
    """Which rows of earlier days are trained again beside the new ones. `uniform`: any alike.
    `recent`: the later, the likelier. `exemplars`: some of each item, as many as it is frequent."""
    replay_days: PositiveInt = 28
    """Days before the new ones from which replay rows are drawn."""
    replay_rows: Annotated[int, Field(ge=0)] = 30_000
    """Most replay rows added to the new days' rows."""
    replay_half_life_days: PositiveFloat = 7.0
    """Days by which a row is half as likely to be drawn, of `replay: recent`."""
    replay_per_item: PositiveInt = 50
    """Most rows of one item, of `replay: exemplars`."""
    distillation: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of a replayed row's divergence from what the parent says of it, where its own loss has
    weight 1; 0 = the parent is not asked."""
    save_every_seconds: Annotated[float, Field(ge=0.0)] = 30.0
    """How often a training keeps its progress, from which a killed one goes on."""
    negatives: PositiveInt = 32
    """Negatives drawn per positive where the log has no impressions."""
    unknown_masking: Share = 0.02
    """Share of ids that training reads as unknown (0), so that row 0 is trained."""

    @model_validator(mode="after")
    def _scorers_are_distinct_and_the_first_recalls(self) -> Self:
        if len(set(self.scorers)) != len(self.scorers):
            raise ValueError(f"scorers: {list(self.scorers)} names one twice")
        if not self.scorers or self.scorers[0] not in RECALLING_SCORERS:
            raise ValueError(
                f"scorers: the first one recalls, expected one of {sorted(RECALLING_SCORERS)}"
            )
        return self

    @model_validator(mode="after")
    def _distillation_has_a_parent_and_rows(self) -> Self:
        if self.distillation and (self.start == "afresh" or self.replay == "none"):
            raise ValueError(
                f"distillation: {self.distillation} needs start: parent and a replay, found start: "
                f"{self.start} and replay: {self.replay}; the parent is asked of replayed rows"
            )
        return self
