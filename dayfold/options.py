"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Dataset = Annotated[str | None, typer.Option(help="Name of a file in conf/datasets/.")]
Raw = Annotated[Path | None, typer.Option(help="Raw zone [.dayfold/raw/<dataset>].")]
LakeRoot = Annotated[Path | None, typer.Option("--lake", help="Lake [.dayfold/lake/<dataset>].")]
First = Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.")]
Last = Annotated[str, typer.Option("--to", help="Last day, YYYY-MM-DD.")]
Day = Annotated[str, typer.Option("--ds", help="Processing day, YYYY-MM-DD.")]
