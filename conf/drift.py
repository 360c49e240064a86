"""Settings `drift`: when a day is called changed, and what is done about it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from conf.frozen import Frozen
from conf.training import Days

Extent = Literal["incremental", "replay", "full"]


class DriftSettings(Frozen):
    """When the day is called changed, and how much is trained then (docs/drift.md)."""

    reference_days: Days = 56
    min_reference_days: Days = 14
    min_weekday_class_days: Days = 6
    min_labelled_rows: PositiveInt = 1000
    min_expected_clicks: PositiveInt = 20
    """Where impressions are labelled: below that the clicks of a day are too skewed for a test."""
    pool_days: Days = 7
    """Days pooled, at most, to reach both."""
    alpha: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.003
    """Joint level of all tests of one day."""
    fallback_every_days: Days = 7
    """Retrain this often while the data do not suffice for a decision, within the two gaps."""
    follow_up_days: Annotated[int, Field(ge=0, le=36_500)] = 5
    """Days on which a change that was found goes on training, until a champion serves that was
    trained on a day with it."""
    min_gap_days: Days = 1
    """Days from one training to the next, at least, once a champion serves: what drifts before
    waits, and says so."""
    max_gap_days: Days = 7
    """Days from one training to the next, at most: then a day trains whatever the tests say."""
    extent: Extent | Literal["auto"] = "auto"
    """How much a retraining trains. `incremental`: the new days and a replay as `training` has it;
    `replay`: the same with more replay; `full`: anew on all days. `auto`: by the change."""
    replay_factor: Annotated[float, Field(ge=1.0, le=100.0)] = 3.0
    """Of extent `replay`: how many times the rows are replayed."""
    full_after_days: Days = 7
    """Of extent `auto`: train anew where labels drift although so many trainings in a row met
    them."""
    gradual_from: PositiveFloat = 2.0
    """Of extent `auto`: standard errors by which the last days must have moved the same way for a
    change to be called gradual."""

    @model_validator(mode="after")
    def _reference_can_suffice(self) -> Self:
        weekend_days = self.reference_days // 7 * 2
        for name, most in (
            # small days are taken together first, and then compared with the days before them
            ("min_reference_days", self.reference_days - self.pool_days + 1),
            ("min_weekday_class_days", weekend_days),
        ):
            if getattr(self, name) > most:
                raise ValueError(
                    f"{name}: {getattr(self, name)} is more than the {most} that there are in "
                    f"reference_days: {self.reference_days} besides pool_days: {self.pool_days}, "
                    "so no day could be decided; expected more reference days"
                )
        return self

    @model_validator(mode="after")
    def _gaps_do_not_contradict(self) -> Self:
        if self.min_gap_days > self.max_gap_days:
            raise ValueError(
                f"min_gap_days: {self.min_gap_days} is above max_gap_days: {self.max_gap_days}, "
                "expected at most that"
            )
        return self

    @model_validator(mode="after")
    def _anew_can_come(self) -> Self:
        if self.full_after_days * self.min_gap_days >= self.reference_days:
            raise ValueError(
                f"full_after_days: {self.full_after_days} trainings, min_gap_days: "
                f"{self.min_gap_days} apart, do not fit into reference_days: "
                f"{self.reference_days}, so a change would never become usual; expected fewer"
            )
        return self
