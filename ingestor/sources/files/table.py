"""What a file's rows come out of, whatever form its bytes have."""

from typing import Protocol

import msgspec

from db.notes import Note

__all__ = ["Form", "Row", "Table"]


class Row(msgspec.Struct, frozen=True, gc=False):
    """The cells of one row and the bytes that they were read from; no cells but an error where they cannot be.

    An apostrophe that keeps a spreadsheet from running a cell is no part of what the cell says.
    """

    raw: bytes
    cells: list[str]
    error: str | None = None


class Form(msgspec.Struct, frozen=True):
    """How a file is written, for people: `csv`, `json` or `parquet`, what was undone, its delimiter."""

    kind: str
    packed: str = ""
    delimiter: str | None = None
    notes: tuple[Note, ...] = ()


class Table(Protocol):
    """Rows under headers. Every method raises SourceError."""

    headers: tuple[str, ...]
    form: Form
    rejected: list[Row]
    """Lines before the first row that cannot be read."""

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
