"""The command line `dayfold`. Imports engines only inside the command that needs them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conf.errors import DayfoldError
from conf.settings import overrides_to_environment
from dayfold.approval_commands import approve, reject
from dayfold.audit_command import audit
from dayfold.bench_command import bench
from dayfold.compress_command import compress
from dayfold.day_commands import day
from dayfold.drift_commands import drift as drifting
from dayfold.forget_command import forget
from dayfold.help_order import InOrder
from dayfold.hints import complete
from dayfold.import_commands import importing
from dayfold.launch import EXIT_FAILED, EXIT_REFUSED
from dayfold.lineage_command import lineage
from dayfold.mistakes import is_bug, may_pass, message
from dayfold.options import Dataset, Day, First, LakeRoot, Last, Raw
from dayfold.pool_commands import pool, serve
from dayfold.quarantine_commands import quarantine
from dayfold.rollback_commands import history, release, rollback
from dayfold.run_command import run
from dayfold.setup_commands import key, setup
from dayfold.ui_ports import AIRFLOW_PORT, MLFLOW_PORT
from dayfold.upkeep_command import upkeep

app = typer.Typer(
    name="dayfold",
    cls=InOrder,
    help="Fold each day's logs into a recommender: Airflow, Spark, Lightning, MLflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(audit, name="audit")
app.add_typer(day, name="day")
app.add_typer(drifting, name="drift")
app.add_typer(importing, name="import")
app.add_typer(pool, name="pool")
app.add_typer(quarantine, name="quarantine")
app.command()(run)
app.command()(upkeep)
app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],
    }
)(bench)
app.command()(serve)
app.command()(rollback)
app.command()(approve)
app.command()(reject)
app.command()(release)
app.command()(history)
app.command()(lineage)
app.command()(compress)
app.command()(forget)
app.command()(setup)
app.command()(key)


# In a pipe nobody sees the edge of the screen.
console = Console(emoji=False, highlight=False, width=None if sys.stdout.isatty() else 160)


def main() -> None:
    """Run the command line; a user's mistake ends in one message and exit code 2."""
    try:
        app()
    except (DayfoldError, UnicodeError, OSError) as error:
        if is_bug(error):
            raise
        said = complete(message(error, sys.argv[1:]))
        Console(emoji=False, stderr=True, highlight=False, soft_wrap=True).print(
            said, style="red", markup=False
        )
        if "--json" in sys.argv:
            print(json.dumps({"error": said}), flush=True)  # noqa: T201
        sys.exit(EXIT_FAILED if may_pass(error, sys.argv[1:]) else EXIT_REFUSED)


@app.command()
def demo(
    fresh: Annotated[bool, typer.Option(help="Delete the demo's earlier days first.")] = False,
) -> None:
    """Simulate a shop, build its history, run eight days past a planted drift, show the outcome."""
    from dayfold.demo import run_demo

    overrides_to_environment(dataset="simulated", launcher="inline")
    run_demo(fresh=fresh)


@app.command()
def simulate(
    first: First,
    last: Last,
    raw: Annotated[Path, typer.Option(help="Raw zone to write.")],
    users: Annotated[
        int | None, typer.Option(help="Users at the end of the first day [2000].")
    ] = None,
    items: Annotated[
        int | None, typer.Option(help="Items at the end of the first day [600].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same bytes [7].")
    ] = None,
    drift: Annotated[
        list[str] | None,
        typer.Option(help="Planted drift DAY:KIND:SIZE, KIND one of ctr, taste, covariate."),
    ] = None,
) -> None:
    """Write simulated days, dirt included, into a raw zone; go on with the world it holds."""
    from dayfold.simulation import simulate_days

    summary = simulate_days(
        raw, first, last, users=users, items=items, seed=seed, drift=drift or []
    )
    console.print(summary, soft_wrap=True)


@app.command()
def step(
    name: Annotated[
        str, typer.Argument(help="open_day, clean_events, ...: the steps of the README's table.")
    ],
    ds: Day,
    scorer: Annotated[str | None, typer.Option(help="For the steps train and evaluate.")] = None,
    dataset: Dataset = None,
    raw: Raw = None,
    lake: LakeRoot = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with the step's facts as JSON.")
    ] = False,
) -> None:
    """Run one step of one day."""
    from dayfold.day import step_named
    from dayfold.progress import steps_heard
    from dayfold.run import require_java
    from dayfold.step import run_step
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day

    overrides_to_environment(dataset=dataset, raw=raw, lake=lake)
    if step_named(name).engine == "spark":
        require_java()
    workplace = open_workplace(lake)
    with steps_heard(lambda text: typer.echo(text, err=True)):
        result = run_step(workplace, name, [parse_day(ds, "--ds")], scorer)
    line = json.dumps({**result.facts, "summary": result.summary}) if as_json else result.summary
    console.print(line, markup=False, soft_wrap=True)


@app.command()
def status(
    dataset: Dataset = None,
    lake: LakeRoot = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    last: Annotated[int, typer.Option(min=1, help="Show this many last days.")] = 14,
) -> None:
    """Show what each day read, decided, trained, promoted and cost."""
    from dayfold.standing_lines import standing_lines
    from dayfold.status import (
        collect_status,
        decision_line,
        nothing_yet,
        open_line,
        status_table,
        warning_lines,
    )
    from dayfold.workplace import open_workplace

    overrides_to_environment(dataset=dataset, lake=lake)
    opened = open_workplace(lake).lake()
    days = collect_status(opened, last)
    if as_json:
        console.print(json.dumps({"days": days}), markup=False, soft_wrap=True)
    elif not days:
        console.print(nothing_yet(opened), markup=False, soft_wrap=True)
    else:
        console.print(status_table(days, console.width))
        lines = [
            *warning_lines(days),
            *filter(None, [open_line(opened), decision_line(opened, days)]),
        ]
        for line in [*lines, *standing_lines(opened)]:
            console.print(complete(line), markup=False, soft_wrap=True)


@app.command()
def recommend(
    user: Annotated[str, typer.Option(help="User id as in the raw log.")],
    ds: Annotated[str | None, typer.Option("--ds", help="Day of the list [the last one].")] = None,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Show one user's published list, with titles and scores."""
    from dayfold.lists import list_table, published_list
    from dayfold.workplace import open_workplace
    from feature_store.days import parse_day

    overrides_to_environment(dataset=dataset, lake=lake)
    found = published_list(open_workplace(lake), user, parse_day(ds, "--ds") if ds else None)
    console.print(list_table(found))


@app.command()
def report(
    out: Annotated[
        Path | None, typer.Option(help="File to write [.dayfold/report-<dataset>.html].")
    ] = None,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Write an HTML report (metrics, drift, data quality, cost) that opens without network."""
    from dayfold.report import write_report
    from dayfold.workplace import open_workplace

    overrides_to_environment(dataset=dataset, lake=lake)
    workplace = open_workplace(lake)
    path = out or workplace.home / f"report-{workplace.dataset.name}.html"
    write_report(workplace, path)
    console.print(f"Wrote {path}", soft_wrap=True)


@app.command()
def ui(
    mlflow_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of MLflow.")
    ] = MLFLOW_PORT,
    airflow_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of Airflow.")
    ] = AIRFLOW_PORT,
    dataset: Dataset = None,
    raw: Raw = None,
    lake: LakeRoot = None,
) -> None:
    """Start MLflow and Airflow on loopback and print the links; Ctrl-C stops both."""
    from dayfold.ui import serve
    from dayfold.workplace import open_workplace

    overrides_to_environment(dataset=dataset, raw=raw, lake=lake, launcher="subprocess")
    serve(open_workplace(), mlflow_port, airflow_port)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def airflow(context: typer.Context) -> None:
    """Airflow's own command line on this home's database: `dayfold airflow dags list`."""
    from dayfold.airflow_home import run_airflow
    from dayfold.workplace import open_workplace

    raise typer.Exit(run_airflow(open_workplace().home, context.args))
