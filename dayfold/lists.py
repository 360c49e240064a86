"""One user's published list, for people: titles, scores, where each entry came from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table as RichTable

from conf.errors import MissingPartition
from conf.pseudonym import fingerprint, load_key, pseudonym
from dayfold.workplace import Workplace
from feature_store.identity import require_key
from feature_store.lake import Lake
from feature_store.ledger import closed_days
from feature_store.tables import EVERYBODY, ITEMS, RECOMMENDATIONS


@dataclass(frozen=True)
class PublishedList:
    """A list as published: `entries` are RECOMMENDATIONS rows with a `title`."""

    user: str
    ds: str
    own: bool
    entries: list[dict[str, Any]]


def published_list(workplace: Workplace, user: str, ds: str | None = None) -> PublishedList:
    """The list of `user` (an id of the raw log) on `ds`, by default on the last published day.

    A user without an own list gets the list for everybody.

    Raises:
        MissingPartition: there are no lists (of that day).
        ConfigError: there is no key, or another one than the lake's.
    """
    lake = workplace.lake()
    closed = closed_days(lake)
    days = [day for day in lake.days(RECOMMENDATIONS) if day in closed]
    wanted = ds or (days[-1] if days else None)
    if wanted is None or wanted not in days:
        raise MissingPartition(
            f"There are no lists {'of ' + wanted if wanted else 'yet'} in {lake.root}; the last "
            f"days with published lists: {', '.join(days[-3:]) or 'none'}. "
            f"Next: dayfold status --dataset {workplace.dataset.name}"
        )
    key = load_key(workplace.settings.path(workplace.settings.key_file))
    require_key(lake.root, workplace.dataset.name, fingerprint(key), bind=False)
    rows = lake.read(RECOMMENDATIONS, [wanted]).to_pylist()
    mine = pseudonym(key, user)
    entries = [row for row in rows if row["user_id"] == mine]
    own = bool(entries)
    if not own:
        entries = [row for row in rows if row["user_id"] == EVERYBODY]
    titles = titles_on(lake, wanted, {row["item_id"] for row in entries})
    for row in entries:
        row["title"] = titles.get(row["item_id"]) or "(no title)"
    return PublishedList(user, wanted, own, sorted(entries, key=lambda row: row["rank"]))


def list_table(found: PublishedList) -> RichTable:
    """The list as a table."""
    whose = (
        f"{found.user}" if found.own else f"{found.user} (not seen lately: the list for everybody)"
    )
    title = escape(f"List of {whose}, published {found.ds}")
    table = RichTable(title=title, title_justify="left")
    for heading in ("rank", "item", "title", "score", "source", "version", "because"):
        table.add_column(heading, justify="right" if heading in {"rank", "score"} else "left")
    for row in found.entries:
        score = "-" if row["score"] != row["score"] else f"{row['score']:.3f}"
        table.add_row(
            str(row["rank"]),
            escape(row["item_id"]),
            escape(row["title"]),
            score,
            row["source"],
            f"v{row['model_version']}" if row["source"] == "model" else "-",
            escape(row["reason"].removeprefix("because ")),
        )
    return table


def titles_on(lake: Lake, ds: str, items: Collection[str]) -> dict[str, str | None]:
    """The titles of `items` as known on `ds`; those without a row by then left out.

    Days are read backwards, twice as many each time, until all are found: where the whole catalogue
    is delivered again and again, its history is not read.
    """
    import pyarrow.compute as pc

    days = [day for day in lake.days(ITEMS) if day <= ds]
    titles: dict[str, str | None] = {}
    at_once = 1
    while days and (missing := set(items) - titles.keys()):
        latest, days = days[-at_once:], days[:-at_once]
        wanted = pc.field("item_id").isin(sorted(missing))
        rows = lake.read(ITEMS, latest, ["ds", "item_id", "title"], where=wanted).to_pylist()
        rows.sort(key=lambda row: row["ds"])
        titles |= {row["item_id"]: row["title"] for row in rows}
        at_once *= 2
    return titles
