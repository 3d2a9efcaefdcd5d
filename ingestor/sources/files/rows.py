"""Reads the rows of a CSV file, and can resume at the offset of any row."""

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
    open_stream,
    translate_error,
)
from ingestor.sources.files.tables.table import Row

MAX_LINE_BYTES = 1024 * 1024
MAX_ROW_LINES = 100
"""The most lines of one row; otherwise each unclosed quote would read the whole file."""


class _LineBuffer:
    """Lines for csv.reader; `consumed` holds those that it used for the current row."""

    def __init__(self, file: io.BufferedIOBase, *, at_beginning: bool) -> None:
        self._file = file
        self._at_beginning = at_beginning
        self._pushed_back: deque[bytes] = deque()
        self.consumed: list[bytes] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = (
            self._pushed_back.popleft()
            if self._pushed_back
            else self._file.readline(MAX_LINE_BYTES + 1)
        )
        if not line:
            raise StopIteration
        if len(line) > MAX_LINE_BYTES:
            raise SourceMalformedError(
                f"a line is longer than {MAX_LINE_BYTES:,} bytes; is this a CSV file?"
            )
        self.consumed.append(line)
        if len(self.consumed) > MAX_ROW_LINES:
            raise csv.Error(f"more than {MAX_ROW_LINES} lines")
        text = line.decode("utf-8", "surrogateescape")
        if self._at_beginning:
            # csv.reader would not accept a quote after the byte order mark.
            text, self._at_beginning = text.removeprefix("\ufeff"), False
        return text

    def push_back(self) -> None:
        """Push back all consumed lines except the first one."""
        self._pushed_back.extendleft(reversed(self.consumed[1:]))
        del self.consumed[1:]

    def read_block(self) -> bytes:
        """Return some whole lines; none while pushed-back lines wait, and none at the end."""
        if self._pushed_back:
            return b""
        block = self._file.read(BLOCK_BYTES)
        return (
            block
            if block.endswith(b"\n") or not block
            else block + self._file.readline(MAX_LINE_BYTES + 1)
        )

    def leave_beginning(self) -> None:
        """Stop removing a byte order mark: the first line was read by `read_block`."""
        self._at_beginning = False

    def push_back_block(self, block: bytes) -> None:
        """Push back the lines of a block that `read_block` has returned."""
        self._pushed_back.extend(io.BytesIO(block))


class RowReader:
    """Reads the rows of an open CSV file. Once `width` is set, each row must have so many cells.

    Every method raises SourceMalformedError for bytes that are not CSV, and SourceUnavailableError
    for a file that cannot be read.
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
        self.min_width: int | None = None
        """A row may lack the cells after these, which belong to columns without a header."""
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
        """The offset of the next row in the decompressed file, in bytes."""
        return self._offset

    def seek(self, offset: int) -> None:
        """Continue at an offset that `offset` returned before."""
        try:
            self._file.seek(offset)
        except PACKED_ERRORS as error:
            raise translate_error(self._path, error) from None
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
        """Parse a block of lines if all of them are plain."""
        try:
            block = self._lines.read_block()
        except PACKED_ERRORS as problem:
            raise translate_error(self._path, problem) from None
        rows = plain_rows(block, self.delimiter, width)
        if rows is None:
            self._lines.push_back_block(block)
        elif block:
            self._lines.leave_beginning()
            self._ready.extend(rows)

    def _parse_one(self) -> Row | None:
        self._lines.consumed.clear()
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
            raise translate_error(self._path, problem) from None
        if (
            error is None
            and self.width not in (None, len(cells))
            and self._lines.consumed[0].strip()
        ):
            cells, error = self._fit_to_width(cells, self.width or 0)
        if error is not None:
            # An unclosed quote takes in the lines that follow; reject only its own line.
            self._lines.push_back()
        raw = b"".join(self._lines.consumed)
        if b"'" in raw:
            cells = [unguard(cell) for cell in cells]
        self._offset += len(raw)
        return Row(raw, cells, _row_error(raw) or error)

    def _fit_to_width(self, cells: list[str], width: int) -> tuple[list[str], str | None]:
        """Return `width` cells, or an error; a row may lack or add empty cells at its end."""
        if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
            return cells[:width], None
        if self.min_width is not None and self.min_width <= len(cells) < width:
            return cells + [""] * (width - len(cells)), None
        return [], f"The row has {len(cells)} cells, the header {width}"


def _row_error(raw: bytes) -> str | None:
    """Return why the bytes of a row are invalid, None if they are valid."""
    if raw.removeprefix(UTF_8_BOM).startswith(MERGE_MARKERS):
        return "The line is a merge marker: the file was committed with a conflict in it"
    if b"\0" in raw:
        return "The row holds a NUL byte"
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"The row is not UTF-8: {error.reason} at byte {error.start}"
    return None
