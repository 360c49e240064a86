"""What a dataset is: its attributes, events, labels and limits, declared once in YAML."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from conf.cleaning import Cleaning, rule_conflicts
from conf.errors import ConfigError
from conf.fields import ATTRIBUTE_KINDS, OWN_FIELDS, STREAMS, Kind, Stream
from conf.frozen import Frozen
from conf.personal import Personal, conflicts
from conf.problems import validation_message
from conf.vocabulary import VocabularyRule
from conf.yaml_files import read_yaml

DATASETS_DIR = Path(__file__).parent / "datasets"

EVENT_TYPES = frozenset(
    {
        "impression",
        "click",
        "view",
        "favourite",
        "cart",
        "purchase",
        "return",
        "rating",
        "dislike",
    }
)

"""Event types that every dataset may use without declaring them."""

MINUTES_PER_DAY = 1440
_OF_A_RAW_ROW = frozenset({"ds", "file", "line", "fault", "masked_fault", "masked_line", "reason"})
"""What cleaning notes beside a row's own fields."""
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
_DATASET_NAME = re.compile(r"^[a-z][a-z0-9_-]{0,39}$")


class Attribute(Frozen):
    """One declared attribute of users or of items.

    `categorical` is one value, `multi` a list of values, `numeric` a number cut at `bins`.
    All three are label-encoded: 0 = unknown to the model, 1 = missing, real values from 2.
    """

    name: str
    kind: Literal["categorical", "multi", "numeric"]
    bins: tuple[float, ...] = ()
    """Ascending cut points of a `numeric` attribute: n cuts give n + 1 bins, left-closed."""

    @field_validator("name")
    @classmethod
    def _name_is_an_identifier(cls, name: str) -> str:
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is not a lower-case identifier (a-z, 0-9, _)")
        return name

    @model_validator(mode="after")
    def _bins_belong_to_numeric(self) -> Self:
        if (self.kind == "numeric") != bool(self.bins):
            raise ValueError(
                f"attribute {self.name!r}: `bins` is required for, and only for, kind: numeric"
            )
        if list(self.bins) != sorted(set(self.bins)):
            raise ValueError(
                f"attribute {self.name!r}: bins {self.bins} must be strictly ascending"
            )
        return self


class Labels(Frozen):
    """How labels arise."""

    kind: Literal["impressions", "threshold", "sampled", "rating"]
    """`impressions`: an impression is 1 when a positive event of the same user and item follows
    within the attribution window, else 0. `threshold`: an event with a value is 1 when
    value >= `threshold`, else 0. `sampled`: every positive event is 1; negatives are drawn from
    the items known at that moment. `rating`: an event with a value on `scale` has its place there
    as label: 0 = the lowest rating, 1 = the highest."""
    attribution_window_minutes: PositiveInt = 60
    threshold: float | None = None
    """Least value that counts as positive: the label of `threshold`; what `rating` puts into
    histories and counts."""
    scale: tuple[float, float] | None = None
    """Lowest and highest value of `rating`."""

    @property
    def attribution_days(self) -> int:
        """The attribution window in whole days: as many days before may hold its impression."""
        return math.ceil(self.attribution_window_minutes / MINUTES_PER_DAY)

    @property
    def of_values(self) -> bool:
        """Whether labels are made of the values of events."""
        return self.kind in {"threshold", "rating"}

    @property
    def rating_scale(self) -> tuple[float, float]:
        """`scale`, where labels are a `rating`."""
        assert self.scale is not None  # noqa: S101 - validated
        return self.scale

    @model_validator(mode="after")
    def _threshold_and_scale_are_given_where_needed(self) -> Self:
        if self.of_values != (self.threshold is not None):
            raise ValueError(
                "labels.threshold is required for, and only for, labels.kind: threshold or rating"
            )
        if (self.kind == "rating") != (self.scale is not None):
            raise ValueError("labels.scale is required for, and only for, labels.kind: rating")
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise ValueError(
                f"labels.scale: {list(self.scale)}, expected the lowest rating, then the highest"
            )
        return self


class RecommendRules(Frozen):
    """What the published lists must respect."""

    exclude_taken: bool = True
    """Whether items that the user already took (a positive event) are left out."""
    category_attribute: str | None = None
    """Item attribute for the per-category cap; none = no cap."""
    category_cap: PositiveInt = 10
    """At most this many items of one category in a list."""


class DatasetConfig(Frozen):
    """One dataset, as declared in `conf/datasets/<name>.yaml`."""

    name: str
    time_zone: str = "UTC"
    """IANA zone in which days begin and hours are counted."""
    user_attributes: tuple[Attribute, ...] = ()
    item_attributes: tuple[Attribute, ...] = ()
    context: tuple[str, ...] = ()
    """Categorical context fields of an event (device, place, ...)."""
    further_event_types: tuple[str, ...] = ()
    positive: dict[str, PositiveFloat]
    """Event types that are positive, with their weight."""
    labels: Labels
    cleaning: Cleaning = Cleaning()
    recommend: RecommendRules = RecommendRules()
    personal: Personal = Personal()
    vocabulary: dict[str, VocabularyRule] = Field(default_factory=dict)
    """Rules by vocabulary field; a field without one has the default rule."""

    @property
    def vocabulary_fields(self) -> tuple[str, ...]:
        """user_id, item_id, user.<attribute>, item.<attribute>, context.<field>: what has ids."""
        sides = (("user", self.user_attributes), ("item", self.item_attributes))
        attributes = (f"{s}.{a.name}" for s, found in sides for a in found if a.kind != "numeric")
        return ("user_id", "item_id", *attributes, *(f"context.{name}" for name in self.context))

    @property
    def event_types(self) -> frozenset[str]:
        """Every event type that cleaning lets pass."""
        return EVENT_TYPES | frozenset(self.further_event_types)

    def attribute_fields(self, stream: Stream) -> dict[str, Kind]:
        """The declared attributes of a stream's rows, and what each means; events have none."""
        declared = {"profiles": self.user_attributes, "items": self.item_attributes}
        return {a.name: ATTRIBUTE_KINDS[a.kind] for a in declared.get(stream, ())}

    def fields(self, stream: Stream) -> dict[str, Kind]:
        """The fields of a stream's rows, and what each means; Dayfold's own come first."""
        context: dict[str, Kind] = dict.fromkeys(self.context, "text")
        declared = context if stream == "events" else self.attribute_fields(stream)
        return OWN_FIELDS[stream] | declared

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which this dataset's days begin."""
        return ZoneInfo(self.time_zone)

    @field_validator("name")
    @classmethod
    def _name_is_safe(cls, name: str) -> str:
        if not _DATASET_NAME.match(name):
            raise ValueError(f"{name!r} is not a dataset name (a-z, 0-9, - and _)")
        return name

    @field_validator("time_zone")
    @classmethod
    def _time_zone_exists(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"{zone!r} is not an IANA time zone")
        return zone

    @field_validator("context")
    @classmethod
    def _context_names_are_identifiers(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        for field in fields:
            if not _NAME.match(field):
                raise ValueError(f"context field {field!r} is not a lower-case identifier")
        return fields

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> Self:
        declared: tuple[tuple[str, list[str], Stream], ...] = (
            ("user_attributes", [a.name for a in self.user_attributes], "profiles"),
            ("item_attributes", [a.name for a in self.item_attributes], "items"),
            ("context", list(self.context), "events"),
        )
        for what, names, stream in declared:
            if len(names) != len(set(names)):
                raise ValueError(f"{what}: names must be unique, found {names}")
            if taken := sorted(set(names) & (_OF_A_RAW_ROW | set(OWN_FIELDS[stream]))):
                raise ValueError(
                    f"{what}: {taken} are names of Dayfold's own for {stream}; choose others"
                )
        unknown = set(self.positive) - self.event_types
        if unknown:
            raise ValueError(
                f"positive: {sorted(unknown)} are not declared event types, expected some of "
                f"{sorted(self.event_types)}; declare others in further_event_types"
            )
        category = self.recommend.category_attribute
        if category and category not in (names := [a.name for a in self.item_attributes]):
            raise ValueError(
                f"recommend.category_attribute: {category!r} is not an item attribute, expected "
                f"one of {names}"
            )
        if without := sorted(set(self.vocabulary) - set(self.vocabulary_fields)):
            raise ValueError(
                f"vocabulary: {without} have no vocabulary in this dataset, expected names among "
                f"{list(self.vocabulary_fields)}"
            )
        return self

    @model_validator(mode="after")
    def _personal_fields_can_be_protected(self) -> Self:
        attributes = (*self.user_attributes, *self.item_attributes)
        found = conflicts(
            self.personal,
            own_fields={name for fields in OWN_FIELDS.values() for name in fields},
            declared={*(a.name for a in attributes), *self.context},
            notes=_OF_A_RAW_ROW,
            not_text={a.name for a in attributes if a.kind != "categorical"},
            needed={str(self.recommend.category_attribute)},
        )
        if problems := list(found):
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="after")
    def _own_rules_ask_of_fields_that_are_there(self) -> Self:
        found = rule_conflicts(
            self.cleaning,
            fields={stream: self.fields(stream) for stream in STREAMS},
            unread=self.personal.unread,
            event_types=self.event_types,
        )
        if problems := list(found):
            raise ValueError("; ".join(problems))
        return self


def load_dataset(name: str, directory: Path = DATASETS_DIR) -> DatasetConfig:
    """The dataset declared in `<directory>/<name>.yaml`.

    Raises:
        ConfigError: there is no such file, or a key in it is wrong.
    """
    known = sorted(path.stem for path in directory.glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"Dataset {name!r} is not declared: expected one of {known} in {directory}. "
            f"Declare it in {directory / (name + '.yaml')} (copy {directory / 'simulated.yaml'})."
        )
    path = directory / f"{name}.yaml"
    try:
        dataset = DatasetConfig.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError(
            f"{validation_message(str(path), error, DatasetConfig)}\n"
            "Next: correct these keys (docs/dataset.md explains them), then run the same command "
            "again."
        ) from error
    if dataset.name != name:
        raise ConfigError(f"{path}: key `name` is {dataset.name!r}, expected {name!r}.")
    return dataset
