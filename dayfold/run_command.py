"""`dayfold run`: days through the DAG, history before them, days again."""

from __future__ import annotations

from typing import Annotated

import typer

from conf.errors import ConfigError
from conf.settings import overrides_to_environment
from dayfold.options import Dataset, First, LakeRoot, Last, Raw


def run(
    first: First,
    last: Last,
    dataset: Dataset = None,
    raw: Raw = None,
    lake: LakeRoot = None,
    history_from: Annotated[
        str | None, typer.Option(help="Build the days from here to --from in bulk first.")
    ] = None,
    launcher: Annotated[
        str,
        typer.Option(
            envvar="DAYFOLD__LAUNCHER",
            help="inline: steps in this process; subprocess: a command for each.",
        ),
    ] = "inline",
    force: Annotated[
        bool, typer.Option("--force", help="Run closed days again, on the raw files they read.")
    ] = False,
    cascade: Annotated[
        bool,
        typer.Option(
            "--cascade",
            help="The day --from came late or has other raw files: build it and all later days "
            "again.",
        ),
    ] = False,
) -> None:
    """Run the DAG for days, one after the other, in this process."""
    from dayfold.progress import progress_to_terminal
    from dayfold.run import build_history, require_java, run_cascade, run_days
    from dayfold.standing_lines import standing_lines
    from dayfold.workplace import open_workplace
    from feature_store.days import check_range, parse_day, shift

    check_range(first, last)
    if cascade and history_from:
        raise ConfigError(
            "--cascade rebuilds day by day, --history-from in bulk: give one of them. Next, to "
            f"build the history again: `dayfold day reopen {history_from}`, then without --cascade."
        )
    overrides_to_environment(dataset=dataset, raw=raw, lake=lake, launcher=launcher)
    workplace = open_workplace()
    require_java()
    workplace.raw_zone()
    with progress_to_terminal(workplace.home / "logs", "run") as progress:
        progress.note(f"Full log: {progress.log_file}")
        if history_from:
            build_history(
                workplace, parse_day(history_from, "--history-from"), shift(first, -1), progress
            )
        if cascade:
            run_cascade(workplace, first, last, progress)
        else:
            run_days(workplace, first, last, force=force, progress=progress)
        for line in standing_lines(workplace.lake()):
            progress.note(line)
        progress.note("Next: dayfold status; dayfold report; dayfold ui")
