"""Online Retail as a raw zone: purchases and returns of a British shop.

One CSV a day: InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID,
Country; times are London's, and so are the days. The dirt of the source stays visible: rows
without customer, exact duplicates, negative quantities and codes of fees pass as they are, for
`clean_events` to judge. A row's event_id is a hash of it: rows that are equal in every column are
one event, rows that differ in price or description are not.
"""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from conf.errors import ConfigError, SourceError
from feature_store.days import days_between, shift
from pipelines.sources.field_values import number
from pipelines.sources.intake import check_open_range, json_line, open_text
from pipelines.sources.losses import Losses, Place
from pipelines.sources.raw_zone import (
    ImportSummary,
    begin_day,
    is_complete,
    write_day,
)
from pipelines.sources.timestamps import micros, parse_timestamp

_COMMAND = "online-retail"
_ZONE = ZoneInfo("Europe/London")
_DAY_FILE = re.compile(r"^(?P<ds>\d{4}-\d{2}-\d{2})\.csv(\.gz)?$")
_COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
_CANCELLED = "C"
# Not the customer's: a hash without a key could be searched for it. An invoice has one customer.
_IDENTIFYING = tuple(name for name in _COLUMNS if name != "CustomerID")
_EVENT_ID_BYTES = 12


@dataclass(frozen=True)
class _Sale:
    """One mapped row."""

    order: int
    item_id: str
    description: str
    price: float | None
    event: dict[str, object]

    @property
    def is_priced(self) -> bool:
        """Whether its description can be trusted: stock corrections carry notes such as "lost"."""
        return self.event["event_type"] == "purchase" and bool(self.price and self.price > 0)


@dataclass(frozen=True)
class _Known:
    """What an item's last row said."""

    row: dict[str, object]
    from_priced_sale: bool


def import_online_retail(
    source: Path, raw: Path, first: str | None, last: str | None
) -> ImportSummary:
    """What was written: purchases and returns as events, items from the first row that names them.

    An item's title and price are those of its first priced sale; until there was one, those of
    its first row.

    Args:
        source: folder with YYYY-MM-DD.csv (or .csv.gz), or with such a folder `by-day`.
        raw: root of the raw zone.
        first: first day (London), or None for the first file's.
        last: last day (London), or None for the last file's.

    Raises:
        SourceError: there is no such file, or one lacks a column.
        ConfigError: the range is wrong or holds no file.
    """
    check_open_range(first, last)
    folder, files = _day_files(source)
    first, last = first or min(files), last or max(files)
    if first > max(files) or last < min(files):
        raise ConfigError(
            f"Expected a range that meets {min(files)} to {max(files)} (the files in {folder}), "
            f"found {first} to {last}. Choose: --from {min(files)} --to {max(files)}"
        )
    losses = Losses()
    known: dict[str, _Known] = {}
    for ds in (ds for ds in files if ds < first):
        _new_items(_read(folder, ds, Losses()), known)
    opening = [entry.row for entry in known.values()]
    if is_complete(raw, "items", shift(first, -1)):
        opening = []
    events = items = 0
    days = list(days_between(first, last))
    for ds in days:
        sales = _read(folder, ds, losses) if ds in files else []
        rows = [*opening, *_new_items(sales, known)]
        opening = []
        begin_day(raw, ds)
        items += write_day(raw, "items", ds, map(json_line, rows))
        write_day(raw, "profiles", ds, ())
        events += write_day(raw, "events", ds, (json_line(sale.event) for sale in sales))
    return ImportSummary(
        len(days), events, 0, items, dict(losses.dropped), dict(losses.emptied), losses.examples
    )


def _day_files(source: Path) -> tuple[Path, list[str]]:
    folder = source / "by-day" if (source / "by-day").is_dir() else source
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    days = {match["ds"] for name in names if (match := _DAY_FILE.match(name))}
    if not days:
        raise SourceError(
            f"Expected files YYYY-MM-DD.csv or .csv.gz in {folder}, found {sorted(names)[:10]}. "
            f"Name the folder that holds them: dayfold import {_COMMAND} --source DIR --raw DIR"
        )
    return folder, sorted(days)


def _read(folder: Path, ds: str, losses: Losses) -> list[_Sale]:
    """The day's rows in the order of their times."""
    sales: list[_Sale] = []
    with open_text(folder, f"{ds}.csv", "utf-8", _COMMAND) as lines:
        rows = csv.DictReader(lines)
        missing = sorted(set(_COLUMNS) - set(rows.fieldnames or ()))
        if missing:
            raise SourceError(
                f"{folder / ds}.csv: expected the columns {list(_COLUMNS)}, "
                f"found {list(rows.fieldnames or ())}: {missing} missing. "
                "Export the file again with all columns."
            )
        losses.place = Place(Path(lines.name))
        for row in rows:
            losses.place.move(rows.line_num)
            if None in row or None in row.values():
                losses.drop("wrong_number_of_fields")
                continue
            try:
                moment = _moment(row["InvoiceDate"])
            except ValueError:
                losses.drop("invoice_date_not_a_time")
                continue
            sales.append(_sale(row, moment, losses))
    return sorted(sales, key=lambda sale: sale.order)


@lru_cache(maxsize=10_000)
def _moment(invoice_date: str) -> datetime:
    # The rows of an invoice share one time; reading it once halves the import.
    return parse_timestamp(invoice_date, "iso", _ZONE)


def _sale(row: dict[str, str], moment: datetime, losses: Losses) -> _Sale:
    invoice, price = row["InvoiceNo"].strip(), _number(row["UnitPrice"], "unit_price", losses)
    item_id = row["StockCode"].strip()
    identity = "\x1f".join(row[name] for name in _IDENTIFYING).encode()
    event: dict[str, object] = {
        "event_id": hashlib.blake2b(identity, digest_size=_EVENT_ID_BYTES).hexdigest(),
        "event_timestamp": moment.isoformat(),
        "event_type": "return" if invoice.startswith(_CANCELLED) else "purchase",
        "user_id": row["CustomerID"].strip().removesuffix(".0") or None,
        "item_id": item_id or None,
        "value": _number(row["Quantity"], "quantity", losses),
        "price": price,
        "request_id": invoice or None,
        "country": row["Country"].strip() or None,
    }
    return _Sale(micros(moment), item_id, row["Description"].strip(), price, event)


def _number(text: str, what: str, losses: Losses) -> float | None:
    try:
        return number(text)
    except ValueError:
        losses.empty(f"{what}_not_a_number")
        return None


def _new_items(sales: list[_Sale], known: dict[str, _Known]) -> list[dict[str, object]]:
    """The items that these sales make known or name properly; `known` is brought up to date."""
    changed: dict[str, dict[str, object]] = {}
    for sale in sales:
        before = known.get(sale.item_id)
        if not sale.item_id or (before and (before.from_priced_sale or not sale.is_priced)):
            continue
        row: dict[str, object] = {
            "item_id": sale.item_id,
            "updated_at": sale.event["event_timestamp"],
            "title": sale.description or None,
            "price": sale.price if sale.is_priced else None,
        }
        known[sale.item_id] = _Known(row, sale.is_priced)
        changed[sale.item_id] = row
    return list(changed.values())
