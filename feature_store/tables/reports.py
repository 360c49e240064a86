"""Decisions, evidence, lists and costs."""

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
        Column("train", "bool", "whether the day trains; also by the calendar, with any decision"),
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
        Column("metric", "string", "auc, gauc, log_loss, ..., auc_new_users, ..."),
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
        Column("outcome", "string", "champion, head, inconclusive or rejected"),
        Column("reason", "string", "one sentence: which bar, by how much"),
        Column("version", "int32", "registered version; 0 = it did not pass, none registered"),
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
PROMOTION_LEDGER = Table(
    layer="reports",
    name="promotion_ledger",
    grain="one change of what serves, or of what may; never replaced by another",
    columns=(
        Column("ds", "string", "the published day after which it holds"),
        Column("event", "string", "digest of what happened: the same again is the same row"),
        Column("number", "int32", "order among all events, from 1 on, with gaps"),
        Column("kind", "string", "promotion, proposal, approval, rejection, rollback or release"),
        Column("state", "string", "intent, decided (it holds; lists follow), done or withdrawn"),
        Column("at", "timestamp", "when it was begun, UTC"),
        Column("version", "int32", "registered version that serves from then on, or waits"),
        Column("scorer", "string", "its ranker's scorer name"),
        Column("replaced_version", "int32", "version that served before; 0 = none"),
        Column("heads", "string", "JSON: {scorer: version}, the warm-start parents from then on"),
        Column("day", "string", "blocked or released, or of the approved gate; empty = none"),
        Column("versions", "list<int32>", "versions that are blocked or released"),
        Column("reason", "string", "as given"),
        Column("actor", "string", "who: a user of the machine, or the step promote"),
    ),
    checks=(unique("event"),),
    version=2,
    # by kind, so that a day's steps find what was done by hand among the days' own promotions
    partition=("ds", "kind", "event"),
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
        Column("reason", "string", "why it is there, in words"),
    ),
    version=2,
    checks=(
        unique("user_id", "rank"),
        unique("user_id", "item_id"),
        in_range("rank", 1),
        volume(2.0),
    ),
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
        Column("cpu_seconds", "double", "of this process and its children, the JVM included"),
        Column("peak_memory_mb", "double", "peak resident memory of all of them together, MiB"),
        Column("summary", "string", "one line for people"),
        nullable("warnings", "list<string>", "what somebody should look at; checks have their own"),
        Column("table_versions", "string", "JSON: {table: Delta version written}"),
    ),
    checks=(unique("step"),),
    partition=("ds", "step"),
)
CHECKS = Table(
    layer="reports",
    name="checks",
    grain="one check of one table, as a step of the day wrote it",
    columns=(
        DS,
        Column("step", "string", "step name; <step>.<scorer> where mapped"),
        Column("table", "string", "layer.name"),
        Column("check", "string", "not_null, unique(...), in_range(...) or volume"),
        Column("severity", "string", "fail (a broken check stops the step) or warn"),
        nullable("passed", "bool", "null = too little to compare with"),
        Column("observed", "double", "rows that break the rule; volume: rows of the day"),
        Column("expected", "string", "the rule, with its bounds"),
    ),
    checks=(unique("table", "check"), in_range("observed", 0)),
    partition=("ds", "step"),
)
