"""`dayfold import ...`: public datasets and anybody's log into the raw zone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

importing = typer.Typer(
    help="Write a public dataset, or your own log, into a raw zone.", no_args_is_help=True
)

Source = Annotated[Path, typer.Option(help="Folder with the dataset's files.")]
Raw = Annotated[Path, typer.Option(help="Raw zone to write.")]
First = Annotated[str | None, typer.Option("--from", help="First day [the first there is].")]
Last = Annotated[str | None, typer.Option("--to", help="Last day [the last there is].")]

_console = Console(emoji=False, highlight=False)


def _say(summary: object) -> None:
    _console.print(str(summary), soft_wrap=True, markup=False)


@importing.command()
def movietweetings(source: Source, raw: Raw, first: First = None, last: Last = None) -> None:
    """MovieTweetings: ratings.dat(.gz), movies.dat(.gz)."""
    from pipelines.sources.movietweetings import import_movietweetings

    _say(import_movietweetings(source, raw, first, last))


@importing.command("movielens-100k")
def movielens_100k(source: Source, raw: Raw, first: First = None, last: Last = None) -> None:
    """MovieLens 100k: u.data(.gz), u.user, u.item."""
    from pipelines.sources.movielens_100k import import_movielens_100k

    _say(import_movielens_100k(source, raw, first, last))


@importing.command("online-retail")
def online_retail(source: Source, raw: Raw, first: First = None, last: Last = None) -> None:
    """Online Retail: one CSV a day."""
    from pipelines.sources.online_retail import import_online_retail

    _say(import_online_retail(source, raw, first, last))


@importing.command()
def table(
    mapping: Annotated[Path, typer.Option(help="YAML: which column is what (docs/raw-zone.md).")],
    raw: Raw,
    first: First = None,
    last: Last = None,
) -> None:
    """Anybody's log in CSV or Parquet, by a mapping file."""
    from pipelines.sources.mapped_table import import_table

    _say(import_table(mapping, raw, first, last))
