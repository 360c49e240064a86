"""`dayfold simulate` and the demo's world."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from conf.dataset import validation_message
from conf.errors import ConfigError


def simulate_days(
    raw: Path, first: str, last: str, users: int, items: int, seed: int, drift: list[str]
) -> str:
    """Write the simulated days `first` to `last` under `raw`; give one line about them.

    `drift` holds DAY:KIND:SIZE, for example 2026-02-10:ctr:-0.5.

    Raises:
        ConfigError: a value is out of range or a drift is malformed.
    """
    from pipelines.sources.simulator import SimulationSettings, simulate

    try:
        settings = SimulationSettings.model_validate(
            {
                "users": users,
                "items": items,
                "seed": seed,
                "drift": [_planted(text) for text in drift],
            }
        )
    except ValidationError as error:
        raise ConfigError(validation_message("The simulation", error)) from error
    return str(simulate(raw, first, last, settings))


def _planted(text: str) -> dict[str, str]:
    parts = text.split(":")
    if len(parts) != 3:  # noqa: PLR2004
        raise ConfigError(
            f"--drift is {text!r}, expected DAY:KIND:SIZE, for example 2026-02-10:ctr:-0.5"
        )
    return dict(zip(("day", "kind", "size"), parts, strict=True))
