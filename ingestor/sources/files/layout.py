"""The rules for reading a file's rows; each payload stores them for later rebuilds."""

import datetime
import functools
from decimal import Decimal
from typing import Literal

import msgspec

from db.notes import Note
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.files.cached import normalize_name
from ingestor.sources.files.columns import MARK, Columns, columns_of, is_fraction
from ingestor.sources.files.numbers import CurrencyError, Mark, plain_number, read_cell, shift_point
from ingestor.sources.files.symbols import is_dollar, split_joined_pair, split_pair
from ingestor.sources.records import OBSERVED_AT, RecordError
from ingestor.sources.times import parse_time, zone_named

__all__ = ["OBSERVED_AT", "RULES_KEY", "VERDICT_KEY", "Layout", "ReadingRules", "layout_of"]

RULES_KEY = f"{MARK}read"
"""The payload key of the file's ReadingRules, present if the headers alone do not give them."""
VERDICT_KEY = f"{MARK}beside"
"""The payload key of a Verdict, present if the row repeats or contradicts another one."""


class ReadingRules(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Rules that follow from a file's cells, its name or `csv.toml`, not from its headers."""

    columns: dict[str, str | None] = {}
    """The header of each role that the headers alone do not give; None for no column."""
    marks: dict[str, Literal[",", "?"]] = {}
    """The decimal mark of a role's column, if it is not the point; `?` if it has both."""
    change: Literal["percent", "fraction"] | None = None
    symbol: str | None = None
    name: str | None = None
    pairs: bool = False
    """The symbols are pairs such as BTC/USDT."""
    time_zone: str | None = None
    day_first: bool | None = None


_PERCENT = "A per cent sign where money or an amount was wanted"
_READING = msgspec.json.Decoder(ReadingRules)


class Layout(msgspec.Struct, frozen=True):
    """The columns of a table and how their cells are read; errors end with the cell's path."""

    columns: Columns
    marks: dict[str, Mark]
    fraction: bool
    reading: ReadingRules
    zone: datetime.tzinfo
    paths: dict[str, str]
    """The path of each role's cells, `$.` and the header; only for roles with a column."""
    plain: dict[str, str]
    """The header of each role whose cells `plain_number` may read."""

    def symbol(self, row: dict[str, str]) -> str:
        """Return the symbol as the source wrote it, or the base of a pair. Raises RecordError."""
        if self.reading.symbol is not None:
            return self.reading.symbol
        header = self.columns.symbol or ""
        text = row[header]
        if self.reading.pairs and (pair := split_pair(text)):
            if not is_dollar(pair[1]):
                raise RecordError(f"The price is in {pair[1]}, not in US dollars - at `$.{header}`")
            return pair[0]
        quote = row.get(self.columns.currency, "") if self.columns.currency else ""
        return split_joined_pair(text, quote) or text if quote else text

    def name(self, row: dict[str, str]) -> str | None:
        """Return the name without invisible edges, None if it is missing. Raises RecordError."""
        if self.columns.name:
            return normalize_name(row[self.columns.name], f"$.{self.columns.name}")
        return self.reading.name

    def check_currency(self, row: dict[str, str]) -> None:
        """Raise RecordError if the row says that its price is not in US dollars."""
        header = self.columns.currency
        if header and (currency := row[header].strip()) and not is_dollar(currency):
            raise RecordError(
                f"The price is in {currency[:40]}, not in US dollars - at `$.{header}`"
            )

    def time(self, row: dict[str, str]) -> datetime.datetime | None:
        """Return the row's time of observation, None if it has none. Raises RecordError."""
        header = self.columns.time
        if header is None or not row[header].strip():
            return None
        return parse_time(
            row[header], f"$.{header}", day_first=self.reading.day_first, zone=self.zone
        )

    def price(self, row: dict[str, str]) -> Decimal | None:
        """Return the price. Raises RecordError if it cannot be read, which rejects the row."""
        try:
            if (header := self.plain.get("price")) and (
                number := plain_number(row.get(header, ""))
            ) is not None:
                return number
            number, percent = self._number(row, "price")
        except CurrencyError as error:
            raise RecordError(
                f"The price is in {error}, not in US dollars - at `{self.paths['price']}`"
            ) from None
        if percent:
            raise RecordError(f"{_PERCENT} - at `{self.paths['price']}`")
        return number

    def optional_number(self, row: dict[str, str], role: str, notes: list[Note]) -> Decimal | None:
        """Return a number other than the price; add a note and return None if it cannot be read."""
        if (header := self.plain.get(role)) and (
            number := plain_number(row.get(header, ""))
        ) is not None:
            return number
        if role not in self.paths:
            return None
        path = self.paths[role]
        try:
            number, percent = self._number(row, role)
        except CurrencyError as error:
            problem = f"Not in US dollars but in {error} - at `{path}`"
        except RecordError as error:
            problem = str(error)
        else:
            if not percent or role == "change":
                return self._in_percent(number) if role == "change" and not percent else number
            problem = f"{_PERCENT} - at `{path}`"
        notes.append(Note(path, problem))
        return None

    def _in_percent(self, change: Decimal | None) -> Decimal | None:
        return (
            shift_point(change, 2)
            if self.fraction and change is not None and change.is_finite()
            else change
        )

    def path(self, role: str) -> str:
        """Return the header of a role's column."""
        return getattr(self.columns, role) or role

    def _number(self, row: dict[str, str], role: str) -> tuple[Decimal | None, bool]:
        path = self.paths[role]
        # A row of a file has every header, but a stored payload may lack its empty cells.
        text = row.get(path[2:], "").strip()
        return read_cell(text, self.marks.get(role, Mark.POINT), path) if text else (None, False)


@functools.lru_cache(maxsize=256)
def layout_of(headers: tuple[str, ...], reading: str = "") -> Layout:
    """Return the layout of a row with these keys; `reading` is its ReadingRules as JSON, or "".

    Raises RecordError if the keys include no price or no symbol.
    """
    found = _READING.decode(reading) if reading else ReadingRules()
    columns = columns_of(tuple(header for header in headers if not header.startswith(MARK)))
    columns = msgspec.structs.replace(columns, **found.columns)
    if columns.price is None or (columns.symbol is None and found.symbol is None):
        raise RecordError("The row has no column for a price or a symbol - at `$`")
    change = columns.change
    fraction = found.change == "fraction" or (
        found.change is None and change is not None and is_fraction(change)
    )
    marks = {role: Mark(mark) for role, mark in found.marks.items()}
    try:
        zone = zone_named(found.time_zone) if found.time_zone else datetime.UTC
    except ValueError as error:
        raise SourceMalformedError(str(error)) from None
    paths = {
        role: f"$.{header}"
        for role, header in msgspec.structs.asdict(columns).items()
        if header is not None
    }
    plain = {
        role: path.removeprefix("$.")
        for role, path in paths.items()
        if marks.get(role, Mark.POINT) is Mark.POINT and not (role == "change" and fraction)
    }
    return Layout(columns, marks, fraction, found, zone, paths, plain)
