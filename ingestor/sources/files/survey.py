"""A first look over a whole file: what its columns hold, decided once for all of its rows."""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from db.notes import Note
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.files.columns import (
    PAIRS,
    SYMBOLS_BY_CELLS,
    Columns,
    columns_of,
    header_key,
    is_time_of_life,
    refuse,
    refuse_without_price,
    says_percent,
)
from ingestor.sources.files.conflicts import Conflicts
from ingestor.sources.files.evidence import (
    ChangeEvidence,
    DateEvidence,
    IdEvidence,
    MarkEvidence,
    PairEvidence,
)
from ingestor.sources.files.layout import ReadingRules
from ingestor.sources.files.mapping import Mapping
from ingestor.sources.files.symbols import coin_of_file, is_dollar, is_quote
from ingestor.sources.files.tables.table import Row, Table
from ingestor.sources.records import RecordError
from ingestor.sources.times import parse_time

__all__ = ["FileSurvey", "survey"]

CHUNK_ROWS = 1_000
SAMPLE_ROWS = 200
"""Rows by which a column is told that its header does not name."""
MONEY = ("price", "market_cap", "volume")
NUMBERS = (*MONEY, "circulating_supply", "total_supply", "max_supply", "change")
BARE_VOLUMES = ("volume", "vol", "volume24h", "24hvolume", "vol24h", "24hvol", "totalvolume")
"""Headers of a volume that do not say what they count."""
_TICKER = re.compile(r"[A-Z0-9$@.\-/_:]{1,20}")


_Mark = Literal[",", "?"]
_Cells = Sequence[Sequence[str]]
"""The cells of some rows, column by column."""


class FileSurvey(msgspec.Struct):
    """What a first look found: how rows are read, the columns of that, what to tell, how many rows there are."""

    reading: ReadingRules
    columns: Columns
    notes: list[Note]
    conflicts: Conflicts
    rows: int


def survey(table: Table, mapping: Mapping, file_name: str, size: int | None = None) -> FileSurvey:
    """Read a table once and decide how its rows are read; `size` are its bytes, where these are known.

    Raises SourceError where it holds no prices in dollars.
    """
    start = table.offset
    first = [
        row.cells
        for row in itertools.islice(iter(table.read, None), SAMPLE_ROWS)
        if row.error is None
    ]
    table.seek(start)
    sample = dict(zip(table.headers, zip(*first, strict=True), strict=True)) if first else {}
    columns, symbol, name, notes = _columns(table.headers, mapping, sample, file_name)
    evidence = _Evidence(table.headers, columns, first, size)
    rows = 0
    for chunk in _chunks(table):
        rows += len(chunk)
        evidence.add([row.cells for row in chunk if row.error is None])
    table.seek(start)
    return FileSurvey(
        reading=evidence.reading(mapping, table, symbol, name, notes),
        columns=evidence.columns,
        notes=notes,
        conflicts=evidence.conflicts,
        rows=rows,
    )


def _chunks(table: Table) -> Iterator[list[Row]]:
    rows = iter(table.read, None)
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        yield chunk


def _columns(
    headers: tuple[str, ...], mapping: Mapping, sample: dict[str, tuple[str, ...]], file_name: str
) -> tuple[Columns, str | None, str | None, list[Note]]:
    """Return the columns, and the symbol and name of a file of one coin.

    Raises SourceMalformedError.
    """
    notes: list[Note] = []
    if missing := [
        header for header in mapping.columns.values() if header and header not in headers
    ]:
        raise SourceMalformedError(
            f"csv.toml names the column {missing[0]!r}, which the file does not have"
        )
    columns = columns_of(headers)
    columns = msgspec.structs.replace(
        columns, **{role: header or None for role, header in mapping.columns.items()}
    )
    refuse_without_price(headers, columns)
    if mapping.currency and not is_dollar(mapping.currency):
        raise SourceMalformedError(
            f"csv.toml says that prices are in {mapping.currency}; they are read in US dollars only"
        )
    symbol, name = mapping.symbol, mapping.name
    if columns.symbol is None and symbol is None:
        columns = _symbol_by_cells(headers, columns, sample)
    if columns.symbol is None and symbol is None:
        coin = coin_of_file(file_name)
        if coin is None:
            raise refuse(
                headers,
                columns,
                "; a file of one coin may be named after it (BTC-USD.csv), or csv.toml says its symbol",
            )
        if coin.quote and not is_dollar(coin.quote):
            raise SourceMalformedError(
                f"by its name the file holds prices in {coin.quote}; only US dollars are read"
            )
        symbol, name = coin.symbol, name or coin.name
        notes.append(
            Note(
                "symbol",
                f"No column holds a symbol: by the name of the file all rows are of {symbol}",
            )
        )
    if columns.currency and (
        columns.currency in (columns.symbol, columns.name)
        or not all(is_quote(cell) for cell in sample.get(columns.currency, ()) if cell.strip())
    ):
        columns = msgspec.structs.replace(columns, currency=None)
    if columns.time is None and "time" not in mapping.columns:
        columns = msgspec.structs.replace(
            columns, time=_time_by_cells(headers, columns, sample, mapping)
        )
    return columns, symbol, name, notes


def _symbol_by_cells(
    headers: tuple[str, ...], columns: Columns, sample: dict[str, tuple[str, ...]]
) -> Columns:
    """Take a column for the symbols whose header may mean a name as well, if its cells look like tickers."""
    for header in headers:
        cells = [cell.strip() for cell in sample.get(header, ()) if cell.strip()]
        if header_key(header) in SYMBOLS_BY_CELLS and cells and all(map(_TICKER.fullmatch, cells)):
            name = None if columns.name == header else columns.name
            return msgspec.structs.replace(columns, symbol=header, name=name)
    return columns


def _time_by_cells(
    headers: tuple[str, ...], columns: Columns, sample: dict[str, tuple[str, ...]], mapping: Mapping
) -> str | None:
    """Return the first column that is nothing else and whose cells are all times, None where there is none."""
    taken = set(msgspec.structs.astuple(columns))
    for header in headers:
        cells = [cell for cell in sample.get(header, ()) if cell.strip()]
        if header in taken or not cells or is_time_of_life(header):
            continue
        try:
            for cell in cells:
                # Seconds of this century.
                if cell.strip().isdecimal() and len(cell.strip()) < 10:  # noqa: PLR2004
                    raise RecordError("an amount")  # noqa: TRY301 - as for any other cell
                parse_time(
                    cell, "$", day_first=True if mapping.day_first is None else mapping.day_first
                )
        except RecordError:
            continue
        return header
    return None


class _Evidence:
    """What the cells of all rows show, column by column."""

    def __init__(
        self, headers: tuple[str, ...], columns: Columns, first: list[list[str]], size: int | None
    ) -> None:
        self._headers = headers
        self._place = {header: place for place, header in enumerate(headers)}
        self.columns = columns
        self._ids = IdEvidence()
        by_first = IdEvidence()
        if first:
            self._add_ids(by_first, list(zip(*first, strict=True)))
        told_apart = msgspec.structs.replace(columns, id=None) if by_first.refused() else columns
        self.conflicts = Conflicts(told_apart, self._place, size)
        self._marks = {role: MarkEvidence() for role in NUMBERS if getattr(columns, role)}
        self._dates = DateEvidence()
        self._change = ChangeEvidence()
        self._pairs = PairEvidence(header_key(columns.symbol or "") in PAIRS)
        self._undated = 0

    def add(self, rows: list[list[str]]) -> None:
        """Look at some more rows."""
        if not rows:
            return
        cells = list(zip(*rows, strict=True))
        for role, evidence in self._marks.items():
            evidence.add(self._column(role, cells))
        if self.columns.change:
            self._change.add(self._column("change", cells))
        if self.columns.symbol:
            self._pairs.add(self._column("symbol", cells))
        if self.columns.time:
            times = self._column("time", cells)
            self._dates.add(times)
            self._undated += sum(not time or time.isspace() for time in times)
        self._add_ids(self._ids, cells)
        self.conflicts.add(cells)

    def _column(self, role: str, cells: _Cells) -> Sequence[str]:
        return cells[self._place[getattr(self.columns, role)]]

    def _add_ids(self, ids: IdEvidence, cells: _Cells) -> None:
        if self.columns.id and self.columns.symbol:
            symbols = self._column("symbol", cells)
            names = self._column("name", cells) if self.columns.name else [""] * len(symbols)
            ids.add(self._column("id", cells), list(zip(symbols, names, strict=True)))

    def reading(
        self,
        mapping: Mapping,
        table: Table,
        symbol: str | None,
        name: str | None,
        notes: list[Note],
    ) -> ReadingRules:
        """Return what was decided, and add to `notes` what a reader of the file should know of it."""
        notes += table.form.notes
        if self.columns.id and (reason := self._ids.refused()):
            notes.append(Note("id", f"The column {self.columns.id!r} is not an id: {reason}"))
            self.columns = msgspec.structs.replace(self.columns, id=None)
        if self.columns.time is None:
            notes.append(Note("time", "No column holds a time: rows are dated by the file"))
        elif self._undated:
            notes.append(
                Note(
                    "time", "Rows without a time of their own are dated by the file", self._undated
                )
            )
        unread = [
            header for header in self._headers if header.strip() and header not in self._read()
        ]
        if unread:
            notes.append(Note("columns", f"Columns that are not read: {', '.join(unread)}"))
        default = columns_of(self._headers)
        differing = {
            role: header
            for role, header in msgspec.structs.asdict(self.columns).items()
            if header != getattr(default, role)
        }
        pairs = self._pairs.decided() and symbol is None
        if pairs and any(self._pairs.quotes - {"USD"}):
            quotes = ", ".join(sorted(self._pairs.quotes))
            notes.append(
                Note(
                    "quotes",
                    f"Prices are of pairs in {quotes}; coins that stand for a dollar count as one",
                )
            )
        if (pairs or self.columns.currency) and header_key(
            self.columns.volume or ""
        ) in BARE_VOLUMES:
            text = "The volume of pairs may count coins, and is read as US dollars"
            notes.append(Note(f"$.{self.columns.volume}", f"{text} - at `$.{self.columns.volume}`"))
        return ReadingRules(
            columns=differing,
            marks=self._decided_marks(mapping, table, notes),
            change=self._decided_change(mapping, notes),
            symbol=symbol,
            name=name,
            pairs=pairs,
            time_zone=mapping.time_zone,
            day_first=self._dates.decided() if mapping.day_first is None else mapping.day_first,
        )

    def _read(self) -> set[str | None]:
        return set(msgspec.structs.astuple(self.columns))

    def _decided_marks(self, mapping: Mapping, table: Table, notes: list[Note]) -> dict[str, _Mark]:
        if mapping.decimal is not None:
            return dict.fromkeys(self._marks, ",") if mapping.decimal == "," else {}
        elsewhere = {mark for evidence in self._marks.values() if (mark := evidence.decided())}
        marks: dict[str, _Mark] = {}
        for role, evidence in self._marks.items():
            mark = evidence.decided()
            if mark is None and (evidence.has_commas or evidence.has_points):
                mark = evidence.of_file(elsewhere, table.form.delimiter)
                if mark == "." and not elsewhere:
                    path = f"$.{getattr(self.columns, role)}"
                    what = (
                        "Commas are read as parting thousands"
                        if evidence.has_commas
                        else "Points are read as decimal"
                    )
                    notes.append(Note(path, f"{what}, no cell shows more - at `{path}`"))
            if mark in (",", "?"):
                marks[role] = "," if mark == "," else "?"
        return marks

    def _decided_change(
        self, mapping: Mapping, notes: list[Note]
    ) -> Literal["percent", "fraction"] | None:
        header = self.columns.change
        if header is None:
            return None
        if mapping.change or (says_percent(header)):
            return mapping.change
        decided = self._change.decided()
        if decided is None and self._change.seen:
            notes.append(
                Note(f"$.{header}", f"Per cent or fraction? No cell shows it - at `$.{header}`")
            )
        return decided
