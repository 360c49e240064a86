"""The Spark side of the day: its steps, declared in the order in which they run."""

from __future__ import annotations

from feature_store.step import Step
from feature_store.tables import (
    ENCODED_ITEMS,
    EVENTS,
    EXAMPLES,
    EXPIRIES,
    INTAKE,
    ITEM_STATS,
    ITEMS,
    LAST_SEEN,
    LEDGER,
    PENDING_VALUES,
    PROFILES,
    QUARANTINE,
    RAW_FILES,
    USER_SEQUENCES,
    USER_STATS,
    USER_TAKEN,
    USERS,
    VOCABULARIES,
)

OPEN_DAY = Step(
    name="open_day",
    reads=(),
    before=(LEDGER, INTAKE, RAW_FILES),
    writes=(),
    engine="python",
    entry="pipelines.open_day:run",
    reads_raw=True,
    doc="refuses a day that is not complete, comes before its time, or that later days contradict",
)
CLEAN_EVENTS = Step(
    name="clean_events",
    reads=(),
    before=(EVENTS, ITEMS, LEDGER, RAW_FILES),
    writes=(EVENTS, PROFILES, ITEMS, QUARANTINE, INTAKE, RAW_FILES),
    engine="spark",
    entry="pipelines.clean_events:run",
    reads_raw=True,
    doc="pseudonymises, deduplicates, routes late events, quarantines bad rows with a reason",
)
ENCODE_PROFILES = Step(
    name="encode_profiles",
    reads=(EVENTS, PROFILES, ITEMS),
    before=(
        *(PROFILES, ITEMS, VOCABULARIES, PENDING_VALUES, LAST_SEEN, EXPIRIES),
        *(USERS, ENCODED_ITEMS),
    ),
    writes=(VOCABULARIES, PENDING_VALUES, LAST_SEEN, EXPIRIES, USERS, ENCODED_ITEMS),
    engine="spark",
    entry="pipelines.encode_profiles:run",
    doc="appends new values to the vocabularies, label-encodes users and items",
)
BUILD_FEATURES = Step(
    name="build_features",
    reads=(EVENTS, VOCABULARIES, EXPIRIES),
    before=(USER_STATS, ITEM_STATS, USER_SEQUENCES, USER_TAKEN, VOCABULARIES, EXPIRIES),
    writes=(USER_STATS, ITEM_STATS, USER_SEQUENCES, USER_TAKEN),
    engine="spark",
    entry="pipelines.build_features:run",
    doc="folds the day into decayed counts, last-item sequences and taken items",
)
BUILD_EXAMPLES = Step(
    name="build_examples",
    reads=(EVENTS, VOCABULARIES, EXPIRIES),
    before=(EVENTS, VOCABULARIES, EXPIRIES),
    writes=(EXAMPLES,),
    engine="spark",
    entry="pipelines.build_examples:run",
    doc="labels the events whose attribution window closed",
)

STEPS: tuple[Step, ...] = (OPEN_DAY, CLEAN_EVENTS, ENCODE_PROFILES, BUILD_FEATURES, BUILD_EXAMPLES)
