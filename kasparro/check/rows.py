"""The rows of one file as the source reads them, one by one, so that each is known by its line."""

import datetime
from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from db.notes import Note, merge_notes
from db.source_files import FileReport
from ingestor.clock import utc_now
from ingestor.run.readable import check_readable
from ingestor.sources.files.paths import CsvFile
from ingestor.sources.files.reading import CsvReading, FileSlice, is_repeated
from ingestor.sources.files.report import FIRST_ROWS, report_of
from ingestor.sources.files.source import ROWS_A_PAGE, CsvFiles, incomplete_note
from ingestor.sources.files.tables.streams import (
    PACKED_ERRORS,
    FileStream,
    open_stream,
    translate_error,
)
from ingestor.sources.files.tables.table import Row
from ingestor.sources.records import Listing, Record, RecordError, Rejection
from kasparro.check.results import RejectedRow

__all__ = ["CheckedRows"]

MAX_REJECTIONS = 20
"""Rejected rows of a file that are shown."""
MAX_NOTES_WAITING = 1_000
MAX_TEXT = 200
COUNTED_BYTES = 1024 * 1024


class CheckedRows:
    """The rows of one open file, read page by page; counts and the first rows are kept."""

    def __init__(self, file: CsvFile, reading: CsvReading) -> None:
        self._file = file
        self._reading = reading
        self._source = CsvFiles(str(file.path))
        self._before = deque(zip(reading.table.rejected_lines, reading.table.rejected, strict=True))
        self._lines = _Lines(file)
        self._first_page: tuple[list[Record], list[Rejection]] | None = ([], [])
        self._notes: list[Note] = []
        self._doubt: Note | None = None
        self._rejected = 0
        self._first: list[Listing] = []
        self.ended = False
        self.tickers: set[str] = set()
        self.rejections: list[RejectedRow] = []

    def read(self) -> list[Listing]:
        """Return the listings of the next page. Raises SourceError."""
        listings: list[Listing] = []
        now = utc_now()
        for _ in range(ROWS_A_PAGE):
            part = self._reading.read_slice(1)
            if self._first_page is not None:
                self._first_page[0].extend(part.records)
                self._first_page[1].extend(part.rejections)
            for rejection in part.rejections:
                self._reject(rejection.error)
            read = list(self._listings(part, now))
            listings += read
            if len(self._first) < FIRST_ROWS and not any(map(is_repeated, part.records)):
                self._first += read
            if part.at_end:
                self.ended = True
                self._doubt = incomplete_note(self._file, part, self._reading.survey.rows, 0)
                break
        self.tickers.update(listing.ticker for listing in listings)
        return listings

    def check_first(self) -> None:
        """Raise SourceMalformedError if no row of the first page can be read."""
        if self._first_page is not None:
            records, rejections = self._first_page
            self._first_page = None
            check_readable(self._source, str(self._file.path), records, rejections, utc_now())

    def close(self) -> None:
        """Close the file where it was opened once more."""
        self._lines.close()

    def report(self) -> FileReport:
        """Return the result for the file."""
        notes = merge_notes(
            [*self._reading.notes, *([self._doubt] if self._doubt else []), *self._notes]
        )
        reading = self._reading
        name = str(self._file.path)
        report = report_of(
            name,
            reading.table,
            reading.layout,
            rows=reading.survey.rows,
            first=self._first,
            notes=notes,
        )
        return msgspec.structs.replace(report, rejected=self._rejected)

    def _listings(self, part: FileSlice, now: datetime.datetime) -> Iterator[Listing]:
        for record in part.records:
            try:
                listing = self._source.to_listing(record, now)
            except RecordError as error:
                self._reject(str(error))
                continue
            self._note(listing.notes)
            yield listing

    def _note(self, notes: Sequence[Note]) -> None:
        self._notes += notes
        if len(self._notes) > MAX_NOTES_WAITING:
            self._notes = merge_notes(self._notes)

    def _reject(self, error: str) -> None:
        """Count a row; those before the header come first."""
        self._rejected += 1
        if self._before:
            line, row = self._before.popleft()
        elif len(self.rejections) >= MAX_REJECTIONS or (last := self._reading.last_row) is None:
            return
        else:
            line, row = self._number(last), last
        self.rejections.append(RejectedRow(line, error, _text(row, self._reading.table.form.kind)))

    def _number(self, row: Row) -> int:
        """Return the line that the row read last begins on, in JSON and Parquet its number."""
        offset = self._reading.table.offset
        return (
            self._lines.at(offset - len(row.raw))
            if self._reading.table.form.kind == "csv"
            else offset
        )


class _Lines:
    """Counts the lines of a file up to offsets that only grow; it is opened once more for that."""

    def __init__(self, file: CsvFile) -> None:
        self._file = file
        self._stream: FileStream | None = None
        self._offset = 0
        self._line = 1

    def at(self, offset: int) -> int:
        """Return the line that begins at an offset of the unpacked bytes. Raises SourceError."""
        path, mapping = self._file.path, self._file.mapping
        try:
            if self._stream is None:
                self._stream = open_stream(path, mapping.encoding, self._file.real)
            while self._offset < offset and (
                read := self._stream.file.read(min(COUNTED_BYTES, offset - self._offset))
            ):
                self._offset += len(read)
                self._line += read.count(b"\n")
        except PACKED_ERRORS as error:
            raise translate_error(path, error) from None
        return self._line

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()


def _text(row: Row, kind: str) -> str:
    """Return the beginning of a row as its file has it; Parquet has values alone."""
    raw = ", ".join(row.cells) if kind == "parquet" else row.raw.decode("utf-8", "backslashreplace")
    text = raw.rstrip("\r\n").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\u2026"
