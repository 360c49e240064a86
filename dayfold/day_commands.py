"""`dayfold day ...`: what is done to a day by hand."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from conf.errors import ConfigError
from conf.settings import overrides_to_environment
from dayfold.options import Dataset, LakeRoot, Raw

day = typer.Typer(help="Close a day, or open days again, by hand.", no_args_is_help=True)


@day.callback()
def _group() -> None:
    """Close a day, or open days again, by hand."""


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
    lake_of_day = open_workplace(lake).lake()
    parse_day(ds)
    with erasing(lake_of_day.root):
        waive_day(lake_of_day, ds, reason, {"step": "day waive", "ds": ds})
    Console(emoji=False, highlight=False).print(f"{ds} is waived: {reason}", markup=False)


@day.command()
def reopen(
    ds: Annotated[str, typer.Argument(help="The first day to build again, YYYY-MM-DD.")],
    dataset: Dataset = None,
    raw: Raw = None,
    lake: LakeRoot = None,
) -> None:
    """Open a day and all later ones again: it came late, or its raw files are others now.

    For days that Airflow runs; `dayfold run --cascade` opens and runs them itself. Lists that are
    published stay until their day is published again.
    """
    from dayfold.cascade import intentions, open_for_rebuild, rebuild_from, withdraw_waiver
    from dayfold.hints import complete
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day
    from feature_store.ledger import closed_days
    from feature_store.rebuild import way_on_after_opening

    overrides_to_environment(dataset=dataset, raw=raw, lake=lake)
    workplace = open_workplace(lake)
    if withdraw_waiver(workplace, parse_day(ds)):
        Console().print(f"{ds} is open again: it was waived, and nothing was built after it")
        return
    rebuild = rebuild_from(workplace, parse_day(ds), ds)
    lines = intentions(workplace, rebuild)
    closed = closed_days(workplace.lake())
    open_for_rebuild(workplace, rebuild, "day reopen")
    lines.append(f"{len(rebuild.reopened)} day(s) are open again")
    lines.append(f"Next: {way_on_after_opening(closed, rebuild)}")
    for line in lines:
        Console(emoji=False, highlight=False, soft_wrap=True).print(complete(line), markup=False)
