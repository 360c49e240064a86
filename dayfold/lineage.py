"""From a table of a day, or a model version, back to the raw files it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.tree import Tree

from conf.errors import ConfigError, MissingPartition
from dayfold.day import STEPS, writer_of
from dayfold.registered import registered
from dayfold.workplace import Workplace
from feature_store.commits import Commit, commit_of, commits_of_day
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.ledger import closed_days, table_versions
from feature_store.raw_files import fingerprints
from feature_store.tables import (
    CANDIDATE_SCORES,
    CANDIDATES,
    EXAMPLES,
    GATES,
    RAW_FILES,
    STEP_RUNS,
    TABLES,
    Table,
)

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN_HASH = 12


def table_lineage(workplace: Workplace, key: str, ds: str) -> Tree:
    """What the rows of `ds` in table `key` were made of, step by step, down to the raw files.

    Raises:
        ConfigError: there is no such table, or no step writes it.
        MissingPartition: its step did not run for that day.
    """
    table = next((table for table in TABLES if table.key == key), None)
    if table is None or writer_of(table) is None:
        known = [table.key for table in TABLES if writer_of(table)]
        near = next(iter(get_close_matches(key, known, n=1)), EXAMPLES.key)
        raise ConfigError(
            f"There is no table {key!r} that a step writes: expected one of {', '.join(known)}. "
            f"Next: `dayfold lineage {near} --ds {ds}`"
        )
    tree = Tree("", hide_root=True)
    _Walk(workplace, ds).table(tree, table)
    return tree


def model_lineage(workplace: Workplace, version: int) -> Tree:
    """The day that registered model `version`, what it was trained on and tested on.

    Raises:
        MissingPartition: no day registered it.
        RegistryError: the registered model belongs to another lake.
    """
    lake = workplace.lake()
    rows = lake.read(GATES, lake.days(GATES), ["ds", "scorer", "version"]).to_pylist()
    row = next((row for row in rows if row["version"] == version), None)
    if row is None:
        return _unnamed_lineage(workplace, lake, version, rows)
    tree = Tree(f"version {version}: {row['scorer']}, registered on {row['ds']}")
    walk = _Walk(workplace, row["ds"])
    for table in (CANDIDATES, CANDIDATE_SCORES):
        walk.table(tree, table)
    return tree


def _unnamed_lineage(
    workplace: Workplace, lake: Lake, version: int, gates: Sequence[Mapping[str, Any]]
) -> Tree:
    """What the registry says of a version that no day's gates name (any more).

    The day's tables are not walked: they are those of another run.
    """
    versions = {found.version: found for found in registered(workplace)}
    found = versions.get(version)
    if found is None or "ds" not in found.tags:
        known = sorted(versions)
        raise MissingPartition(f"No day registered version {version}: registered are {known}.")
    tags = found.tags
    ds = tags["ds"]
    tree = Tree(
        f"version {version}: {tags.get('scorer', '?')}, registered on {ds}; {_why_gone(lake, ds)}"
    )
    parent = tags.get("parent", "0")
    start = f"from version {parent}" if parent != "0" else "without parent"
    left_out = tags.get("blocked_days", "none")
    without = f" without the blocked {left_out}" if left_out != "none" else ""
    tree.add(f"trained on {tags.get('training_days', 'days unknown')}{without}, {start}")
    for key, number in sorted(found.table_versions.items()):
        tree.add(f"{key} version {number}")
    now = sorted(row["version"] for row in gates if row["ds"] == ds and row["version"])
    for other in now:
        tree.add(f"{ds} names version {other} now. Next: dayfold lineage --model {other}")
    return tree


def _why_gone(lake: Lake, ds: str) -> str:
    """Why no gate of `ds` names a version that the day registered."""
    if "promote" in lake.read(STEP_RUNS, [ds], ["step"]).column("step").to_pylist():
        return "a later run of the day replaced it"
    closed = closed_days(lake).get(ds)
    if closed is not None and closed.state == "waived":
        return "the day was waived since"
    return "the promotion of the day was begun again, or never finished"


class _Walk:
    """One walk through a day; what was shown once is only named again.

    Tables of one step have one origin, which is shown with the first of them.
    """

    def __init__(self, workplace: Workplace, ds: str) -> None:
        self._workplace = workplace
        self._lake: Lake = workplace.lake()
        self._ds = ds
        self._versions = table_versions(self._lake, ds)
        closed = closed_days(self._lake).get(ds)
        self._named = closed.table_versions if closed else {}
        self._seen: set[str] = set()

    def table(self, parent: Tree, table: Table) -> None:
        """Add `table` of the day, and what it was made of, to `parent`."""
        step = writer_of(table)
        assert step is not None  # noqa: S101
        name = f"{table.key} ds={self._ds}"
        if table.key in self._seen:
            parent.add(f"{name} (above)")
            return
        self._seen.add(table.key)
        if table.key not in self._versions:
            if parent.children or not parent.hide_root:
                parent.add(f"{name}: nothing written")
                return
            raise MissingPartition(
                f"{name}: step {step.name} did not run for that day. Next: dayfold status"
            )
        version = self._versions[table.key]
        origin = self._origin(table, version)
        node = parent.add(f"[bold]{name}[/bold] version {version}, by {step.name} {origin}")
        if step.name in self._seen:
            return
        self._seen.add(step.name)
        for read in step.reads:
            self.table(node, read)
        if step.before:
            earlier = ", ".join(table.key for table in step.before)
            node.add(f"days up to {shift(self._ds, -1)} of {earlier}")
        if step.reads_raw:
            self._raw(node)

    def _origin(self, table: Table, version: int) -> str:
        """Code and configuration of the step that wrote the day, and what rewrote it since.

        The day's own commit need not be the one of `version`: other days are written meanwhile.
        """
        writers = {step.name for step in STEPS if table in step.writes}
        rewrites: list[str] = []
        for commit in commits_of_day(self._lake, table, self._ds, self._readers_version(table)):
            if commit.by not in writers:
                rewrites.append(f"; rewritten by {commit.by} (version {commit.version})")
            elif commit.version <= version:
                return _code_of(commit) + "".join(rewrites)
        # A day without rows in the midst of a bulk build: its commit names the last day only.
        made = commit_of(self._lake, table, version)
        if made is not None and made.by in writers:
            return _code_of(made) + "".join(rewrites)
        return f"(code and configuration: its commit is not in the log){''.join(rewrites)}"

    def _readers_version(self, table: Table) -> int:
        """What the ledger names: later than what the step wrote if a user was forgotten since."""
        return max(self._named.get(table.key, 0), self._versions[table.key])

    def _raw(self, parent: Tree) -> None:
        """The files that were read, and whether they are still what they were."""
        now = _by_file(fingerprints(self._workplace.raw_zone(), self._ds))
        read = _by_file(self._lake.read(RAW_FILES, [self._ds]))
        for stream, file in sorted(read.keys() | now.keys()):
            before, after = read.get((stream, file)), now.get((stream, file))
            row = before or after
            assert row is not None  # noqa: S101
            state = (
                "; NEW since the day was read"
                if before is None
                else "; GONE since the day was read"
                if after is None
                else "; CHANGED since the day was read"
                if before["sha256"] != after["sha256"]
                else ""
            )
            path = f"{stream}/ds={self._ds}/{file}"
            about = f"{row['bytes']:,} bytes, sha256 {row['sha256'][:_SHOWN_HASH]}"
            parent.add(escape(f"{path} {about}{state}"))


def _code_of(commit: Commit) -> str:
    code, configuration = (commit.about.get(name, "?") for name in ("code_version", "config_hash"))
    return f"(code {code}, configuration {configuration})"


def _by_file(rows: pa.Table) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["stream"], row["file"]): row for row in rows.to_pylist()}
