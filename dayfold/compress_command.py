"""`dayfold compress`: smaller variants of a version, measured beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer
from rich.console import Console
from rich.table import Table

from conf.errors import ConfigError
from conf.settings import overrides_to_environment
from dayfold.options import Dataset, Day, LakeRoot

if TYPE_CHECKING:
    from training.compression.compress import Compressed


def compress(
    ds: Day,
    model: Annotated[
        int | None, typer.Option(help="A registered version; else the day's champion.")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="pruned, int8 or distilled; may be repeated.")
    ] = None,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Make smaller variants of a version and gate them on a day it has not seen.

    Promotes nothing: files go to the home's `variants/`, the table to MLflow.
    """
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day
    from training.compression.compress import compress as make
    from training.compression.variants import VARIANTS, VariantName

    overrides_to_environment(dataset=dataset, lake=lake)
    day = parse_day(ds, "--ds")
    for name in variant or ():
        if name not in get_args(VariantName):
            raise ConfigError(f"--variant {name!r}: expected one of {get_args(VariantName)}.")
    workplace = open_workplace(lake)
    wanted = cast("list[VariantName]", variant) if variant else list(VARIANTS)
    found = make(workplace.lake(), workplace.settings, day, model, wanted)
    console = Console(emoji=False, highlight=False)
    console.print(_table(found))
    for one in found.found.made:
        for reason in one.verdict.reasons:
            console.print(f"{one.measured.name}: {reason}", markup=False, soft_wrap=True)
    for name, why in found.found.left_out.items():
        console.print(f"{name} was left out: {why}", markup=False, soft_wrap=True)
    console.print(f"Files: {found.folder}", soft_wrap=True)
    console.print(
        "Next: dayfold ui, and in MLflow the runs "
        f"`{found.ds} {found.scorer}.VARIANT.v{found.version}`",
        markup=False,
        soft_wrap=True,
    )


def _table(found: Compressed) -> Table:
    table = Table(title=f"Version {found.version} ({found.scorer}) and its variants on {found.ds}")
    for column in ("variant", "auc", "log loss", "agrees", "KiB", "zipped", "p50 ms"):
        table.add_column(column)
    table.add_column("p99 ms")
    table.add_column("gate")
    made = found.found.made
    rows = [(found.found.original, "-"), *((v.measured, _word(v.verdict.passed)) for v in made)]
    for measured, gate in rows:
        table.add_row(
            measured.name,
            f"{measured.auc:.4f}",
            f"{measured.log_loss:.4f}",
            f"{measured.agreement:.3f}",
            f"{measured.size / 1024:,.0f}",
            f"{measured.deflated / 1024:,.0f}",
            f"{measured.p50:.2f}",
            f"{measured.p99:.2f}",
            gate,
        )
    return table


def _word(passed: bool) -> str:
    return "passed" if passed else "failed"
