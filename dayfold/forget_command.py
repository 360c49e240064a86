"""`dayfold forget`: a user asks to be forgotten."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from conf.errors import ConfigError
from conf.settings import overrides_to_environment
from dayfold.options import Dataset, LakeRoot

if TYPE_CHECKING:
    from dayfold.forget import Findings
    from dayfold.workplace import Workplace
    from feature_store.tombstones import Tombstone

_PSEUDONYM = re.compile(r"^[0-9a-f]{32}$")
_STDIN = "-"
_DAYS_SHOWN = 10


def forget(
    user: Annotated[
        str | None, typer.Option(help="User id as in the raw log; - reads it from standard input.")
    ] = None,
    pseudonym: Annotated[
        str | None, typer.Option(help="Instead of --user: the user's pseudonym (32 hex digits).")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the tombstone.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dataset: Dataset = None,
    lake: LakeRoot = None,
) -> None:
    """Erase a user from the lake, the online store and the registry's snapshots, for good."""
    from dayfold.forget import forget as erase
    from dayfold.forget import look
    from dayfold.workplace import open_workplace
    from feature_store.tombstones import tombstone_of

    overrides_to_environment(dataset=dataset, lake=lake)
    workplace = open_workplace()
    workplace.existing_lake()
    user_id = _pseudonym_of(workplace, user, pseudonym, reason)
    console = Console(emoji=False, highlight=False)
    found = look(workplace, user_id)
    console.print(_plan_table(user_id, found))
    stone = tombstone_of(workplace.lake(), user_id)
    for line in _beside_the_tables(found, stone):
        console.print(line, markup=False, soft_wrap=True)
    if dry_run:
        console.print("Nothing was changed.")
        return
    if not yes and not _confirmed():
        what = "the same command with --yes"
        if not _known(found):
            what += " drops what of this user may arrive later"
        raise ConfigError(f"Nothing was changed. Next: {what}.")
    done = erase(
        workplace, user_id, reason, lambda line: console.print(line, markup=False, soft_wrap=True)
    )
    for line in _ending(workplace, done):
        console.print(line, markup=False, soft_wrap=True)


def _pseudonym_of(
    workplace: Workplace, user: str | None, pseudonym: str | None, reason: str
) -> str:
    """The pseudonym that is meant. The raw id goes nowhere else, not even into a message."""
    from conf.pseudonym import fingerprint, load_key
    from conf.pseudonym import pseudonym as pseudonym_of
    from feature_store.identity import require_key

    if (user is None) == (pseudonym is None):
        raise ConfigError("Give either --user (an id of the raw log) or --pseudonym.")
    if pseudonym is not None:
        if not _PSEUDONYM.match(pseudonym):
            raise ConfigError("--pseudonym: expected 32 hex digits, lower case.")
        return pseudonym
    raw = sys.stdin.readline().rstrip("\r\n") if user == _STDIN else str(user)
    raw = raw.strip(" ")
    if not raw:
        raise ConfigError("--user is empty: expected an id as in the raw log.")
    if raw in reason:
        raise ConfigError("--reason names the user, and it is kept: say it without the id.")
    key = load_key(workplace.settings.path(workplace.settings.key_file))
    root = workplace.settings.path(workplace.settings.lake)
    require_key(root, workplace.dataset.name, fingerprint(key), bind=False)
    return pseudonym_of(key, raw)


def _confirmed() -> bool:
    return sys.stdin.isatty() and typer.confirm("Erase all of it? It cannot be taken back")


def _plan_table(user_id: str, found: Findings) -> RichTable:
    table = RichTable(title=f"What there is of {user_id}", title_justify="left")
    table.add_column("table")
    for heading in ("rows", "days", "old files"):
        table.add_column(heading, justify="right")
    for traces in found.tables:
        rows, files = sum(traces.rows.values()), len(traces.leftovers)
        table.add_row(traces.table.key, f"{rows:,}", f"{len(traces.rows)}", f"{files}")
    table.add_row("online store", f"{found.online}", "", "")
    return table


def _known(found: Findings) -> bool:
    return bool(found.tables or found.online)


def _beside_the_tables(found: Findings, stone: Tombstone | None) -> list[str]:
    lines = []
    if stone is not None and stone.finished_at is not None:
        left = "what has come since is below" if _known(found) else "nothing is left"
        lines.append(f"Forgotten on {stone.finished_at:%Y-%m-%d %H:%M} UTC: {left}.")
    elif not _known(found):
        lines.append("Nothing is known of this user. Is the id written as in the raw log?")
    if found.model_versions:
        lines.append(f"Model versions trained on this user: {_listed(found.model_versions)}")
    if found.raw_days:
        lines.append(f"Raw files (not touched) of: {_listed(found.raw_days)}")
    return lines


def _ending(workplace: Workplace, done: Tombstone) -> list[str]:
    """What was done, and what is left to others."""
    rows = sum(done.removed.values())
    lines = [f"Done: {rows:,} rows of {len(done.removed)} tables are erased; it is recorded."]
    if done.model_versions:
        versions = _listed(done.model_versions)
        lines.append(
            f"Left: the weights of versions {versions} were trained on this user (tag "
            "forgotten_users); a version that serves does so until the next training."
        )
    if done.raw_days:
        lines.append(
            f"Left: raw files, which Dayfold never changes: {workplace.raw_root}, days "
            f"{_listed(done.raw_days)}. Remove the user there; run again, they are dropped."
        )
    lines.append("Left: backups, copies and log files outside the lake.")
    return lines


def _listed(values: list[int] | list[str] | tuple[int, ...] | tuple[str, ...]) -> str:
    shown = ", ".join(str(value) for value in values[:_DAYS_SHOWN])
    return shown + (f" and {len(values) - _DAYS_SHOWN} more" if len(values) > _DAYS_SHOWN else "")
