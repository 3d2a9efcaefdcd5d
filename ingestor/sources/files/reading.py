"""Reads a file: surveys it once, then returns its rows as records, slice by slice."""

import time

import msgspec

from db.notes import Note
from ingestor.sources.decode import check_external_id
from ingestor.sources.errors import SourceMalformedError, SourceRefusedError
from ingestor.sources.files.cached import name_key, normalize_ticker
from ingestor.sources.files.conflicts import Verdict
from ingestor.sources.files.layout import RULES_KEY, VERDICT_KEY, ReadingRules, layout_of
from ingestor.sources.files.numbers import Mark
from ingestor.sources.files.paths import CsvFile
from ingestor.sources.files.survey import survey
from ingestor.sources.files.tables.opening import open_table
from ingestor.sources.files.tables.table import Row
from ingestor.sources.records import OBSERVED_AT, Record, RecordError, Rejection, content_hash

_REPEATED = msgspec.json.encode({VERDICT_KEY: Verdict.REPEATED.value})[1:-1]
MAX_SLICE_BYTES = 8 * 1024 * 1024
WRITING_SECONDS = 10
"""A file that changed within this time may be incomplete: an unterminated last line waits."""


class FileSlice(msgspec.Struct, frozen=True):
    """Some rows of a file; `offset` is the start of the next one, `at_end` the end of the file.

    `unfinished` says that the last line is incomplete and was not read.
    """

    records: list[Record]
    rejections: list[Rejection]
    offset: int
    at_end: bool
    unfinished: bool = False


class CsvReading:
    """An open file after its header. Every method raises SourceError."""

    def __init__(self, file: CsvFile, modified_ns: int) -> None:
        if file.real is None:
            raise SourceRefusedError(
                f"CSV_PATH: {file.path} is a link that leads out of its folder, and is not read; "
                "copy the file there, or let CSV_PATH name it"
            )
        self._file = file
        self._file_time = f"{file.observed_at(modified_ns):%Y-%m-%dT%H:%M:%S.%fZ}"
        self.table = open_table(file.path, file.real, file.mapping)
        try:
            size = None if self.table.form.is_decoded else file.identity.size
            self.survey = survey(self.table, file.mapping, file.path.name, size)
        except SourceMalformedError as error:
            self.close()
            raise SourceMalformedError(_with_path(str(error), file), error.private_detail) from None
        except BaseException:
            self.close()
            raise
        reading = self.survey.reading
        self._read = "" if reading == ReadingRules() else msgspec.json.encode(reading).decode()
        marks = (RULES_KEY,) if self._read else ()
        self.layout = layout_of((*self.table.headers, *marks), self._read)
        self.survey.conflicts.mark = self.layout.marks.get("price", Mark.POINT)
        self._end_is_open = False
        self.last_row: Row | None = None
        """The row that was read last."""
        self._rejections = [
            Rejection(None, row.error or "", row.raw) for row in self.table.rejected
        ]

    def close(self) -> None:
        """Close the file."""
        self.table.close()

    @property
    def notes(self) -> list[Note]:
        """Return all notes on the file; they are complete once all rows are read."""
        return [*self.survey.notes, *self.late_notes]

    @property
    def late_notes(self) -> list[Note]:
        """Return the notes on the rows; they are complete once all rows are read."""
        notes: list[Note] = []
        if self.survey.rows == 0:
            notes.append(Note("empty", "The file has a header and no rows"))
        counts = self.survey.conflicts.counts
        if count := counts[Verdict.CONFLICT]:
            text = (
                "Rows of one coin and one time whose prices lie more than 5 % apart: "
                "none of them is believed"
            )
            notes.append(Note("conflicts", text, count))
        if count := counts[Verdict.REPEATED]:
            notes.append(
                Note(
                    "repeated",
                    "Rows that repeat a coin and a time: the first of them counts",
                    count,
                )
            )
        if self._end_is_open:
            text = (
                "The last line has no line end: if the file was cut there, "
                "its last cell may be cut too"
            )
            notes.append(Note("last line", text))
        return notes

    def seek(self, offset: int) -> None:
        """Resume after an earlier slice; reads the earlier rows again to find conflicts."""
        self._rejections = []
        while self.table.offset < offset and (row := self.table.read()) is not None:
            if row.error is None:
                self.survey.conflicts.judge(row.cells)
        self.survey.conflicts.counts = dict.fromkeys(Verdict, 0)
        self.table.seek(offset)

    def read_slice(self, row_count: int) -> FileSlice:
        """Return the next rows, each as a record or a rejection."""
        records: list[Record] = []
        rejections, self._rejections = self._rejections, []
        has_lines = self.table.form.kind == "csv"
        size = 0
        for _ in range(row_count):
            row = self.table.read()
            self.last_row = row
            if row is None:
                return FileSlice(records, rejections, self.table.offset, at_end=True)
            size += len(row.raw)
            if has_lines and not row.raw.endswith(b"\n"):
                if self._is_being_written():
                    before = self.table.offset - len(row.raw)
                    return FileSlice(records, rejections, before, at_end=True, unfinished=True)
                self._end_is_open = True
            if row.error is not None:
                rejections.append(Rejection(None, row.error, row.raw))
            else:
                try:
                    records.append(self._record(row.cells))
                except RecordError as error:
                    rejections.append(Rejection(None, str(error), row.raw))
            if size > MAX_SLICE_BYTES:
                break
        return FileSlice(records, rejections, self.table.offset, at_end=False)

    def _is_being_written(self) -> bool:
        """Return whether the file has just changed, so that its last line may be incomplete."""
        if self.table.form.is_decoded:
            return False
        return time.time() - (self._file.real or self._file.path).stat().st_mtime < WRITING_SECONDS

    def _record(self, cells: list[str]) -> Record:
        row = dict(zip(self.table.headers, cells, strict=True))
        header = self.layout.columns.time
        if header is None or not row[header] or row[header].isspace():
            # The payload includes the time: it is hashed with it and stored for rebuilds.
            row[OBSERVED_AT] = self._file_time
        if self._read:
            row[RULES_KEY] = self._read
        verdict = self.survey.conflicts.judge(cells)
        if verdict is not Verdict.COUNTS:
            row[VERDICT_KEY] = verdict.value
        raw = msgspec.json.encode(row)
        return Record(check_external_id(self._external_id(row)), raw, content_hash(raw))

    def _external_id(self, row: dict[str, str]) -> str:
        """Return the row's id, or an id made of its ticker, name and address.

        Raises RecordError.
        """
        columns = self.layout.columns
        if columns.id and (own := row[columns.id].strip()):
            return own
        symbol = normalize_ticker(self.layout.symbol(row), f"$.{self.layout.path('symbol')}")
        parts = [symbol, *name_key(self.layout.name(row))[0].split()]
        if columns.address:
            parts.append(row[columns.address].strip())
        return "-".join(part for part in parts if part).lower()


def is_repeated(record: Record) -> bool:
    """Return whether a record's row repeats an earlier one of its file."""
    return _REPEATED in record.raw


def _with_path(message: str, file: CsvFile) -> str:
    return message if message.startswith(str(file.path)) else f"{file.path}: {message}"
