"""Scores of a day, and their sketches."""

from __future__ import annotations

from feature_store.tables.declare import (
    DS,
    Column,
    Table,
    in_range,
    nullable,
    unique,
    volume,
)

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
        nullable(
            "percentile_rank", "double", "of a positive within the catalogue; 1 = top (sampled)"
        ),
    ),
    checks=(unique("example_id"), volume(2.0)),
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
        nullable("percentile_rank", "double", "candidate's, of a positive (sampled)"),
        nullable("head_percentile_rank", "double", "head's, of a positive (sampled)"),
        nullable("anchor_logit", "double", "of the scorer's head of four weeks ago, if another"),
        nullable("anchor_percentile_rank", "double", "the anchor's, of a positive (sampled)"),
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
INPUT_COUNTS = Table(
    layer="predictions",
    name="input_counts",
    grain="one value of one input field, over the day's examples",
    columns=(
        DS,
        Column("field", "string", "as in the vocabularies, user.<number> and so on"),
        Column("value", "int32", "id (100 = all from there on), or bin of a number in quarters"),
        Column("rows", "int64", "examples; of a field with several values, values"),
        Column("new", "int64", "of them with a value that was new on the day"),
    ),
    checks=(unique("field", "value"), in_range("rows", 1)),
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
