"""Rows of a CSV file with the offset after each, so that reading can resume in the middle."""

import csv
import io
from collections import deque
from pathlib import Path
from typing import Self

from common.csv_injection import unguard
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.files.blocks import BLOCK_BYTES, MERGE_MARKERS, plain_rows
from ingestor.sources.files.tables.streams import (
    PACKED_ERRORS,
    UTF_8_BOM,
    FileStream,
    broken,
    open_stream,
)
from ingestor.sources.files.tables.table import Row

MAX_LINE_BYTES = 1024 * 1024
MAX_ROW_LINES = 100
"""The most that an open quote may span: each such line would otherwise read the whole file."""


class _LineBuffer:
    """Lines for csv.reader, which takes as many as a row needs and adds them to `taken`."""

    def __init__(self, file: io.BufferedIOBase, *, at_beginning: bool) -> None:
        self._file = file
        self._at_beginning = at_beginning
        self._given_back: deque[bytes] = deque()
        self.taken: list[bytes] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = (
            self._given_back.popleft()
            if self._given_back
            else self._file.readline(MAX_LINE_BYTES + 1)
        )
        if not line:
            raise StopIteration
        if len(line) > MAX_LINE_BYTES:
            raise SourceMalformedError(
                f"a line is longer than {MAX_LINE_BYTES:,} bytes; is this a CSV file?"
            )
        self.taken.append(line)
        if len(self.taken) > MAX_ROW_LINES:
            raise csv.Error(f"more than {MAX_ROW_LINES} lines")
        text = line.decode("utf-8", "surrogateescape")
        if self._at_beginning:
            # The mark stands before the first quote, if the first cell has one.
            text, self._at_beginning = text.removeprefix("\ufeff"), False
        return text

    def give_back(self) -> None:
        """Keep the first line taken only."""
        self._given_back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    def read_block(self) -> bytes:
        """Return some whole lines; none while returned lines wait, and at the end."""
        if self._given_back:
            return b""
        block = self._file.read(BLOCK_BYTES)
        return (
            block
            if block.endswith(b"\n") or not block
            else block + self._file.readline(MAX_LINE_BYTES + 1)
        )

    def pass_beginning(self) -> None:
        """Know that lines were read elsewhere: a byte order mark after them has no meaning."""
        self._at_beginning = False

    def give(self, block: bytes) -> None:
        """Take lines that `read_block` has returned as the next ones."""
        self._given_back.extend(io.BytesIO(block))


class RowReader:
    """The rows of an open CSV file. A row must have `width` cells, once that is set.

    Every method raises SourceError: Malformed for bytes that are not CSV, Unavailable for a file
    that cannot be read.
    """

    def __init__(
        self, path: Path, stream: FileStream | None = None, *, delimiter: str = ","
    ) -> None:
        self._path = path
        self._stream = stream or open_stream(path)
        self._file = self._stream.file
        self._offset = 0
        self.delimiter = delimiter
        self.width: int | None = None
        self.least_width: int | None = None
        """Rows may leave out cells behind these: those of columns without a header."""
        self._ready: deque[Row] = deque()
        self._start()

    def _start(self) -> None:
        self._ready.clear()
        self._lines = _LineBuffer(self._file, at_beginning=self._offset == 0)
        self._reader = csv.reader(self._lines, strict=True, delimiter=self.delimiter)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    @property
    def offset(self) -> int:
        """Where the next row starts, in bytes of the unpacked file."""
        return self._offset

    def seek(self, offset: int) -> None:
        """Go on at an offset that `offset` once gave."""
        try:
            self._file.seek(offset)
        except PACKED_ERRORS as error:
            raise broken(self._path, error) from None
        self._offset = offset
        self._start()

    def read(self) -> Row | None:
        """Return the next row that is not blank, None at the end of the file."""
        while True:
            row = self._next()
            if row is None or row.error or row.raw.strip():
                return row

    def _next(self) -> Row | None:
        if not self._ready and self.width is not None:
            self._parse_block(self.width)
        if not self._ready:
            return self._parse_one()
        row = self._ready.popleft()
        self._offset += len(row.raw)
        return row

    def _parse_block(self, width: int) -> None:
        """Make the rows of some lines ready, if these are plain."""
        try:
            block = self._lines.read_block()
        except PACKED_ERRORS as problem:
            raise broken(self._path, problem) from None
        rows = plain_rows(block, self.delimiter, width)
        if rows is None:
            self._lines.give(block)
        elif block:
            self._lines.pass_beginning()
            self._ready.extend(rows)

    def _parse_one(self) -> Row | None:
        self._lines.taken.clear()
        error = None
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except csv.Error as problem:
            cells, error = [], f"The row is not CSV: {problem}"
        except SourceMalformedError as problem:
            raise SourceMalformedError(f"{self._path}: {problem}") from None
        except PACKED_ERRORS as problem:
            raise broken(self._path, problem) from None
        if error is None and self.width not in (None, len(cells)) and self._lines.taken[0].strip():
            cells, error = self._fitted(cells, self.width or 0)
        if error is not None:
            # A quote that is never closed takes in all that follows: it costs its own line only.
            self._lines.give_back()
        raw = b"".join(self._lines.taken)
        if b"'" in raw:
            cells = [unguard(cell) for cell in cells]
        self._offset += len(raw)
        return Row(raw, cells, _flaw(raw) or error)

    def _fitted(self, cells: list[str], width: int) -> tuple[list[str], str | None]:
        """Return a row with as many cells as the header; empty ones at its end may differ."""
        if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
            return cells[:width], None
        if self.least_width is not None and self.least_width <= len(cells) < width:
            return cells + [""] * (width - len(cells)), None
        return [], f"The row has {len(cells)} cells, the header {width}"


def _flaw(raw: bytes) -> str | None:
    """Return why a row's bytes cannot be a record, None where they can."""
    if raw.removeprefix(UTF_8_BOM).startswith(MERGE_MARKERS):
        return "The line is a merge marker: the file was committed with a conflict in it"
    if b"\0" in raw:
        return "The row holds a NUL byte"
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"The row is not UTF-8: {error.reason} at byte {error.start}"
    return None
