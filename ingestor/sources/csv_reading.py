"""A CSV file while it is read: its rows as records, slice by slice."""

import msgspec

from ingestor.clock import utc_now
from ingestor.decode import check_external_id
from ingestor.errors import SourceMalformedError, SourceRefusedError
from ingestor.normalize import FUTURE, name_key, normalize_name, normalize_ticker, parse_time
from ingestor.records import OBSERVED_AT, Record, RecordError, Rejection, content_hash
from ingestor.sources.csv_columns import Columns, columns_of, unique_headers
from ingestor.sources.csv_paths import CsvFile
from ingestor.sources.csv_rows import RowReader

MAX_SLICE_BYTES = 8 * 1024 * 1024


class Slice(msgspec.Struct, frozen=True):
    """Some rows of a file; `offset` is where the next ones start, `at_end` says that there are none."""

    records: list[Record]
    rejections: list[Rejection]
    offset: int
    at_end: bool


class CsvReading:
    """One open file, its header behind it. Every method raises SourceError."""

    def __init__(self, file: CsvFile) -> None:
        if file.real is None:
            raise SourceRefusedError(
                f"CSV_PATH: {file.path} is a link that leads out of its folder, and is not read; copy the file there, "
                "or let CSV_PATH name it"
            )
        self._file = file
        self._file_time = f"{file.observed_at:%Y-%m-%dT%H:%M:%S.%fZ}"
        self._rejections: list[Rejection] = []
        self._rows = RowReader(file.real)
        try:
            self._headers, self._columns = self._read_header()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._rows.close()

    def seek(self, offset: int) -> None:
        """Go on where an earlier slice ended."""
        self._rejections = []
        self._rows.seek(offset)

    def read_slice(self, row_count: int) -> Slice:
        """Return the next rows: each a record or a rejection."""
        records: list[Record] = []
        rejections, self._rejections = self._rejections, []
        start = self._rows.offset
        for _ in range(row_count):
            row = self._rows.read()
            if row is None:
                return Slice(records, rejections, self._rows.offset, at_end=True)
            if row.error is not None:
                rejections.append(Rejection(None, row.error, row.raw))
            else:
                try:
                    records.append(self._record(row.cells))
                except RecordError as error:
                    rejections.append(Rejection(None, str(error), row.raw))
            if self._rows.offset - start > MAX_SLICE_BYTES:
                break
        return Slice(records, rejections, self._rows.offset, at_end=False)

    def _read_header(self) -> tuple[tuple[str, ...], Columns]:
        while (row := self._rows.read()) is not None:
            if row.error is None:
                headers = unique_headers(row.cells)
                self._rows.width = len(headers)
                try:
                    return headers, columns_of(headers)
                except SourceMalformedError as error:
                    raise SourceMalformedError(f"{self._file.path}: {error}", error.seen) from None
            self._rejections.append(Rejection(None, row.error, row.raw))
        raise SourceMalformedError(f"{self._file.path} has no header; wanted are at least the columns symbol and price")

    def _record(self, cells: list[str]) -> Record:
        row = dict(zip(self._headers, cells, strict=True))
        time = self._columns.time
        if time is None or not row[time].strip() or _is_ahead(row[time]):
            # Part of the payload, so that it decides on what is new and lasts until a rebuild from raw payloads.
            row[OBSERVED_AT] = self._file_time
        raw = msgspec.json.encode(row)
        return Record(check_external_id(_external_id(row, self._columns)), raw, content_hash(raw))


def _is_ahead(text: str) -> bool:
    """Tell whether a time is still to come, which a row cannot have been observed at."""
    try:
        return parse_time(text, "$") > utc_now() + FUTURE
    except RecordError:
        return False  # the row is rejected for it


def _external_id(row: dict[str, str], columns: Columns) -> str:
    """Return the row's own id, else one made of its ticker, name and address. Raises RecordError."""
    if columns.id and (own := row[columns.id].strip()):
        return own
    name = normalize_name(row[columns.name], f"$.{columns.name}") if columns.name else None
    parts = [normalize_ticker(row[columns.symbol], f"$.{columns.symbol}"), *name_key(name)[0].split()]
    if columns.address:
        parts.append(row[columns.address].strip())
    return "-".join(part for part in parts if part).lower()
