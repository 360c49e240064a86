"""What serves, changed by hand: a rollback, an approval or a rejection that was begun is decided.

    1. the intent, in the ledger of promotions
    2. the map from the scores of what served to those of what serves now (for the drift check)
    3. aliases: heads, `challenger`, `previous`, then `champion`
    4. the event is decided: steps go by it from here on
Lists are made again by who calls this; then the event is done. Killed anywhere, it is found begun,
and gone on with.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.champion import last_succession
from feature_store.lake import Lake
from feature_store.promotion_ledger import PromotionEvent, write_event
from feature_store.step import StepContext
from feature_store.tables import EXAMPLES, SCORE_MAPS
from training.drift.score_map import quantile_map
from training.features.reader import FeatureReader
from training.registry.registry import Registry
from training.registry.serving import load_version
from training.registry.versions import client_of
from training.scoring.day_scores import finite_logits
from training.text.kept import keep_texts_of


def decide_by_hand(context: StepContext, registry: Registry, event: PromotionEvent) -> None:
    """Make `event`, whose intent is written, what steps go by."""
    lake = context.lake
    if event.replaced_version not in {0, event.version}:
        _write_score_map(context, event)
    _set_aliases(lake, registry, event)
    write_event(lake, event, "decided")


def _set_aliases(lake: Lake, registry: Registry, event: PromotionEvent) -> None:
    """Make the aliases say what the event says; `champion` is the last."""
    client = client_of(registry)
    for alias, version in registry.aliases().items():
        gone = alias.startswith("head-") and alias.removeprefix("head-") not in event.heads
        if gone or (alias == "challenger" and version in event.versions):
            client.delete_registered_model_alias(registry.name, alias)
    for scorer, version in event.heads.items():
        registry.set_head(scorer, version)
    if event.kind == "approval":
        registry.set_champion(event.version, event.replaced_version)
    elif event.kind == "rollback":
        came = last_succession(lake, event.version, event.ds)
        registry.set_champion(event.version, came.replaced if came else 0)


def _write_score_map(context: StepContext, event: PromotionEvent) -> None:
    """Beside the day's own map: from the scores of what served to those of what serves now.

    So days that the replaced version scored stay comparable, as after a promotion.
    """
    lake, ds = context.lake, event.ds
    examples = lake.read(EXAMPLES, [ds]).sort_by("example_id")
    if not examples.num_rows:
        return
    keep_texts_of(context.settings)
    rankers = [
        load_version(lake, context.settings, version).ranker
        for version in (event.replaced_version, event.version)
    ]
    reader = FeatureReader(lake, ds, ds, with_text=any(ranker.reads_text for ranker in rankers))
    rows = reader.rows(examples)
    mapped = np.asarray(quantile_map(*(finite_logits(ranker, rows) for ranker in rankers)))
    own = lake.read(SCORE_MAPS, [ds])
    own = own.filter(pc.not_equal(own.column("from_version"), event.replaced_version))
    added = [
        {
            "ds": ds,
            "from_version": event.replaced_version,
            "to_version": event.version,
            "bin": position,
            "mapped_logit": float(logit),
        }
        for position, logit in enumerate(mapped)
    ]
    schema = lake.schema(SCORE_MAPS)
    content = pa.concat_tables(
        [own.select(schema.names).cast(schema), pa.Table.from_pylist(added, schema)]
    )
    lake.replace(SCORE_MAPS, {"ds": ds}, content, {"step": "rollback", "ds": ds})
