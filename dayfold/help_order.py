"""`dayfold --help`: the commands in the order in which they are needed."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

_GROUPS = {
    "Begin": ("demo", "setup", "key", "import", "simulate"),
    "Run days": ("run", "step", "day", "quarantine"),
    "See what came out": ("status", "report", "drift", "recommend", "lineage", "compress", "ui"),
    "Serve": ("serve", "pool", "approve", "reject", "rollback", "release", "history"),
    "Look after the lake": ("upkeep", "forget", "audit"),
}
_OTHERS = "Tools"
"""Commands that are in no group."""


class InOrder(TyperGroup):
    """The command line with its commands in groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command, group by group."""
        return [name for names in self._grouped().values() for name in names]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each group."""
        column = max(len(name) for name in self.commands)
        limit = formatter.width - column - 6  # the indent, and the space between the columns
        for heading, names in self._grouped().items():
            rows = [
                # Padded, so that the sections have their texts at one place.
                (name.ljust(column), self.commands[name].get_short_help_str(limit))
                for name in names
                if not self.commands[name].hidden
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def _grouped(self) -> dict[str, list[str]]:
        groups = {
            heading: [name for name in names if name in self.commands]
            for heading, names in _GROUPS.items()
        }
        named = {name for names in groups.values() for name in names}
        return groups | {_OTHERS: [name for name in self.commands if name not in named]}
