"""Parquet and Arrow files, which pyarrow makes from PostgreSQL's CSV; import it only with pyarrow.

No decimal type of Arrow holds every number of the database (1e±100), and few readers support more
than 38 digits. So a number is a float64, for calculations, beside a text `<name>_exact` with every
digit.
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


class _WriteBuffer(io.RawIOBase):
    """A buffer between pyarrow, which writes, and the export, which takes."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """Return that pyarrow may write."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written in all."""
        return self._position

    def write(self, data: memoryview) -> int:  # type: ignore[override] # what pyarrow gives
        """Append to the buffer."""
        self._chunks.append(bytes(data))
        self._position += len(data)
        return len(data)

    def take(self) -> bytes:
        """Return the bytes written since the last call."""
        taken = b"".join(self._chunks)
        self._chunks.clear()
        return taken


class _TableReader:
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
    """Arrow's IPC streaming format: one batch a block."""

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self._reader = _TableReader(columns)
        self._buffer = _WriteBuffer()
        self._writer = pa.ipc.new_stream(self._buffer, self._reader.schema)

    def encode(self, block: bytes) -> bytes:
        """Return the batch of a block."""
        self._writer.write_table(self._reader.table(block))
        return self._buffer.take()

    def finish(self) -> bytes:
        """Return the end mark, after the schema if the file is empty."""
        self._writer.close()
        return self._buffer.take()


class Parquet:
    """Parquet: one row group a block, compressed with zstd.

    Only columns with repeated values have a dictionary: one for every column makes the file a third
    larger and takes twice the time.
    """

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self._reader = _TableReader(columns)
        self._buffer = _WriteBuffer()
        self._writer = ParquetWriter(
            self._buffer,
            self._reader.schema,
            compression="zstd",
            use_dictionary=["ticker", "source"],
        )

    def encode(self, block: bytes) -> bytes:
        """Return the row group of a block."""
        self._writer.write_table(self._reader.table(block))
        return self._buffer.take()

    def finish(self) -> bytes:
        """Return the footer."""
        self._writer.close()
        return self._buffer.take()
