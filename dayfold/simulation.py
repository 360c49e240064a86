"""`dayfold simulate` and the demo's world."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from conf.errors import ConfigError
from conf.problems import validation_message


def simulate_days(
    raw: Path,
    first: str,
    last: str,
    *,
    users: int | None = None,
    items: int | None = None,
    seed: int | None = None,
    drift: Sequence[str] = (),
) -> str:
    """Write the simulated days `first` to `last` under `raw`; give one line about them.

    What is not given is as in the world that `raw` already holds, in a new one the default; `drift`
    (DAY:KIND:SIZE, for example 2026-02-10:ctr:-0.5) comes on top of what is planted there.

    Raises:
        ConfigError: a value is out of range or a drift is malformed.
    """
    from pipelines.sources.simulator import PlantedDrift, SimulationSettings, simulate, world_of

    world = world_of(raw)
    known = world.model_dump(mode="json") if world else {}
    sizes = {"users": users, "items": items, "seed": seed}
    given = {name: value for name, value in sizes.items() if value is not None}
    planted = list(known.get("drift", []))
    try:
        for text in drift:
            one = PlantedDrift.model_validate(_planted(text)).model_dump(mode="json")
            planted += [one] if one not in planted else []
        settings = SimulationSettings.model_validate(
            known
            | {name: value for name, value in given.items() if value is not None}
            | {"drift": planted}
        )
    except ValidationError as error:
        raise ConfigError(
            f"{validation_message('The simulation', error)}\n"
            "Next: correct what is named (`dayfold simulate --help`), then run it again."
        ) from error
    return str(simulate(raw, first, last, settings))


def _planted(text: str) -> dict[str, str]:
    parts = text.split(":")
    if len(parts) != 3:  # noqa: PLR2004
        raise ConfigError(
            f"--drift is {text!r}, expected DAY:KIND:SIZE. Next: for example "
            "`dayfold simulate ... --drift 2026-02-10:ctr:-0.5`"
        )
    return dict(zip(("day", "kind", "size"), parts, strict=True))
