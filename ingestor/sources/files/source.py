"""The source of files: each slice of a file is a page, and changed files are read again."""

import contextlib
import datetime
import itertools
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Literal

import anyio.to_thread
import msgspec

from common.settings import Settings
from db.notes import Note
from ingestor.clock import utc_now
from ingestor.run.readable import check_readable
from ingestor.sources.errors import SourceError, SourceRefusedError
from ingestor.sources.files.listing import listing_of
from ingestor.sources.files.paths import CsvFile, FileIdentity, find_files, identify
from ingestor.sources.files.reading import CsvReading, FileSlice, is_repeated
from ingestor.sources.files.report import FIRST_ROWS, report_of
from ingestor.sources.records import (
    Checkpoint,
    FilePart,
    Listing,
    Page,
    PageBody,
    Record,
    RecordError,
)

ROWS_A_PAGE = 5_000


class _FilePosition(msgspec.Struct, frozen=True):
    """A position in a file: the number and the offset of the next page."""

    group: str
    identity: FileIdentity
    number: int
    offset: int


class _FilesPosition(msgspec.Struct, frozen=True):
    """The files that were read to their end, the unfinished file, and whether a sweep runs.

    `modified_ns` is the newest modification time of all versions of each file; it is the time of
    rows without one.
    """

    done: dict[str, FileIdentity] = {}
    place: _FilePosition | None = None
    sweeping: bool = False
    modified_ns: dict[str, int] = {}
    rows: dict[str, int] = {}
    """The number of rows of each file when it was last read to its end."""


class CsvFiles:
    """The rows of one or more files; each file is a group of pages."""

    kind: Literal["api", "file"] = "file"
    priority = 30
    missed_sweeps: Literal[1, 2] = 1

    def __init__(
        self,
        csv_path: str,
        *,
        name: str = "csv",
        poll_seconds: int = 300,
        rows_a_page: int = ROWS_A_PAGE,
        create_folder: bool = False,
    ) -> None:
        """Read the files of `csv_path`; with `create_folder` a missing folder is created."""
        self.name = name
        self.poll_seconds = poll_seconds
        self._csv_path = csv_path
        self._rows_a_page = rows_a_page
        self._create_folder = create_folder
        self._is_empty = False

    async def pages(
        self, checkpoint: Checkpoint | None, *, full: bool
    ) -> AsyncGenerator[Page, None]:
        """Yield the changed files, slice by slice.

        If a file cannot be read, it raises the SourceError after it has read all others.
        """
        position = _FilesPosition()
        if checkpoint is not None and checkpoint.position is not None:
            position = msgspec.convert(checkpoint.position, _FilesPosition)
        if full:
            position = _FilesPosition(modified_ns=position.modified_ns)
        rows = position.rows.copy()
        files = await anyio.to_thread.run_sync(self._find_files)
        groups = tuple(file.group for file in files)
        modified_ns = {
            file.group: max(file.identity.mtime_ns, position.modified_ns.get(file.group, 0))
            for file in files
        }
        done = {
            file.group: file.identity
            for file in files
            if position.done.get(file.group) == file.identity
        }
        changed = [file for file in files if file.group not in done]
        failures: list[SourceError] = []
        for file in changed:
            try:
                reading = self._file_pages(file, position, modified_ns[file.group], rows)
                async with contextlib.aclosing(reading) as pages:
                    async for page in pages:
                        if page.ends_group:
                            done[file.group] = file.identity
                        complete = len(done) == len(files)
                        place = None if page.ends_group else page.position
                        yield msgspec.structs.replace(
                            page,
                            position=_FilesPosition(
                                done.copy(), place, not complete, modified_ns, rows.copy()
                            ),
                            sweep_groups=groups if complete else None,
                        )
            except SourceError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        if not changed and (full or position.sweeping or position.done.keys() != done.keys()):
            # There is nothing to read, but files were removed: end the sweep with the others.
            position = _FilesPosition(
                done, modified_ns=modified_ns, rows={group: rows.get(group, 0) for group in groups}
            )
            yield Page("", 0, utc_now(), [], [], position, ends_group=True, sweep_groups=groups)

    def why_no_page(self) -> str | None:
        """Return the sentence for an empty folder, None if it has files."""
        if not self._is_empty:
            return None
        return (
            f"{self._csv_path} holds no CSV file yet; *.csv, *.json and the like that are put "
            "there are read at the next poll"
        )

    def _find_files(self) -> list[CsvFile]:
        if self._create_folder:
            try:
                Path(self._csv_path).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SourceRefusedError(
                    f"{self._csv_path}, the folder of CSV files, cannot be made: "
                    f"{error.strerror}; set CSV_PATH"
                ) from None
        files = find_files(self._csv_path)
        self._is_empty = not files
        return files

    async def _file_pages(
        self, file: CsvFile, position: _FilesPosition, modified_ns: int, rows: dict[str, int]
    ) -> AsyncGenerator[Page, None]:
        """Yield the slices of a file.

        If the file changes while it is read, or lost most of its rows, no missing listing is ended.
        """
        run_sync = anyio.to_thread.run_sync
        reading = await run_sync(CsvReading, file, modified_ns)
        place, number = position.place, 0
        try:
            if place is not None and (place.group, place.identity) == (file.group, file.identity):
                number = place.number
                await run_sync(reading.seek, place.offset)
            ended, notes = False, [*reading.survey.notes]
            while not ended:
                start = reading.table.offset
                part = await run_sync(reading.read_slice, self._rows_a_page)
                incomplete = await run_sync(
                    incomplete_note, file, part, reading.survey.rows, rows.get(file.group, 0)
                )
                moved = incomplete is not None and incomplete.about == "moved"
                fetched_at = utc_now()
                if number == 0 and not moved:
                    check_readable(self, str(file.path), part.records, part.rejections, fetched_at)
                ended = part.at_end or moved
                late = reading.late_notes + ([incomplete] if incomplete else []) if ended else []
                if ended and incomplete is None:
                    rows[file.group] = reading.survey.rows
                yield Page(
                    group=file.group,
                    number=number,
                    fetched_at=fetched_at,
                    records=[] if moved else part.records,
                    rejections=[] if moved else part.rejections,
                    position=_FilePosition(file.group, file.identity, number + 1, part.offset),
                    ends_group=ended and incomplete is None,
                    notes=tuple(notes + late),
                    file=None
                    if moved
                    else self._file_part(file, reading, part, number, late, ended=ended),
                    body=_slice_of(file, reading, start, part.offset),
                )
                number, notes = number + 1, []
        finally:
            reading.close()

    def _file_part(
        self,
        file: CsvFile,
        reading: CsvReading,
        part: FileSlice,
        number: int,
        late: list[Note],
        *,
        ended: bool,
    ) -> FilePart:
        """Return the part of the file's report that belongs to a slice."""
        notes = [*(reading.survey.notes if number == 0 else ()), *late]
        first = itertools.islice(self._readable(part.records), FIRST_ROWS) if number == 0 else ()
        rows = reading.survey.rows
        report = report_of(
            file.group, reading.table, reading.layout, rows=rows, first=first, notes=notes
        )
        return FilePart(report, is_first=number == 0, is_last=ended)

    def _readable(self, records: list[Record]) -> Iterator[Listing]:
        for record in itertools.filterfalse(is_repeated, records):
            with contextlib.suppress(RecordError):
                yield self.to_listing(record, utc_now())

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        """Return the listing of one row. Raises RecordError."""
        return listing_of(record, fetched_at)

    async def close(self) -> None:
        """Do nothing: no resource stays open between runs."""


def _slice_of(file: CsvFile, reading: CsvReading, start: int, end: int) -> PageBody:
    """Return where the rows of a page are in their file, in bytes; in rows if it is not CSV."""
    first, count = (
        ("offset", "length") if reading.table.form.kind == "csv" else ("first_row", "rows")
    )
    return PageBody(None, {"file": file.group, first: start, count: end - start})


def incomplete_note(file: CsvFile, part: FileSlice, rows: int, rows_before: int) -> Note | None:
    """Return the note on an incomplete slice or file, None if it is complete."""
    now = identify(file.real or file.path, file.mapping)
    if now is None:
        return Note("moved", f"{file.group} went away while it was read")
    if now != file.identity and not now.grew_from(file.identity):
        return Note("moved", f"{file.group} changed while it was read; the next run reads it again")
    if part.unfinished:
        return Note(
            "unfinished",
            f"{file.group} ends within a line, it is still being written: that line waits",
        )
    if part.at_end and rows * 2 < rows_before:
        text = (
            f"{file.group} has {rows:,} rows, it had {rows_before:,}: nothing that is missing ends"
        )
        return Note("shrunk", f"{text}. `kasparro trigger --full --source csv` believes it")
    return None


def create(settings: Settings, *, name: str = "csv") -> CsvFiles:
    """Create the source from the settings."""
    path = settings.csv_path or str(settings.csv_folder)
    return CsvFiles(
        path, name=name, poll_seconds=settings.poll_seconds, create_folder=settings.csv_path is None
    )
