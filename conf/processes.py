"""The processes that `torchrun` started together, as each of them finds itself among them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Processes:
    """This process among those that train one scorer together."""

    rank: int = 0
    """From 0; the first one alone writes."""
    world: int = 1
    """How many there are, on all machines."""
    local_world: int = 1
    """How many there are on this machine."""

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0


ALONE = Processes()


def started_together(environment: Mapping[str, str] | None = None) -> Processes:
    """What torchrun's variables say; `ALONE` where it has not started this process."""
    found = os.environ if environment is None else environment
    if "TORCHELASTIC_RUN_ID" not in found:
        return ALONE
    return Processes(
        int(found["RANK"]), int(found["WORLD_SIZE"]), int(found.get("LOCAL_WORLD_SIZE", "1"))
    )
