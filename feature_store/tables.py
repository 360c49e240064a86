"""Every table of the lake, in the order in which the data flows. Declarations only.

A table is declared once: layer, name, version, grain, partition, columns with their units, and at
least one check that fails the step. Columns that depend on the dataset (attributes, context) are
added by `columns_of`.

All times are UTC instants. `ds` is the processing (arrival) day, YYYY-MM-DD, in every table.
Encoded values: 0 = unknown to the model, 1 = missing, real values from 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conf.dataset import DatasetConfig

Type = Literal[
    "string",
    "int32",
    "int64",
    "double",
    "bool",
    "timestamp",
    "list<string>",
    "list<int32>",
    "list<timestamp>",
    "map<string,string>",
]
Layer = Literal["clean", "encoded", "features", "examples", "predictions", "reports"]
Expansion = Literal["raw_user", "raw_item", "encoded_user", "encoded_item", "encoded_context"]

UNKNOWN = 0
MISSING = 1
FIRST_VALUE_ID = 2

HALF_LIVES_DAYS = (1, 7, 30)
"""Half-lives of the decayed sums."""
STATISTICS = ("impression", "click", "favourite", "purchase", "positive", "valued", "value")
"""Summed per user and item: events by type, positive weight, events with a value, values."""


BASE_EVERY_DAYS = 28
"""A state table writes all its entities, not only the changed ones, once in this many days."""


def decayed(statistic: str, half_life_days: int) -> str:
    """The column that holds the decayed sum of `statistic`."""
    return f"{statistic}_h{half_life_days}"


@dataclass(frozen=True)
class Column:
    """One column: name, type, and its meaning with unit."""

    name: str
    type: Type
    doc: str
    nullable: bool = False


@dataclass(frozen=True)
class Check:
    """A rule that the rows of one partition must obey; a broken one fails the step.

    `unique`: the columns together identify a row. `in_range`: low <= column <= high.
    (Null values in a column that is not nullable fail without being asked for.)
    """

    rule: Literal["unique", "in_range"]
    columns: tuple[str, ...]
    low: float = float("-inf")
    high: float = float("inf")


@dataclass(frozen=True)
class Table:
    """One Delta table. `grain` says what one row is."""

    layer: Layer
    name: str
    grain: str
    columns: tuple[Column, ...]
    checks: tuple[Check, ...]
    version: int = 1
    partition: tuple[str, ...] = ("ds",)
    expand: Expansion | None = None
    entity: str | None = None
    """Column that names the entity of a dimension or state: as known on a day = its latest row."""
    based: bool = False
    """State tables: the first written day of each block of BASE_EVERY_DAYS holds every entity."""

    @property
    def key(self) -> str:
        """`layer.name`, as shown to people."""
        return f"{self.layer}.{self.name}"


DS = Column("ds", "string", "processing day, YYYY-MM-DD")


def unique(*columns: str) -> Check:
    """The check that `columns` identify a row."""
    return Check("unique", columns)


def in_range(column: str, low: float, high: float = float("inf")) -> Check:
    """The check that low <= `column` <= high."""
    return Check("in_range", (column,), low, high)


def _nullable(name: str, type_: Type, doc: str) -> Column:
    return Column(name, type_, doc, nullable=True)


# ---- clean -------------------------------------------------------------------------------------

EVENTS = Table(
    layer="clean",
    name="events",
    grain="one event, on the day it arrived",
    columns=(
        DS,
        Column("event_id", "string", "the log's id, else a hash of the other fields"),
        Column("event_timestamp", "timestamp", "when it happened"),
        Column("event_ds", "string", "day it happened on, in the dataset's time zone"),
        Column("user_id", "string", "pseudonym: HMAC-SHA256, 32 hex digits"),
        Column("item_id", "string", "the log's item id"),
        Column("event_type", "string", "one of the dataset's event types"),
        _nullable("value", "double", "rating, quantity or dwell seconds"),
        _nullable("request_id", "string", "the slate it belongs to"),
        _nullable("position", "int32", "rank within the slate, from 0 or 1 as logged"),
        Column("context", "map<string,string>", "declared context fields that were present"),
    ),
    checks=(unique("event_id"),),
)
PROFILES = Table(
    layer="clean",
    name="profiles",
    grain="one user whose profile is new or changed that day",
    columns=(
        DS,
        Column("user_id", "string", "pseudonym"),
        Column("updated_at", "timestamp", "when the profile changed"),
    ),
    checks=(unique("user_id"),),
    expand="raw_user",
    entity="user_id",
)
ITEMS = Table(
    layer="clean",
    name="items",
    grain="one item that is new or changed that day",
    columns=(
        DS,
        Column("item_id", "string", "the log's item id"),
        Column("updated_at", "timestamp", "when the item changed"),
        _nullable("available_from", "timestamp", "first instant it may be recommended"),
        _nullable("available_until", "timestamp", "first instant it may no longer be recommended"),
        _nullable("title", "string", "for people and text scorers"),
        _nullable("description", "string", "for people and text scorers"),
    ),
    checks=(unique("item_id"),),
    expand="raw_item",
    entity="item_id",
)
QUARANTINE = Table(
    layer="clean",
    name="quarantine",
    grain="one rejected raw row",
    columns=(
        DS,
        Column("stream", "string", "events, profiles or items"),
        Column("file", "string", "file name within the day's raw folder"),
        Column("line", "int64", "line (text) or row (Parquet) number in the file, from 1"),
        Column("masked_line", "string", "the row, ids and personal data masked"),
        Column("reason", "string", "reason code"),
    ),
    checks=(unique("stream", "file", "line"),),
)
INTAKE = Table(
    layer="clean",
    name="intake",
    grain="one stream and outcome of a day",
    columns=(
        DS,
        Column("stream", "string", "events, profiles or items"),
        Column("outcome", "string", "read, clean, or a quarantine reason"),
        Column("rows", "int64", "raw rows; read = clean + the sum of the reasons"),
    ),
    checks=(unique("stream", "outcome"), in_range("rows", 0)),
)

# ---- encoded -----------------------------------------------------------------------------------

VOCABULARIES = Table(
    layer="encoded",
    name="vocabularies",
    grain="one value of one field, on its day of birth (ds)",
    columns=(
        DS,
        Column(
            "field",
            "string",
            "user_id, item_id, user.<attribute>, item.<attribute>, context.<field>",
        ),
        Column("value", "string", "the raw value"),
        Column("id", "int32", "from 2; never changes, never given again"),
    ),
    checks=(unique("field", "value"), unique("field", "id"), in_range("id", FIRST_VALUE_ID)),
)
USERS = Table(
    layer="encoded",
    name="users",
    grain="one user whose profile changed that day, label-encoded",
    columns=(
        DS,
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("valid_from", "timestamp", "later of the change and the beginning of ds"),
    ),
    checks=(unique("user_index"), in_range("user_index", FIRST_VALUE_ID)),
    expand="encoded_user",
    entity="user_index",
)
ENCODED_ITEMS = Table(
    layer="encoded",
    name="items",
    grain="one item that changed that day, label-encoded",
    columns=(
        DS,
        Column("item_index", "int32", "vocabulary id of item_id"),
        Column("valid_from", "timestamp", "later of the change and the beginning of ds"),
        _nullable("available_from", "timestamp", "first instant it may be recommended"),
        _nullable("available_until", "timestamp", "first instant it may no longer be recommended"),
    ),
    checks=(unique("item_index"), in_range("item_index", FIRST_VALUE_ID)),
    expand="encoded_item",
    entity="item_index",
)

# ---- features ----------------------------------------------------------------------------------

_STATE = tuple(
    Column(
        decayed(statistic, half_life),
        "double",
        f"sum of {statistic}, each decayed to the end of ds with a half-life of {half_life} days",
    )
    for statistic in STATISTICS
    for half_life in HALF_LIVES_DAYS
)
USER_STATS = Table(
    layer="features",
    name="user_stats",
    grain="one user active that day (all users on a base day): state at the end of ds",
    columns=(
        DS,
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("first_event_timestamp", "timestamp", "first event ever seen"),
        Column("last_event_timestamp", "timestamp", "latest event seen"),
        *_STATE,
    ),
    entity="user_index",
    based=True,
    checks=(unique("user_index"), in_range("user_index", FIRST_VALUE_ID)),
)
ITEM_STATS = Table(
    layer="features",
    name="item_stats",
    grain="one item active that day (all items on a base day): state at the end of ds",
    columns=(
        DS,
        Column("item_index", "int32", "vocabulary id of item_id"),
        Column("first_event_timestamp", "timestamp", "first event ever seen"),
        Column("last_event_timestamp", "timestamp", "latest event seen"),
        *_STATE,
    ),
    entity="item_index",
    based=True,
    checks=(unique("item_index"), in_range("item_index", FIRST_VALUE_ID)),
)
USER_SEQUENCES = Table(
    layer="features",
    name="user_sequences",
    grain="one user with a positive event that day (all on a base day): last items at its end",
    columns=(
        DS,
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("item_indices", "list<int32>", "last N positive items, oldest first"),
        Column("event_timestamps", "list<timestamp>", "their times, same order"),
    ),
    entity="user_index",
    based=True,
    checks=(unique("user_index"), in_range("user_index", FIRST_VALUE_ID)),
)

# ---- examples ----------------------------------------------------------------------------------

EXAMPLES = Table(
    layer="examples",
    name="examples",
    grain="one event whose label became final that day",
    columns=(
        DS,
        Column("example_id", "string", "event_id of the impression, rating or positive event"),
        Column("event_timestamp", "timestamp", "when the user saw or took the item"),
        Column("event_ds", "string", "day it happened on; features are those known before it"),
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("item_index", "int32", "vocabulary id of item_id"),
        _nullable("request_id", "string", "the slate it belongs to"),
        _nullable("position", "int32", "rank within the slate"),
        Column("hour", "int32", "hour of the day in the dataset's time zone, 0-23"),
        Column("weekday", "int32", "0 = Monday ... 6 = Sunday, in the dataset's time zone"),
        Column("label", "double", "1 = positive, 0 = not"),
        _nullable("value", "double", "rating or quantity, where logged"),
        Column("weight", "double", "weight of the positive event type; 1 for negatives"),
    ),
    checks=(
        unique("example_id"),
        in_range("label", 0, 1),
        in_range("hour", 0, 23),
        in_range("weekday", 0, 6),
        in_range("weight", 0),
    ),
    expand="encoded_context",
)

# ---- predictions -------------------------------------------------------------------------------

SCORES = Table(
    layer="predictions",
    name="scores",
    grain="one example of the day, scored by the champion before anything trained on it",
    columns=(
        DS,
        Column("example_id", "string", "the example"),
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("item_index", "int32", "vocabulary id of item_id"),
        Column("model_version", "int32", "registered version that scored it"),
        Column("logit", "double", "log-odds (impressions, threshold) or score (sampled)"),
        Column("label", "double", "final label"),
        _nullable(
            "percentile_rank", "double", "of a positive within the catalogue; 1 = top (sampled)"
        ),
    ),
    checks=(unique("example_id"),),
)
CANDIDATE_SCORES = Table(
    layer="predictions",
    name="candidate_scores",
    grain="one example of the day, scored by one scorer's candidate",
    columns=(
        DS,
        Column("scorer", "string", "scorer name"),
        Column("example_id", "string", "the example"),
        Column("user_index", "int32", "vocabulary id of user_id"),
        Column("item_index", "int32", "vocabulary id of item_id"),
        Column("logit", "double", "log-odds or score of the candidate"),
        Column(
            "head_logit", "double", "of the scorer's own head (its warm-start parent), same row"
        ),
        Column("label", "double", "final label"),
        _nullable("percentile_rank", "double", "candidate's, of a positive (sampled)"),
        _nullable("head_percentile_rank", "double", "head's, of a positive (sampled)"),
    ),
    checks=(unique("example_id"),),
    partition=("ds", "scorer"),
)
SKETCHES = Table(
    layer="predictions",
    name="sketches",
    grain="one score bin of one slice, scored by one model version",
    columns=(
        DS,
        Column("model_version", "int32", "registered version"),
        Column("slice", "string", "all, or field=value"),
        Column("bin", "int32", "0-199, fixed bins of the logit"),
        Column("n", "int64", "examples"),
        Column("clicks", "double", "sum of labels"),
        Column("expected", "double", "sum of predicted probabilities"),
    ),
    checks=(unique("model_version", "slice", "bin"), in_range("bin", 0, 199), in_range("n", 1)),
)
SCORE_MAPS = Table(
    layer="predictions",
    name="score_maps",
    grain="one logit bin of the replaced champion, in the new champion's logits",
    columns=(
        DS,
        Column("from_version", "int32", "the champion before ds"),
        Column("to_version", "int32", "the champion that ds promoted"),
        Column("bin", "int32", "0-199, bin of from_version"),
        Column("mapped_logit", "double", "to_version's logit at the same quantile of ds's rows"),
    ),
    checks=(unique("from_version", "bin"), in_range("bin", 0, 199)),
)

# ---- reports -----------------------------------------------------------------------------------

DAILY_METRICS = Table(
    layer="reports",
    name="daily_metrics",
    grain="one metric of the day, for one subject",
    columns=(
        DS,
        Column("subject", "string", "champion, lists, popularity_7d, popularity_decayed, ..."),
        Column("metric", "string", "auc, log_loss, recall_at_10, ..."),
        Column("value", "double", "the metric"),
        Column("n", "int64", "rows or pairs it is over"),
    ),
    checks=(unique("subject", "metric"),),
)
DRIFT = Table(
    layer="reports",
    name="drift",
    grain="the decision of the day",
    columns=(
        DS,
        Column("decision", "string", "skip, watch, retrain or not_enough_data"),
        Column("train", "bool", "whether the day trains"),
        Column("reason", "string", "one sentence"),
        Column("evidence", "string", "JSON: statistic, threshold and n of each test"),
    ),
    checks=(unique("ds"),),
)
CANDIDATES = Table(
    layer="reports",
    name="candidates",
    grain="one scorer trained that day",
    columns=(
        DS,
        Column("scorer", "string", "scorer name"),
        Column("run_id", "string", "MLflow run"),
        Column("parent_version", "int32", "warm-start parent's registered version; 0 = none"),
        Column("first_day", "string", "first new training day"),
        Column("last_day", "string", "last training day (the day before ds)"),
        Column("rows", "int64", "new rows trained on"),
        Column("replay_rows", "int64", "replayed rows"),
        Column("directory", "string", "checkpoint folder, relative to Dayfold's home"),
        Column("evidence", "string", "JSON: losses per epoch, vocabulary sizes, input hash"),
    ),
    checks=(unique("scorer"),),
    partition=("ds", "scorer"),
)
EVALUATIONS = Table(
    layer="reports",
    name="evaluations",
    grain="one metric of one candidate on the day's examples",
    columns=(
        DS,
        Column("scorer", "string", "scorer name"),
        Column("metric", "string", "auc, log_loss, ece, observed_expected, ..."),
        Column("value", "double", "the candidate's"),
        Column("head_value", "double", "its head's, on the same rows (NaN without a head)"),
    ),
    checks=(unique("metric"),),
    partition=("ds", "scorer"),
)
GATES = Table(
    layer="reports",
    name="gates",
    grain="one candidate's gate",
    columns=(
        DS,
        Column("scorer", "string", "scorer name"),
        Column("outcome", "string", "champion, head, or rejected"),
        Column("reason", "string", "one sentence: which bar, by how much"),
        Column("version", "int32", "registered version; 0 = rejected, none registered"),
        Column("evidence", "string", "JSON: differences, intervals, guardrails"),
    ),
    checks=(unique("scorer"),),
)
PROMOTIONS = Table(
    layer="reports",
    name="promotions",
    grain="the champion after the day",
    columns=(
        DS,
        Column("champion_version", "int32", "registered version that serves after ds; 0 = none"),
        Column("champion_scorer", "string", "its ranker's scorer name"),
        Column("previous_version", "int32", "version it replaced that day; 0 = nothing replaced"),
        Column("promoted", "bool", "whether ds changed the champion"),
        Column("state", "string", "intent (a promotion was begun) or done"),
        Column("heads", "string", "JSON: {scorer: version}, the warm-start parents after ds"),
        Column("reason", "string", "one sentence"),
    ),
    checks=(unique("ds"),),
)
RECOMMENDATIONS = Table(
    layer="reports",
    name="recommendations",
    grain="one rank of one user's list",
    columns=(
        DS,
        Column("user_id", "string", "pseudonym; * = the list for users without one"),
        Column("rank", "int32", "from 1"),
        Column("item_id", "string", "the log's item id"),
        Column("score", "double", "the ranker's logit; NaN where popularity topped up"),
        Column("source", "string", "model or popularity"),
        Column("model_version", "int32", "registered version"),
    ),
    checks=(unique("user_id", "rank"), unique("user_id", "item_id"), in_range("rank", 1)),
)
STEP_RUNS = Table(
    layer="reports",
    name="step_runs",
    grain="one finished step of a day; its presence says that the step's tables are complete",
    columns=(
        DS,
        Column("step", "string", "step name; <step>.<scorer> where mapped"),
        Column("finished_at", "timestamp", "when it ended"),
        Column("seconds", "double", "wall seconds"),
        Column("cpu_seconds", "double", "CPU seconds of this process, its JVM not counted"),
        Column("peak_memory_mb", "double", "peak resident memory of this process, MiB"),
        Column("summary", "string", "one line for people"),
        Column("table_versions", "string", "JSON: {table: Delta version written}"),
    ),
    checks=(unique("step"),),
    partition=("ds", "step"),
)
LEDGER = Table(
    layer="clean",
    name="ledger",
    grain="one day that is closed",
    columns=(
        DS,
        Column("state", "string", "history, published or waived"),
        Column("closed_at", "timestamp", "when the row was written"),
        Column("reason", "string", "why waived; else how the day ended"),
        Column("table_versions", "string", "JSON: {table: Delta version} that make up the day"),
        Column("code_version", "string", "git commit or package version"),
        Column("config_hash", "string", "hash of the settings and the dataset's declaration"),
    ),
    checks=(unique("ds"),),
)

TABLES: tuple[Table, ...] = (
    EVENTS,
    PROFILES,
    ITEMS,
    QUARANTINE,
    INTAKE,
    VOCABULARIES,
    USERS,
    ENCODED_ITEMS,
    USER_STATS,
    ITEM_STATS,
    USER_SEQUENCES,
    EXAMPLES,
    SCORES,
    SKETCHES,
    SCORE_MAPS,
    DAILY_METRICS,
    DRIFT,
    CANDIDATES,
    CANDIDATE_SCORES,
    EVALUATIONS,
    GATES,
    PROMOTIONS,
    RECOMMENDATIONS,
    STEP_RUNS,
    LEDGER,
)


def columns_of(table: Table, dataset: DatasetConfig) -> tuple[Column, ...]:
    """`table`'s columns for `dataset`: the declared ones, then those of its attributes or context.

    Attributes are columns named `attr_<name>`, context fields `ctx_<name>`.
    """
    return (*table.columns, *_expanded(table.expand, dataset))


def _expanded(expand: Expansion | None, dataset: DatasetConfig) -> tuple[Column, ...]:
    if expand is None:
        return ()
    if expand == "encoded_context":
        return tuple(
            Column(f"ctx_{field}", "int32", f"vocabulary id of context.{field}")
            for field in dataset.context
        )
    layer, entity = expand.split("_")
    attributes = dataset.user_attributes if entity == "user" else dataset.item_attributes
    if layer == "raw":
        return tuple(
            _nullable(f"attr_{a.name}", _RAW_TYPES[a.kind], f"{a.kind} attribute as logged")
            for a in attributes
        )
    return tuple(
        Column(f"attr_{a.name}", _ENCODED_TYPES[a.kind], _ENCODED_DOCS[a.kind]) for a in attributes
    )


_RAW_TYPES: dict[str, Type] = {
    "categorical": "string",
    "multi": "list<string>",
    "numeric": "double",
}
_ENCODED_TYPES: dict[str, Type] = {
    "categorical": "int32",
    "multi": "list<int32>",
    "numeric": "int32",
}
_ENCODED_DOCS = {
    "categorical": "vocabulary id",
    "multi": "vocabulary ids: a multi-hot vector as a list of indices",
    "numeric": "2 + number of bin cuts at or below the value",
}
