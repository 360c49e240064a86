"""A shop with a known truth: the embedded default source, and what makes claims testable.

A day is a pure function of the settings and the date: alone or in a range, in any order, it has
the same bytes. `writer.simulate` is the way in.
"""

from __future__ import annotations

from pipelines.sources.simulator.settings import DirtRates, PlantedDrift, SimulationSettings
from pipelines.sources.simulator.truth import world_of
from pipelines.sources.simulator.writer import SimulationSummary, simulate

__all__ = [
    "DirtRates",
    "PlantedDrift",
    "SimulationSettings",
    "SimulationSummary",
    "simulate",
    "world_of",
]
