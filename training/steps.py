"""The training side of the day: its steps, declared in the order in which they run."""

from __future__ import annotations

from feature_store.step import Step
from feature_store.tables import (
    CANDIDATE_SCORES,
    CANDIDATES,
    DAILY_METRICS,
    DRIFT,
    ENCODED_ITEMS,
    EVALUATIONS,
    EVENTS,
    EXAMPLES,
    EXPIRIES,
    GATES,
    INTAKE,
    ITEM_STATS,
    ITEMS,
    LEDGER,
    PROMOTIONS,
    RECOMMENDATIONS,
    SCORE_MAPS,
    SCORES,
    SKETCHES,
    USER_SEQUENCES,
    USER_STATS,
    USER_TAKEN,
    USERS,
    VOCABULARIES,
)

_STATE = (USER_STATS, ITEM_STATS, USER_SEQUENCES)

SCORE_DAY = Step(
    name="score_day",
    reads=(EXAMPLES, VOCABULARIES, USERS, ENCODED_ITEMS, ITEMS, EVENTS),
    before=(EVENTS, USERS, ENCODED_ITEMS, ITEMS, *_STATE, USER_TAKEN, PROMOTIONS, RECOMMENDATIONS),
    writes=(SCORES, SKETCHES, DAILY_METRICS),
    engine="torch",
    entry="training.score_day:run",
    doc="the champion scores the day before anything trains on it; yesterday's lists are measured",
)
CHECK_DRIFT = Step(
    name="check_drift",
    reads=(SKETCHES, SCORES),
    before=(SKETCHES, SCORES, SCORE_MAPS, PROMOTIONS, CANDIDATES, LEDGER),
    writes=(DRIFT,),
    engine="python",
    entry="training.check_drift:run",
    doc="compares the day's scores and clicks with history: skip, watch, retrain, not_enough_data",
)
TRAIN = Step(
    name="train",
    reads=(DRIFT,),
    before=(EXAMPLES, VOCABULARIES, EXPIRIES, USERS, ENCODED_ITEMS, ITEMS, *_STATE, PROMOTIONS),
    writes=(CANDIDATES,),
    engine="torch",
    entry="training.train:run",
    mapped=True,
    doc="warm-starts a scorer from its parent on the days before, plus replay",
)
EVALUATE = Step(
    name="evaluate",
    reads=(CANDIDATES, EXAMPLES, VOCABULARIES, USERS, ENCODED_ITEMS, ITEMS),
    before=(USERS, ENCODED_ITEMS, ITEMS, *_STATE, PROMOTIONS),
    writes=(CANDIDATE_SCORES, EVALUATIONS),
    engine="torch",
    entry="training.evaluate:run",
    mapped=True,
    doc="tests the candidate on the day against its head, on the same rows",
)
PROMOTE = Step(
    name="promote",
    reads=(
        DRIFT,
        CANDIDATES,
        CANDIDATE_SCORES,
        EVALUATIONS,
        SCORES,
        EXAMPLES,
        VOCABULARIES,
        USERS,
        ENCODED_ITEMS,
        ITEMS,
        *_STATE,
    ),
    before=(PROMOTIONS, VOCABULARIES, USERS, ENCODED_ITEMS, ITEMS, *_STATE),
    writes=(GATES, PROMOTIONS, SCORE_MAPS),
    engine="python",
    entry="training.promote:run",
    doc="gates each candidate, registers those that pass, moves the champion",
)
RECOMMEND = Step(
    name="recommend",
    reads=(
        EVENTS,
        EXAMPLES,
        PROMOTIONS,
        VOCABULARIES,
        USERS,
        ENCODED_ITEMS,
        ITEMS,
        USER_TAKEN,
        *_STATE,
    ),
    before=(EVENTS, EXAMPLES, ITEMS, VOCABULARIES, USERS, ENCODED_ITEMS, USER_TAKEN, *_STATE),
    writes=(RECOMMENDATIONS,),
    engine="torch",
    entry="training.recommend:run",
    doc="recalls, ranks, filters and prunes a list for each active user",
)
PUBLISH = Step(
    name="publish",
    reads=(
        RECOMMENDATIONS,
        PROMOTIONS,
        DRIFT,
        DAILY_METRICS,
        INTAKE,
        VOCABULARIES,
        USERS,
        ENCODED_ITEMS,
        *_STATE,
    ),
    before=(VOCABULARIES, USERS, ENCODED_ITEMS, *_STATE),
    writes=(LEDGER,),
    engine="python",
    entry="training.publish:run",
    doc="fills the online store (lists, feature vectors) and closes the day in the ledger",
)

STEPS: tuple[Step, ...] = (
    SCORE_DAY,
    CHECK_DRIFT,
    TRAIN,
    EVALUATE,
    PROMOTE,
    RECOMMEND,
    PUBLISH,
)
