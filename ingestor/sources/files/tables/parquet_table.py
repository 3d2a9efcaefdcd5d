"""A Parquet file as a table; it needs the extra `arrow`."""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from ingestor.sources.errors import SourceMalformedError, SourceRefusedError
from ingestor.sources.files.tables.streams import FileStream
from ingestor.sources.files.tables.table import Form, Row

BATCH_ROWS = 5_000


class ParquetTable:
    """The rows of a Parquet file, each value as text. An offset is the number of rows before it."""

    def __init__(self, path: Path, stream: FileStream) -> None:
        try:
            import pyarrow  # noqa: PLC0415 - an extra
            import pyarrow.parquet  # noqa: PLC0415 - an extra
        except ImportError:
            raise SourceRefusedError(
                f"{path} is a Parquet file, which needs the extra 'arrow' of Kasparro (pyarrow); "
                "or save it as CSV"
            ) from None
        self._stream = stream
        try:
            self._file = pyarrow.parquet.ParquetFile(stream.file)
        except (pyarrow.ArrowException, OSError) as error:
            raise SourceMalformedError(f"{path} is not a whole Parquet file: {error}") from None
        self.headers = tuple(self._file.schema_arrow.names)
        self.form = Form("parquet")
        self.rejected: list[Row] = []
        self.rejected_lines: list[int] = []
        self.offset = 0
        self._rows = self._read_all()

    def seek(self, offset: int) -> None:
        """Continue at the row with this number."""
        self._rows = self._read_all()
        for self.offset in range(offset + 1):
            if self.offset < offset and next(self._rows, None) is None:
                break

    def read(self) -> Row | None:
        """Return the next row."""
        cells = next(self._rows, None)
        if cells is None:
            return None
        self.offset += 1
        return Row("\x1f".join(cells).encode("utf-8", "surrogatepass"), cells)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._stream.close()

    def _read_all(self) -> Iterator[list[str]]:
        for batch in self._file.iter_batches(batch_size=BATCH_ROWS):
            columns = [[_text(value) for value in column.to_pylist()] for column in batch.columns]
            yield from map(list, zip(*columns, strict=True))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)
