"""What a file's rows come out of, whatever form its bytes have."""

from typing import Protocol

import msgspec

from db.notes import Note

__all__ = ["Form", "Row", "Table"]


class Row(msgspec.Struct, frozen=True, gc=False):
    """The cells of one row and its bytes; without cells it has an error.

    An apostrophe that keeps a spreadsheet from running a cell is not part of the value.
    """

    raw: bytes
    cells: list[str]
    error: str | None = None


class Form(msgspec.Struct, frozen=True):
    """How a file is written, for people.

    `kind` is `csv`, `json`, `ndjson` or `parquet`; `packed` and `encoding` are what was undone, ""
    for nothing; `header_line` is the line of the header, None where the file has none.
    """

    kind: str
    packed: str = ""
    delimiter: str | None = None
    notes: tuple[Note, ...] = ()
    encoding: str = ""
    header_line: int | None = None

    @property
    def is_decoded(self) -> bool:
        """Return whether rows are read of other bytes than those of the file."""
        return bool(self.packed or self.encoding)


class Table(Protocol):
    """Rows under headers. Every method raises SourceError."""

    headers: tuple[str, ...]
    form: Form
    rejected: list[Row]
    """Lines before the first row that cannot be read."""
    rejected_lines: list[int]
    """The number of each of them in the file; the first line is 1."""

    @property
    def offset(self) -> int:
        """Where the next row starts: a number that only `seek` understands."""
        ...

    def seek(self, offset: int) -> None:
        """Go on at an offset that `offset` once gave."""
        ...

    def read(self) -> Row | None:
        """Return the next row, its cells as many as the headers; None at the end."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...
