"""Every table of the lake, in the order in which the data flows. Declarations only.

A table is declared once: layer, name, version, grain, partition, columns with their units, and at
least one check that fails the step. Columns that depend on the dataset (attributes, context) are
added by `columns_of`.

All times are UTC instants. `ds` is the processing (arrival) day, YYYY-MM-DD, in every table.
Encoded values: 0 = unknown to the model, 1 = missing, real values from 2.
"""

from __future__ import annotations

from feature_store.tables.clean import (
    EVENTS,
    INTAKE,
    ITEMS,
    LEDGER,
    PROFILES,
    QUARANTINE,
    RAW_FILES,
)
from feature_store.tables.declare import (
    BASE_EVERY_DAYS,
    EVERYBODY,
    FIRST_VALUE_ID,
    HALF_LIVES_DAYS,
    MISSING,
    STATISTICS,
    UNKNOWN,
    Check,
    Column,
    Severity,
    Table,
    Type,
    columns_of,
    decayed,
)
from feature_store.tables.encoded import (
    ENCODED_ITEMS,
    EXPIRIES,
    LAST_SEEN,
    PENDING_VALUES,
    USERS,
    VOCABULARIES,
)
from feature_store.tables.examples import (
    EXAMPLES,
)
from feature_store.tables.features import (
    ITEM_STATS,
    USER_SEQUENCES,
    USER_STATS,
    USER_TAKEN,
)
from feature_store.tables.personal import FORGOTTEN
from feature_store.tables.predictions import (
    CANDIDATE_SCORES,
    INPUT_COUNTS,
    SCORE_MAPS,
    SCORES,
    SKETCHES,
)
from feature_store.tables.reports import (
    CANDIDATES,
    CHECKS,
    DAILY_METRICS,
    DRIFT,
    EVALUATIONS,
    GATES,
    PROMOTION_LEDGER,
    PROMOTIONS,
    RECOMMENDATIONS,
    STEP_RUNS,
)

TABLES: tuple[Table, ...] = (
    EVENTS,
    PROFILES,
    ITEMS,
    QUARANTINE,
    INTAKE,
    RAW_FILES,
    VOCABULARIES,
    PENDING_VALUES,
    LAST_SEEN,
    EXPIRIES,
    USERS,
    ENCODED_ITEMS,
    USER_STATS,
    ITEM_STATS,
    USER_SEQUENCES,
    USER_TAKEN,
    EXAMPLES,
    SCORES,
    SKETCHES,
    INPUT_COUNTS,
    SCORE_MAPS,
    DAILY_METRICS,
    DRIFT,
    CANDIDATES,
    CANDIDATE_SCORES,
    EVALUATIONS,
    GATES,
    PROMOTIONS,
    PROMOTION_LEDGER,
    RECOMMENDATIONS,
    STEP_RUNS,
    CHECKS,
    LEDGER,
)

__all__ = [
    "BASE_EVERY_DAYS",
    "CANDIDATES",
    "CANDIDATE_SCORES",
    "CHECKS",
    "DAILY_METRICS",
    "DRIFT",
    "ENCODED_ITEMS",
    "EVALUATIONS",
    "EVENTS",
    "EVERYBODY",
    "EXAMPLES",
    "EXPIRIES",
    "FIRST_VALUE_ID",
    "FORGOTTEN",
    "GATES",
    "HALF_LIVES_DAYS",
    "INPUT_COUNTS",
    "INTAKE",
    "ITEMS",
    "ITEM_STATS",
    "LAST_SEEN",
    "LEDGER",
    "MISSING",
    "PENDING_VALUES",
    "PROFILES",
    "PROMOTIONS",
    "PROMOTION_LEDGER",
    "QUARANTINE",
    "RAW_FILES",
    "RECOMMENDATIONS",
    "SCORES",
    "SCORE_MAPS",
    "SKETCHES",
    "STATISTICS",
    "STEP_RUNS",
    "TABLES",
    "UNKNOWN",
    "USERS",
    "USER_SEQUENCES",
    "USER_STATS",
    "USER_TAKEN",
    "VOCABULARIES",
    "Check",
    "Column",
    "Severity",
    "Table",
    "Type",
    "columns_of",
    "decayed",
]
