"""`dayfold day ...`: what is done to a day by hand."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from conf.errors import ConfigError
from conf.settings import overrides_to_environment
from dayfold.options import Dataset, LakeRoot

day = typer.Typer(help="Close a day by hand.", no_args_is_help=True)


@day.callback()
def _group() -> None:
    """Close a day by hand."""


@day.command()
def waive(
    ds: Annotated[str, typer.Argument(help="Processing day, YYYY-MM-DD.")],
    reason: Annotated[str, typer.Option(help="Why the day is passed over; kept in the ledger.")],
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Close a day that will not be run, so that later days may run; nothing of it counts."""
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day
    from feature_store.ledger import waive_day
    from feature_store.locks import erasing

    if not reason.strip():
        raise ConfigError("--reason is empty: say why the day is passed over, it is kept.")
    overrides_to_environment(dataset=dataset, lake=lake)
    workplace = open_workplace()
    parse_day(ds)
    lake_of_day = workplace.lake()
    with erasing(lake_of_day.root):
        waive_day(lake_of_day, ds, reason, {"step": "day waive", "ds": ds})
    Console(emoji=False, highlight=False).print(f"{ds} is waived: {reason}", markup=False)
