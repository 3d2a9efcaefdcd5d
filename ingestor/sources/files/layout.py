"""The rules by which a file's rows are read, stored in every payload for later rebuilds."""

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

__all__ = ["BESIDE", "OBSERVED_AT", "READ", "Layout", "ReadingRules", "layout_of"]

READ = f"{MARK}read"
"""The key of a payload with its file's ReadingRules, if they differ from those of its headers."""
BESIDE = f"{MARK}beside"
"""The key of a payload that another row of the file repeats or contradicts."""


class ReadingRules(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a file's survey, its name or `csv.toml` say beyond its headers."""

    columns: dict[str, str | None] = {}
    """By role the header that is read; None where the headers alone would lead to a wrong one."""
    marks: dict[str, Literal[",", "?"]] = {}
    """By role the decimal mark of a column if it is not the point; `?` if it has both."""
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
    """The columns of a table and how cells are read; errors of `cell` end with the cell's path."""

    columns: Columns
    marks: dict[str, Mark]
    fraction: bool
    reading: ReadingRules
    zone: datetime.tzinfo
    paths: dict[str, str]
    """By role the path of its column's cells: `$.` and the header, only for roles with a column."""
    plain: dict[str, str]
    """By role the header of a number column that `plain_number` reads for most cells."""

    def symbol(self, row: dict[str, str]) -> str:
        """Return the symbol as its source wrote it, out of its pair where it stands in one.

        Raises RecordError.
        """
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
        """Return the name without invisible edges, None where there is none. Raises RecordError."""
        if self.columns.name:
            return normalize_name(row[self.columns.name], f"$.{self.columns.name}")
        return self.reading.name

    def check_currency(self, row: dict[str, str]) -> None:
        """Raise RecordError where the row says that its price is not in US dollars."""
        header = self.columns.currency
        if header and (currency := row[header].strip()) and not is_dollar(currency):
            raise RecordError(
                f"The price is in {currency[:40]}, not in US dollars - at `$.{header}`"
            )

    def time(self, row: dict[str, str]) -> datetime.datetime | None:
        """Return when the row says that it was observed, None where it does not say.

        Raises RecordError.
        """
        header = self.columns.time
        if header is None or not row[header].strip():
            return None
        return parse_time(
            row[header], f"$.{header}", day_first=self.reading.day_first, zone=self.zone
        )

    def price(self, row: dict[str, str]) -> Decimal | None:
        """Return the price. Raises RecordError: a price that cannot be read costs the row."""
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

    def side(self, row: dict[str, str], role: str, notes: list[Note]) -> Decimal | None:
        """Return another figure; what cannot be read is missing, with a note."""
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
        # A row of another file of the same layout has every header, but a payload may have lost its
        # empty cells.
        text = row.get(path[2:], "").strip()
        return read_cell(text, self.marks.get(role, Mark.POINT), path) if text else (None, False)


@functools.lru_cache(maxsize=256)
def layout_of(headers: tuple[str, ...], reading: str = "") -> Layout:
    """Return the layout of a row with these keys; `reading` is its ReadingRules as JSON, or "".

    Raises RecordError where the payload's keys hold no price and no symbol.
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
