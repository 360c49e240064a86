"""The base of everything that is read from YAML or the environment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable part of a configuration; a key that it does not declare is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
