"""Which version makes whose lists: the champion, or each version of a sticky pool for its users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from conf.errors import RegistryError
from feature_store.champion import Standing
from feature_store.promotion_ledger import blocked_now
from feature_store.step import StepContext
from feature_store.tables import EVERYBODY
from training.registry.serving import load_version
from training.scoring.composite import Composite
from training.scoring.metrics import Ints


@dataclass(frozen=True)
class Arms:
    """The versions of which each makes the lists of its share of the users."""

    champion: int
    """Makes the list for whoever has none, too; 0 = popularity makes all lists."""
    weights: Mapping[int, float]
    """Share of the users of each version."""
    composites: Mapping[int, Composite]

    def versions_of(self, user_ids: pa.Array) -> Ints:
        """The version of each user's list, (U,)."""
        from training.registry.pool import Pool, version_of_user

        if set(self.weights) <= {self.champion}:
            return np.full(len(user_ids), self.champion)
        pool = Pool(self.weights)
        picked = [
            self.champion if name == EVERYBODY else version_of_user(pool, name)
            for name in user_ids.to_pylist()
        ]
        return np.array([v if v in self.composites else self.champion for v in picked])


def arms_of(context: StepContext, standing: Standing | None) -> tuple[Arms, list[str]]:
    """What makes the lists after the day, loaded; and what there is to warn of.

    A pool that draws for each request has nothing to say of lists: the champion makes them. So it
    does those of a version that cannot be loaded, or was made after the day, which is run again.
    """
    if standing is None:
        return Arms(0, {}, {}), []
    champion = standing.version
    weights, warnings = _weights(context, champion), list[str]()
    composites = {champion: load_version(context.lake, context.settings, champion)}
    for version in sorted(set(weights) - {champion}):
        try:
            _check_known(context, version)
            composites[version] = load_version(context.lake, context.settings, version)
        except (RegistryError, OSError, ValueError) as error:
            warnings.append(f"the champion makes the lists of version {version} too: {error}")
    return Arms(champion, weights, composites), warnings


def _check_known(context: StepContext, version: int) -> None:
    """A version of a later day knows what came after: it makes no lists of a day run again.

    Raises:
        RegistryError: it was made after the day, or is not there.
    """
    from training.registry.registry import Registry

    made = Registry(context.settings, context.lake.id).version_tags(version).get("ds", "")
    if made > context.ds:
        raise RegistryError(f"it was made on {made}, after {context.ds}")


def _weights(context: StepContext, champion: int) -> dict[int, float]:
    # MLflow takes seconds to import: a day without a champion does not pay for it.
    from training.registry.pool import pool_of
    from training.registry.registry import Registry

    blocked = blocked_now(context.lake).versions
    pool = pool_of(Registry(context.settings, context.lake.id), champion, blocked)
    return dict(pool.weights) if pool.pick == "sticky" else {champion: 1.0}
