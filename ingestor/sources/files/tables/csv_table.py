"""A CSV file as a table; it detects the delimiter and the header."""

import re
from pathlib import Path

import msgspec

from db.notes import Note
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.files.columns import Columns, columns_of, unique_headers
from ingestor.sources.files.mapping import Mapping
from ingestor.sources.files.rows import RowReader
from ingestor.sources.files.tables.streams import PACKED_ERRORS, FileStream, translate_error
from ingestor.sources.files.tables.table import Form, Row

DELIMITERS = (",", ";", "\t", "|")
MAX_PREAMBLE = 30
"""The number of lines in which a header is searched."""
KLINES = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "trades",
    "taker_base_volume",
    "taker_quote_volume",
    "ignore",
)
"""The columns of Binance's candle files, which have no header (data.binance.vision)."""
_SEP = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=(.)"?[\r\n]*', re.IGNORECASE)


class _Header(msgspec.Struct, frozen=True):
    """A possible header: its delimiter, the lines before it, its end offset, and its score."""

    headers: tuple[str, ...]
    delimiter: str
    offset: int
    score: int = 0
    lines_before: int = 0
    rejected: tuple[Row, ...] = ()
    rejected_offsets: tuple[int, ...] = ()
    starts_at: int | None = None
    """The offset of the header; None if the file has no header."""


class CsvTable:
    """A CSV file; it detects the delimiter and the header, and skips the lines before it."""

    def __init__(self, path: Path, stream: FileStream, mapping: Mapping) -> None:
        self._rows = RowReader(path, stream)
        self._stream = stream
        self._path = path
        header = self._find_header(mapping)
        self._rows.delimiter = header.delimiter
        self.headers = header.headers
        self.rejected = list(header.rejected)
        self.rejected_lines = [self._line(offset) for offset in header.rejected_offsets]
        self._rows.width = len(header.headers)
        self._rows.min_width = len(_without_blank_end(header.headers))
        notes: tuple[Note, ...] = ()
        if header.lines_before:
            text = f"Lines before the header that are not read: {header.lines_before}"
            notes = (Note("lines before the header", text, header.lines_before),)
        line = None if header.starts_at is None else self._line(header.starts_at)
        self.form = Form("csv", delimiter=header.delimiter, notes=notes, header_line=line)
        self._rows.seek(header.offset)

    @property
    def offset(self) -> int:
        """The offset of the next row in the decompressed file, in bytes."""
        return self._rows.offset

    def seek(self, offset: int) -> None:
        """Continue at an offset that `offset` returned before."""
        self._rows.seek(offset)

    def read(self) -> Row | None:
        """Return the next row that is not blank."""
        return self._rows.read()

    def close(self) -> None:
        """Close the file."""
        self._rows.close()

    def _line(self, offset: int) -> int:
        """Return the line number at an offset near the beginning."""
        try:
            self._stream.file.seek(0)
            return 1 + self._stream.file.read(offset).count(b"\n")
        except PACKED_ERRORS as error:
            raise translate_error(self._path, error) from None

    def _find_header(self, mapping: Mapping) -> _Header:
        delimiters, start = self._delimiters(mapping)
        if mapping.header is not None:
            return _Header(mapping.header, delimiters[0], start)
        found = [
            header
            for delimiter in delimiters
            if (header := self._header(delimiter, start, mapping))
        ]
        if not found:
            raise SourceMalformedError(
                f"{self._path} has no header; wanted are at least the columns symbol and price"
            )
        return max(found, key=lambda header: header.score)

    def _delimiters(self, mapping: Mapping) -> tuple[tuple[str, ...], int]:
        """Return the delimiters to try, and the offset after Excel's `sep=;` line, if any."""
        self._rows.delimiter = "\x1f"
        self._rows.seek(0)
        first = self._rows.read()
        match = _SEP.fullmatch(first.raw) if first else None
        stated = match[1].decode("latin-1") if match else None
        offset = self._rows.offset if match else 0
        if mapping.delimiter or stated:
            return (mapping.delimiter or stated or ",",), offset
        return DELIMITERS, 0

    def _header(self, delimiter: str, start: int, mapping: Mapping) -> _Header | None:
        """Return the first row that is a header, or else the first row without an error."""
        self._rows.delimiter = delimiter
        self._rows.seek(start)
        fallback: _Header | None = None
        rejected: list[Row] = []
        rejected_offsets: list[int] = []
        for number in range(MAX_PREAMBLE):
            offset = self._rows.offset
            row = self._rows.read()
            if row is None:
                break
            if row.error is not None:
                rejected.append(row)
                rejected_offsets.append(self._rows.offset - len(row.raw))
                continue
            headers = unique_headers(row.cells)
            header = _Header(
                headers,
                delimiter,
                self._rows.offset,
                lines_before=number - len(rejected),
                rejected=tuple(rejected),
                rejected_offsets=tuple(rejected_offsets),
                starts_at=self._rows.offset - len(row.raw),
            )
            if (score := _score(headers, mapping)) > 1:
                return msgspec.structs.replace(header, score=score * 100 - number)
            if _is_kline(row.cells):
                return msgspec.structs.replace(
                    header,
                    headers=KLINES[: len(row.cells)],
                    offset=offset,
                    starts_at=None,
                    score=300,
                )
            # Without a better one, the error message names the columns of the widest row.
            fallback = fallback or msgspec.structs.replace(
                header, score=min(len(headers), 50) - number
            )
        return fallback


def _score(headers: tuple[str, ...], mapping: Mapping) -> int:
    """Return how many roles a header names, 0 if it names no price and no symbol."""
    columns = columns_of(headers)
    given = {role for role, header in mapping.columns.items() if header in headers}
    roles = {role for role in Columns.__struct_fields__ if getattr(columns, role)} | given
    return len(roles) if roles & {"price", "symbol"} else 0


def _is_kline(cells: list[str]) -> bool:
    """Return whether cells are a Binance candle: 11 or 12 numbers, two of them times."""
    if len(cells) not in (11, 12):
        return False
    numbers = [cell.strip() for cell in cells]
    times = [numbers[0], numbers[6]]
    return all(re.fullmatch(r"\d{13}|\d{16}", time) for time in times) and all(
        re.fullmatch(r"\d+(\.\d+)?", number) for number in numbers
    )


def _without_blank_end(headers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the headers without the empty ones that trailing delimiters cause."""
    end = len(headers)
    while end and (not headers[end - 1].strip() or re.fullmatch(r" \(\d+\)", headers[end - 1])):
        end -= 1
    return headers[:end]
