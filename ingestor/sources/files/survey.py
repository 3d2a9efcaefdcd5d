"""The survey: the first pass over a file decides how all its rows are read."""

import itertools
import re
from collections.abc import Iterator

import msgspec

from db.notes import Note
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.files.columns import (
    SYMBOL_OR_NAME,
    Columns,
    check_price_column,
    columns_of,
    header_key,
    is_coin_date,
    missing_columns_error,
)
from ingestor.sources.files.conflicts import Conflicts
from ingestor.sources.files.layout import ReadingRules
from ingestor.sources.files.mapping import Mapping
from ingestor.sources.files.symbols import coin_of_file, is_dollar, is_quote
from ingestor.sources.files.table_evidence import TableEvidence
from ingestor.sources.files.tables.table import Row, Table
from ingestor.sources.records import RecordError
from ingestor.sources.times import parse_time

__all__ = ["FileSurvey", "survey"]

CHUNK_ROWS = 1_000
SAMPLE_ROWS = 200
"""The rows that decide the role of a column if its header does not."""
_TICKER = re.compile(r"[A-Z0-9$@.\-/_:]{1,20}")


class FileSurvey(msgspec.Struct):
    """The result of the survey: the reading rules, columns, notes and number of rows."""

    reading: ReadingRules
    columns: Columns
    notes: list[Note]
    conflicts: Conflicts
    rows: int


def survey(table: Table, mapping: Mapping, file_name: str, size: int | None = None) -> FileSurvey:
    """Read a table once and decide how its rows are read; `size` is its bytes, if known.

    Raises SourceError if the table has no prices in US dollars.
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
    evidence = TableEvidence(table.headers, columns, first, size)
    rows = 0
    for chunk in _chunks(table):
        rows += len(chunk)
        evidence.add([row.cells for row in chunk if row.error is None])
    table.seek(start)
    rules, further_notes = evidence.decide(mapping, table, symbol, name)
    return FileSurvey(
        reading=rules,
        columns=evidence.columns,
        notes=notes + further_notes,
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
    check_price_column(headers, columns)
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
            raise missing_columns_error(
                headers,
                columns,
                "; a file of one coin may be named after it (BTC-USD.csv), or csv.toml says its "
                "symbol",
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
    columns = _drop_other_currency(columns, sample)
    if columns.time is None and "time" not in mapping.columns:
        columns = msgspec.structs.replace(
            columns, time=_time_by_cells(headers, columns, sample, mapping)
        )
    return columns, symbol, name, notes


def _drop_other_currency(columns: Columns, sample: dict[str, tuple[str, ...]]) -> Columns:
    """Remove the currency column if it has another role, or cells that are not currencies."""
    if columns.currency and (
        columns.currency in (columns.symbol, columns.name)
        or not all(is_quote(cell) for cell in sample.get(columns.currency, ()) if cell.strip())
    ):
        return msgspec.structs.replace(columns, currency=None)
    return columns


def _symbol_by_cells(
    headers: tuple[str, ...], columns: Columns, sample: dict[str, tuple[str, ...]]
) -> Columns:
    """Use an ambiguous column as the symbol if its cells look like tickers."""
    for header in headers:
        cells = [cell.strip() for cell in sample.get(header, ()) if cell.strip()]
        if header_key(header) in SYMBOL_OR_NAME and cells and all(map(_TICKER.fullmatch, cells)):
            name = None if columns.name == header else columns.name
            return msgspec.structs.replace(columns, symbol=header, name=name)
    return columns


def _time_by_cells(
    headers: tuple[str, ...], columns: Columns, sample: dict[str, tuple[str, ...]], mapping: Mapping
) -> str | None:
    """Return the first column without a role whose cells are all times, None without one."""
    taken = set(msgspec.structs.astuple(columns))
    for header in headers:
        cells = [cell for cell in sample.get(header, ()) if cell.strip()]
        if header in taken or not cells or is_coin_date(header):
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
