"""The report on how a file is read, for `kasparro check` and the dashboard."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from common.display import printable
from db.notes import Note
from db.source_files import FileColumn, FileForm, FileReport, FirstListing
from ingestor.sources.files.columns import Columns
from ingestor.sources.files.layout import Layout
from ingestor.sources.files.numbers import Mark
from ingestor.sources.files.tables.table import Table
from ingestor.sources.records import Listing

__all__ = ["FIRST_ROWS", "first_listing", "report_of"]

FIRST_ROWS = 5
"""The number of rows that a report shows as listings."""
MAX_HEADERS = 50
MAX_HEADER = 100
MONEY = ("price", "market_cap", "volume")
SUPPLIES = ("circulating_supply", "total_supply", "max_supply")
_OTHERS = {
    "currency": "must be US dollars",
    "id": "the same in all rows of a coin",
    "address": "contract of the coin",
    "chain": "chain of the contract",
}
_MARKS = {
    Mark.POINT: "decimal point",
    Mark.COMMA: "decimal comma",
    Mark.MIXED: "decimal point or comma, cell by cell",
}


def report_of(
    name: str,
    table: Table,
    layout: Layout,
    *,
    rows: int,
    first: Iterable[Listing] = (),
    notes: Iterable[Note] = (),
) -> FileReport:
    """Return the report on a file with `rows` rows; `first` are its first listings."""
    read = set(msgspec.structs.astuple(layout.columns))
    unread = [header for header in table.headers if header.strip() and header not in read]
    return FileReport(
        name=name,
        form=_form(table),
        columns=tuple(_columns(layout)),
        unread=tuple(safe_text(header)[:MAX_HEADER] for header in unread[:MAX_HEADERS]),
        unread_count=len(unread),
        rows=rows,
        first=tuple(map(first_listing, first)),
        notes=tuple(
            msgspec.structs.replace(note, about=safe_text(note.about), text=safe_text(note.text))
            for note in notes
        ),
    )


def first_listing(listing: Listing) -> FirstListing:
    """Return the part of a listing that a report shows."""
    change = listing.percent_change_24h
    return FirstListing(
        external_id=listing.external_id,
        ticker=listing.ticker,
        name=listing.name,
        rank=listing.rank,
        price_usd=_plain(listing.price_usd),
        market_cap_usd=_plain(listing.market_cap_usd),
        volume_24h_usd=_plain(listing.volume_24h_usd),
        percent_change_24h=None if change is None else float(change),
        circulating_supply=_plain(listing.circulating_supply),
        total_supply=_plain(listing.total_supply),
        max_supply=_plain(listing.max_supply),
        observed_at=listing.observed_at,
        has_own_time=listing.has_own_time,
    )


def safe_text(text: str) -> str:
    """Return text that is safe to print to a terminal and to store in PostgreSQL."""
    return printable(text).encode("utf-8", "backslashreplace").decode()


def _plain(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")


def _form(table: Table) -> FileForm:
    form = table.form
    encoding = None if form.kind == "parquet" else form.encoding.upper() or "UTF-8"
    return FileForm(
        kind=form.kind,
        packed=form.packed,
        encoding=encoding,
        delimiter=form.delimiter,
        header_line=form.header_line,
    )


def _columns(layout: Layout) -> Iterable[FileColumn]:
    """Yield the columns in the order of the roles; the header is None for the whole file."""
    reading = layout.reading
    for role in Columns.__struct_fields__:
        header = getattr(layout.columns, role)
        if role == "symbol" and reading.symbol is not None:
            yield FileColumn(role, None, f"all rows are of {safe_text(reading.symbol)}")
        elif role == "name" and header is None and reading.name is not None:
            yield FileColumn(role, None, f"all rows are of {safe_text(reading.name)}")
        elif header is not None:
            yield FileColumn(role, safe_text(header)[:MAX_HEADER], _how(role, layout))


def _how(role: str, layout: Layout) -> str:
    """Return the unit of a column and how its cells are read."""
    if role == "time":
        return _how_time(layout)
    if role == "symbol":
        return "pairs: the coin before the quote" if layout.reading.pairs else ""
    if role == "change":
        unit = "fractions: 0.03 is 3 %" if layout.fraction else "per cent"
    elif role in MONEY:
        unit = "US dollars"
    elif role in SUPPLIES:
        unit = "coins"
    else:
        return _OTHERS.get(role, "")
    return f"{unit}, {_MARKS[layout.marks.get(role, Mark.POINT)]}"


def _how_time(layout: Layout) -> str:
    zone = layout.reading.time_zone or "UTC"
    order = {True: ", day before month", False: ", month before day", None: ""}[
        layout.reading.day_first
    ]
    return f"{zone} where a time names no zone{order}"
