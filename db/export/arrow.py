"""Parquet and Arrow files, made by pyarrow from the CSV that PostgreSQL writes; imported only where pyarrow is there.

No decimal type of Arrow holds every number that the database does (1e±100), and few readers know
more than 38 digits. So a number is a float64, which every reader can calculate with, beside a text
`<name>_exact` with every digit.
"""

import io
from collections.abc import Sequence

import pyarrow as pa
from pyarrow import csv
from pyarrow.parquet import ParquetWriter

from db.export.columns import ExportColumn

_TYPES = {
    "word": pa.string(),
    "text": pa.string(),
    "number": pa.string(),
    "integer": pa.int32(),
    "time": pa.timestamp("us", "UTC"),
}


class _Drain(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """Tell pyarrow that it may write."""
        return True

    def tell(self) -> int:
        """Return how much was written in all."""
        return self._position

    def write(self, data: memoryview) -> int:  # type: ignore[override] # what pyarrow gives
        """Keep it."""
        self._kept.append(bytes(data))
        self._position += len(data)
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = b"".join(self._kept)
        self._kept.clear()
        return taken


class _Tables:
    """Reads blocks of CSV rows as tables of one schema."""

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self._columns = columns
        self._read = csv.ReadOptions(
            column_names=[column.name for column in columns], use_threads=False, block_size=1 << 24
        )
        self._parse = csv.ParseOptions(newlines_in_values=True)
        self._convert = csv.ConvertOptions(
            column_types={column.name: _TYPES[column.kind] for column in columns},
            # PostgreSQL writes null as nothing and an empty text as "".
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        numbers = [column.name for column in columns if column.kind == "number"]
        self.schema = pa.schema(
            [
                *(
                    (column.name, pa.float64() if column.kind == "number" else _TYPES[column.kind])
                    for column in columns
                ),
                *((f"{name}_exact", pa.string()) for name in numbers),
            ]
        )

    def table(self, block: bytes) -> pa.Table:
        """Return the rows of a block."""
        read = csv.read_csv(pa.BufferReader(block), self._read, self._parse, self._convert)
        texts = {column.name: read.column(column.name) for column in self._columns}
        floats = [
            text.cast(pa.float64()) if column.kind == "number" else text
            for column, text in zip(self._columns, texts.values(), strict=True)
        ]
        exact = [texts[column.name] for column in self._columns if column.kind == "number"]
        return pa.Table.from_arrays([*floats, *exact], schema=self.schema)


class ArrowStream:
    """Arrow's IPC streaming format: a batch a block."""

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self._tables = _Tables(columns)
        self._drain = _Drain()
        self._writer = pa.ipc.new_stream(self._drain, self._tables.schema)

    def encode(self, block: bytes) -> bytes:
        """Return the batch of a block."""
        self._writer.write_table(self._tables.table(block))
        return self._drain.take()

    def finish(self) -> bytes:
        """Return the mark of the end, and before it the schema where there was no batch."""
        self._writer.close()
        return self._drain.take()


class Parquet:
    """Parquet: a row group a block, compressed with zstd.

    Only where values repeat is there a dictionary: for all columns the file would be a third
    larger, in twice the time.
    """

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self._tables = _Tables(columns)
        self._drain = _Drain()
        self._writer = ParquetWriter(
            self._drain,
            self._tables.schema,
            compression="zstd",
            use_dictionary=["ticker", "source"],
        )

    def encode(self, block: bytes) -> bytes:
        """Return the row group of a block."""
        self._writer.write_table(self._tables.table(block))
        return self._drain.take()

    def finish(self) -> bytes:
        """Return the footer."""
        self._writer.close()
        return self._drain.take()
