"""The interface of a table, whatever the format of its file."""

from typing import Protocol

import msgspec

from db.notes import Note

__all__ = ["Form", "Row", "Table"]


class Row(msgspec.Struct, frozen=True, gc=False):
    """The bytes of one row, and either its cells or an error.

    The cells do not have the apostrophe that keeps a spreadsheet from running a formula.
    """

    raw: bytes
    cells: list[str]
    error: str | None = None


class Form(msgspec.Struct, frozen=True):
    """The format of a file, for reports.

    `kind` is `csv`, `json`, `ndjson` or `parquet`. `packed` is the compression and `encoding` the
    encoding that was converted, "" for none. `header_line` is the line number of the header, None
    without a header.
    """

    kind: str
    packed: str = ""
    delimiter: str | None = None
    notes: tuple[Note, ...] = ()
    encoding: str = ""
    header_line: int | None = None

    @property
    def is_decoded(self) -> bool:
        """Return whether the rows were decompressed or converted from another encoding."""
        return bool(self.packed or self.encoding)


class Table(Protocol):
    """Rows with headers. Every method raises SourceError."""

    headers: tuple[str, ...]
    form: Form
    rejected: list[Row]
    """Lines before the first row that could not be read."""
    rejected_lines: list[int]
    """The line numbers of `rejected`; the first line is 1."""

    @property
    def offset(self) -> int:
        """The position of the next row, for `seek`."""
        ...

    def seek(self, offset: int) -> None:
        """Continue at an offset that `offset` returned before."""
        ...

    def read(self) -> Row | None:
        """Return the next row, with one cell for each header; None at the end."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...
