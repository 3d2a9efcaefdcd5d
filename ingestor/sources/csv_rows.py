"""Rows of a CSV file as its bytes come, each with the offset behind it, so that reading can go on in the middle."""

import csv
import gzip
import io
import os
import zlib
from collections import deque
from pathlib import Path
from typing import Self

import msgspec

from db.formulas import unguarded
from ingestor.errors import SourceMalformedError, SourceRefusedError, SourceUnavailableError

BOM = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
UTF_16_BOMS = (b"\xff\xfe", b"\xfe\xff")
MERGE_MARKERS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")
MAX_LINE_BYTES = 1024 * 1024
MAX_ROW_LINES = 100
"""What an open quote may swallow: without a bound a file of such lines would be read once for each of them."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """The cells of one row and the bytes that they were read from; no cells but an error where they cannot be.

    An apostrophe that keeps a spreadsheet from running a cell is no part of what the cell says.
    """

    raw: bytes
    cells: list[str]
    error: str | None = None


class _Lines:
    """Lines for csv.reader, which takes as many as a row needs; `taken` are those since it was last emptied."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self._given_back: deque[bytes] = deque()
        self.taken: list[bytes] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else self._file.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        if len(line) > MAX_LINE_BYTES:
            raise SourceMalformedError(f"a line is longer than {MAX_LINE_BYTES:,} bytes; is this a CSV file?")
        self.taken.append(line)
        if len(self.taken) > MAX_ROW_LINES:
            raise csv.Error(f"more than {MAX_ROW_LINES} lines")
        return line.decode("utf-8", "surrogateescape")

    def give_back(self) -> None:
        """Keep the first line taken only."""
        self._given_back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


class RowReader:
    """An open CSV file, plain or gzipped. A row must have `width` cells, once that is set.

    Every method raises SourceError: Malformed for bytes that are no CSV, Refused for a file that may not be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.width: int | None = None
        try:
            raw = _open(path)
            magic = raw.peek(len(GZIP_MAGIC))[: len(GZIP_MAGIC)]
        except OSError as error:
            raise SourceRefusedError(f"{path}: {error.strerror}; check CSV_PATH") from None
        self._file: io.BufferedIOBase = gzip.GzipFile(fileobj=raw) if magic == GZIP_MAGIC else raw
        self._raw = raw
        self._start()

    def _start(self) -> None:
        self._lines = _Lines(self._file)
        self._reader = csv.reader(self._lines, strict=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()  # a GzipFile leaves open what it was given

    @property
    def offset(self) -> int:
        """Where the next row starts, in bytes of the unpacked file."""
        return self._offset

    def seek(self, offset: int) -> None:
        """Go on at an offset that `offset` once gave."""
        try:
            self._file.seek(offset)
        except (OSError, EOFError, zlib.error) as error:
            raise self._broken(error) from None
        self._offset = offset
        self._start()

    def read(self) -> Row | None:
        """Return the next row that is not blank, None at the end of the file."""
        while True:
            row = self._next()
            if row is None or row.error or row.raw.strip():
                return row

    def _next(self) -> Row | None:
        self._lines.taken.clear()
        error = None
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except csv.Error as problem:
            cells, error = [], f"The row is no CSV: {problem}"
        except (OSError, EOFError, zlib.error) as problem:
            raise self._broken(problem) from None
        except SourceMalformedError as problem:
            raise SourceMalformedError(f"{self._path}: {problem}") from None
        if error is None and self.width not in (None, len(cells)) and self._lines.taken[0].strip():
            error = f"The row has {len(cells)} cells, the header {self.width}"
        if error is not None:
            # A quote that is never closed swallows what follows: it shall cost its own line only.
            self._lines.give_back()
        raw = b"".join(self._lines.taken)
        if b"'" in raw:
            cells = [unguarded(cell) for cell in cells]
        if self._offset == 0:
            self._check_encoding(raw)
            cells = [cells[0].removeprefix("\ufeff"), *cells[1:]] if cells else cells
        self._offset += len(raw)
        return Row(raw, cells, _flaw(raw) or error)

    def _check_encoding(self, raw: bytes) -> None:
        if raw.startswith(UTF_16_BOMS):
            raise SourceMalformedError(f"{self._path} is UTF-16; save it as UTF-8")

    def _broken(self, error: Exception) -> SourceMalformedError | SourceUnavailableError:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            return SourceUnavailableError(f"{self._path} could not be read: {error.strerror}")
        # What gzip says of a bad beginning quotes it.
        said = "" if isinstance(error, gzip.BadGzipFile) else f": {error}"
        return SourceMalformedError(f"{self._path} is no whole gzip file{said}")


def _open(path: Path) -> io.BufferedReader:
    """Open a file that was no link when it was found, and must be none now."""
    return io.BufferedReader(io.FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)))


def _flaw(raw: bytes) -> str | None:
    """Return why a row's bytes cannot be a record, None where they can."""
    if raw.removeprefix(BOM).startswith(MERGE_MARKERS):
        return "The line is a merge marker: the file was committed with a conflict in it"
    if b"\0" in raw:
        return "The row holds a NUL byte"
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"The row is not UTF-8: {error.reason} at byte {error.start}"
    return None
