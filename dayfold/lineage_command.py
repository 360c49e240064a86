"""`dayfold lineage`: where the rows of a table, or a model version, come from."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from conf.errors import ConfigError
from conf.settings import overrides_to_environment
from dayfold.options import Dataset, LakeRoot, Raw


def lineage(
    table: Annotated[
        str | None, typer.Argument(help="A table of the README, such as examples.examples.")
    ] = None,
    ds: Annotated[str | None, typer.Option("--ds", help="Its day, YYYY-MM-DD.")] = None,
    model: Annotated[int | None, typer.Option(help="Or: a registered model version.")] = None,
    dataset: Dataset = None,
    raw: Raw = None,
    lake: LakeRoot = None,
) -> None:
    """Walk back from a table of a day, or a model version, to the raw files and their hashes."""
    from dayfold.lineage import model_lineage, table_lineage
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day

    overrides_to_environment(dataset=dataset, raw=raw, lake=lake)
    if model is not None and table is None and ds is None:
        tree = model_lineage(open_workplace(lake), model)
    elif table is not None and ds is not None and model is None:
        tree = table_lineage(open_workplace(lake), table, parse_day(ds, "--ds"))
    else:
        raise ConfigError(
            "Of what? Either a table and its day (`dayfold lineage examples.examples --ds "
            "2026-02-12`) or a model version (`dayfold lineage --model 4`)."
        )
    # In a pipe nobody sees the edge of the screen.
    width = None if sys.stdout.isatty() else 300
    Console(emoji=False, highlight=False, width=width).print(tree)
