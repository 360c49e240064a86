"""`dayfold pool`: several versions side by side; `dayfold serve`: answer over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conf.errors import ConfigError, MissingPartition
from conf.settings import overrides_to_environment
from dayfold.options import Dataset
from dayfold.workplace import Workplace, open_workplace

if TYPE_CHECKING:
    from training.measures.arms import Arm
    from training.registry.pool import Pool
    from training.registry.registry import Registry

_IN_A_PIPE = 160
"""Columns where nobody sees the edge of the screen."""

pool = typer.Typer(
    help="Let several versions serve side by side, each with its share of the requests.",
    no_args_is_help=True,
)


@pool.command("show")
def show(dataset: Dataset = None) -> None:
    """What serves now, and with which share."""
    workplace, registry, champion = _place(dataset)
    _show(workplace, registry, champion)


@pool.command("set")
def set_(
    shares: Annotated[
        list[str], typer.Argument(metavar="VERSION=WEIGHT...", help="Such as 7=0.9 8=0.1.")
    ],
    pick: Annotated[
        str, typer.Option(help="sticky: a user keeps a version; random: drawn for each request.")
    ] = "sticky",
    dataset: Dataset = None,
) -> None:
    """Give versions their shares, in one write; services that watch the release follow at once."""
    from dayfold.standing_lines import waits_with_a_share
    from training.registry.pool import set_pool

    workplace, registry, champion = _place(dataset)
    with _changing(workplace):
        given = _shares(shares)
        set_pool(registry, given, pick, _blocked(workplace))
        _release(workplace, registry, champion)
    for line in waits_with_a_share(workplace.existing_lake(), given):
        typer.echo(f"warning: {line}")


@pool.command("clear")
def clear(dataset: Dataset = None) -> None:
    """Let the champion serve alone."""
    from training.registry.pool import clear_pool

    workplace, registry, champion = _place(dataset)
    with _changing(workplace):
        clear_pool(registry)
        _release(workplace, registry, champion)


@pool.command("report")
def report(
    last: Annotated[int, typer.Option(min=1, help="Over this many last days.")] = 14,
    log: Annotated[
        Path | None, typer.Option(help="A server's log; else the published lists.")
    ] = None,
    dataset: Dataset = None,
) -> None:
    """Tell versions apart: what users took of what each of them showed, with intervals."""
    import sys

    from rich.console import Console
    from rich.table import Table

    from dayfold.arms import HEADINGS, arm_cells

    overrides_to_environment(dataset=dataset)
    workplace = open_workplace()
    arms, warnings = _arms(workplace, last, log)
    console = Console(
        emoji=False, highlight=False, width=None if sys.stdout.isatty() else _IN_A_PIPE
    )
    for warning in warnings:
        console.print(f"warning: {warning}", markup=False)
    if not arms:
        console.print(_nothing_to_compare(workplace, log, dataset), markup=False)
        return
    table = Table(title="What users took of what they were shown", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "version" else "right")
    for cells in arm_cells(arms):
        table.add_row(*cells)
    console.print(table)
    console.print(
        "difference: to the version without one; an interval that holds 0 shows none (Welch, users)"
    )


def serve(
    dataset: Dataset = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 = any free one.")] = 8090,
    log: Annotated[
        Path | None, typer.Option(help="File that gets a JSON line per answer, with pseudonyms.")
    ] = None,
) -> None:
    """Answer requests over HTTP with what serves now; a new release is taken in while it serves.

    Requests give raw user ids; their key is DAYFOLD_KEY, else the file `key_file` of the settings.
    """
    from training.light.__main__ import main

    overrides_to_environment(dataset=dataset)
    workplace = open_workplace()
    settings = workplace.settings
    folder = settings.path(settings.serving.release)
    if not (folder / "release.json").exists():
        raise MissingPartition(
            f"There is no release in {folder}: expected one from the day that promoted a champion. "
            f"Next: dayfold status --dataset {workplace.dataset.name}"
        )
    arguments = [str(folder), "--host", host, "--port", str(port)]
    arguments += ["--log", str(log)] if log else []
    raise typer.Exit(main(arguments, _key(workplace)))


def _key(workplace: Workplace) -> bytes:
    """The key of the user ids: with another one than the lake's, every user would be a new one."""
    from conf.pseudonym import fingerprint, load_key
    from feature_store.identity import known_identity, require_key

    settings, name = workplace.settings, workplace.dataset.name
    key = load_key(settings.path(settings.key_file))
    root = settings.path(settings.lake)
    if known_identity(root, name) is not None:  # a release serves without its lake, too
        require_key(root, name, fingerprint(key), bind=False)
    return key


def _place(dataset: str | None) -> tuple[Workplace, Registry, int]:
    """The workplace, its registry, and the champion after the last published day."""
    from feature_store.champion import standing_after
    from feature_store.ledger import closed_days
    from training.registry.registry import Registry

    overrides_to_environment(dataset=dataset)
    workplace = open_workplace()
    lake = workplace.existing_lake()
    closed = sorted(closed_days(lake))
    standing = standing_after(lake, closed[-1]) if closed else None
    if standing is None:
        raise MissingPartition(
            f"{workplace.dataset.name} has no champion yet. "
            f"Next: dayfold status --dataset {workplace.dataset.name}"
        )
    return workplace, Registry(workplace.settings, lake.id), standing.version


def _arms(workplace: Workplace, last: int, log: Path | None) -> tuple[list[Arm], list[str]]:
    """The arms of the lists, or of a log; and what there is to warn of."""
    from dayfold.arms import arms_of_answers, arms_of_days
    from training.registry.registry import Registry

    lake = workplace.existing_lake()
    if log is None:
        return arms_of_days(lake, last), []
    return arms_of_answers(lake, Registry(workplace.settings, lake.id), last, log)


def _nothing_to_compare(workplace: Workplace, log: Path | None, dataset: str | None) -> str:
    """Why there are no arms, and what to do."""
    from training.registry.pool import Pool, pool_of

    found = Pool({})
    with suppress(MissingPartition):  # no champion, no pool
        _, registry, champion = _place(dataset)
        found = pool_of(registry, champion, _blocked(workplace))
    if log is not None and len(found.weights) <= 1:
        return f"No two versions gave answers in {log} on published days. Next: the same, later"
    if len(found.weights) <= 1:
        return (
            "One version showed everything: there is nothing to compare. Next: dayfold pool set "
            "7=0.9 8=0.1, and a day later the same command"
        )
    named = ", ".join(map(str, sorted(found.weights)))
    stands = f"The pool of versions {named} stands, and"
    if log is not None:
        return f"{stands} one version gave all answers in {log} that count. Next: the same, later"
    if found.pick == "random":
        return (
            f"{stands} draws for each request: the lists are the champion's alone. Next: dayfold "
            "pool report --log FILE, with the file of dayfold serve --log FILE"
        )
    return (
        f"{stands} the first day on which users saw its lists is not in yet. Next: the same "
        "command after the next days (dayfold status)"
    )


@contextmanager
def _changing(workplace: Workplace) -> Iterator[None]:
    """Nobody else changes what serves meanwhile, and nothing that was begun waits for its end."""
    from dayfold.by_hand import require_none_unfinished
    from feature_store.locks import changing_what_serves

    lake = workplace.existing_lake()
    with changing_what_serves(lake.root):
        require_none_unfinished(lake)
        yield


def _release(workplace: Workplace, registry: Registry, champion: int) -> None:
    """Write the release of the pool, and show it."""
    from training.registry.pool import pool_of
    from training.registry.release import write_release

    found = pool_of(registry, champion, _blocked(workplace))
    write_release(registry, found, workplace.settings.path(workplace.settings.serving.release))
    _show(workplace, registry, champion)


def _show(workplace: Workplace, registry: Registry, champion: int) -> None:
    """Print the pool, and what is released; nothing is written."""
    from rich.console import Console

    from training.registry.pool import pool_of, without_share
    from training.registry.release import etag_in, name_in_answers, shares_in

    found = pool_of(registry, champion, _blocked(workplace))
    folder = workplace.settings.path(workplace.settings.serving.release)
    etag = etag_in(folder)
    console = Console(emoji=False, highlight=False, soft_wrap=True)
    for version, share in sorted(found.weights.items()):
        scorer = registry.version_tags(version).get("scorer", "")
        mark = ", the champion" if version == champion else ""
        name = name_in_answers(registry, version)
        console.print(
            f"version {version} ({scorer}{mark}; {name} in answers): {share:.1%} of the requests"
        )
    for line in (without_share(found, champion), _otherwise(workplace, found, shares_in(folder))):
        if line:
            console.print(f"warning: {line}")
    released = f"release {etag} in" if etag else "no release yet in"
    console.print(f"picked {found.pick}; {released} {folder}")


def _otherwise(workplace: Workplace, found: Pool, released: Mapping[int, float]) -> str:
    """That the release still serves something else, and the way on; empty where it does not."""
    from dayfold.by_hand import go_on_command
    from feature_store.promotion_ledger import unfinished

    if not released or released == found.weights:
        return ""
    begun = unfinished(workplace.existing_lake())
    anew = found.command() if len(found.weights) > 1 else "dayfold pool clear"
    serves = ", ".join(f"version {one} {share:.1%}" for one, share in sorted(released.items()))
    return f"the release still serves {serves}. Next: {go_on_command(begun) if begun else anew}"


def _blocked(workplace: Workplace) -> frozenset[int]:
    from feature_store.promotion_ledger import blocked_now

    return blocked_now(workplace.existing_lake()).versions


def _shares(given: list[str]) -> dict[int, float]:
    shares: dict[int, float] = {}
    for version, weight in map(_share, given):
        if version in shares:
            raise ConfigError(f"Version {version} is named twice, expected one weight for each.")
        shares[version] = weight
    return shares


def _share(text: str) -> tuple[int, float]:
    version, _, weight = text.removeprefix("v").partition("=")
    try:
        return int(version), float(weight)
    except ValueError as error:
        raise ConfigError(f"{text!r}: expected VERSION=WEIGHT, such as 7=0.9.") from error
