"""CSV files: streamed in slices, each a page; read again when they change."""

import contextlib
import datetime
import itertools
from collections.abc import AsyncGenerator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Literal

import anyio.to_thread
import msgspec

from common.settings import Settings
from db.notes import Note
from ingestor.clock import utc_now
from ingestor.run.readable import check_readable
from ingestor.sources.decode import decode_record
from ingestor.sources.errors import SourceError, SourceRefusedError
from ingestor.sources.files.cached import name_key, normalize_ticker
from ingestor.sources.files.conflicts import Verdict
from ingestor.sources.files.layout import BESIDE, READ, Layout, layout_of
from ingestor.sources.files.paths import CsvFile, FileIdentity, find_files, identify
from ingestor.sources.files.reading import CsvReading, FileSlice, repeats
from ingestor.sources.files.report import FIRST_ROWS, report_of
from ingestor.sources.normalize import FUTURE, not_negative, positive, rank_of, signed
from ingestor.sources.records import (
    OBSERVED_AT,
    Checkpoint,
    FilePart,
    Listing,
    Page,
    Record,
    RecordError,
)
from ingestor.sources.times import parse_time

ROWS_A_PAGE = 5_000

_CONFLICT, _REPEATED = Verdict.CONFLICT.value, Verdict.REPEATED.value
_EARLIER = datetime.timedelta(microseconds=1)
_ROW = msgspec.json.Decoder(dict[str, str])


class _FilePosition(msgspec.Struct, frozen=True):
    """A place in the middle of a file: the page that comes next and the offset that it starts at."""

    group: str
    identity: FileIdentity
    number: int
    offset: int


class _FilesPosition(msgspec.Struct, frozen=True):
    """The files that were read to their end, the one that was not, and whether a sweep is under way.

    `modified_ns` is by file the newest modification of all its versions: rows without a time are
    dated by it.
    """

    done: dict[str, FileIdentity] = {}
    place: _FilePosition | None = None
    sweeping: bool = False
    modified_ns: dict[str, int] = {}
    rows: dict[str, int] = {}
    """By file how many rows it had when it was last read to its end."""


class CsvFiles:
    """The rows of one or many files; each file is a group of pages."""

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
        made: bool = False,
    ) -> None:
        """Read what `csv_path` names; `made` says that it is a folder of ours, to be made where it is missing."""
        self.name = name
        self.poll_seconds = poll_seconds
        self._csv_path = csv_path
        self._rows_a_page = rows_a_page
        self._made = made
        self._is_empty = False

    async def pages(
        self, checkpoint: Checkpoint | None, *, full: bool
    ) -> AsyncGenerator[Page, None]:
        """Yield the files that changed, slice by slice; none where nothing did.

        A file that cannot be read fails the run after all others were read. Raises SourceError.
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
            # Nothing to read, but a file went away, or all did: the sweep ends with what is left.
            position = _FilesPosition(
                done, modified_ns=modified_ns, rows={group: rows.get(group, 0) for group in groups}
            )
            yield Page("", 0, utc_now(), [], [], position, ends_group=True, sweep_groups=groups)

    def why_no_page(self) -> str | None:
        """Say that there is no file, where that is so."""
        if not self._is_empty:
            return None
        return (
            f"{self._csv_path} holds no CSV file yet; *.csv, *.json and the like that are put there are read at the "
            "next poll"
        )

    def _find_files(self) -> list[CsvFile]:
        if self._made:
            try:
                Path(self._csv_path).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SourceRefusedError(
                    f"{self._csv_path}, the folder of CSV files, cannot be made: {error.strerror}; set CSV_PATH"
                ) from None
        files = find_files(self._csv_path)
        self._is_empty = not files
        return files

    async def _file_pages(
        self, file: CsvFile, position: _FilesPosition, modified_ns: int, rows: dict[str, int]
    ) -> AsyncGenerator[Page, None]:
        """Yield the slices of a file.

        One that moves under its reader, or lost most of its rows, ends nothing.
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
                part = await run_sync(reading.read_slice, self._rows_a_page)
                doubt = await run_sync(
                    doubt_of, file, part, reading.survey.rows, rows.get(file.group, 0)
                )
                moved = doubt is not None and doubt.about == "moved"
                fetched_at = utc_now()
                if number == 0 and not moved:
                    check_readable(self, str(file.path), part.records, part.rejections, fetched_at)
                ended = part.at_end or moved
                late = reading.late_notes + ([doubt] if doubt else []) if ended else []
                if ended and doubt is None:
                    rows[file.group] = reading.survey.rows
                yield Page(
                    group=file.group,
                    number=number,
                    fetched_at=fetched_at,
                    records=[] if moved else part.records,
                    rejections=[] if moved else part.rejections,
                    position=_FilePosition(file.group, file.identity, number + 1, part.offset),
                    ends_group=ended and doubt is None,
                    notes=tuple(notes + late),
                    file=None
                    if moved
                    else self._file_part(file, reading, part, number, late, ended=ended),
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
        """Return what a slice adds to the report of its file."""
        notes = [*(reading.survey.notes if number == 0 else ()), *late]
        first = itertools.islice(self._readable(part.records), FIRST_ROWS) if number == 0 else ()
        rows = reading.survey.rows
        report = report_of(
            file.group, reading.table, reading.layout, rows=rows, first=first, notes=notes
        )
        return FilePart(report, is_first=number == 0, is_last=ended)

    def _readable(self, records: list[Record]) -> Iterator[Listing]:
        for record in itertools.filterfalse(repeats, records):
            with contextlib.suppress(RecordError):
                yield self.to_listing(record, utc_now())

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        """Normalise one row. Raises RecordError."""
        row = decode_record(record, _ROW)
        layout = layout_of(tuple(row), row.get(READ, ""))
        symbol = layout.symbol(row)
        name = layout.name(row)
        name_words, core_words = name_key(name)
        observed_at, has_own_time = _observed_at(row, layout, fetched_at)
        layout.check_currency(row)
        price = layout.price(row)
        side = _Side(row, layout)
        beside = row.get(BESIDE)
        # A repeated row adds nothing, to history neither; of rows that contradict each other none
        # is believed.
        ignored = beside in {_CONFLICT, _REPEATED}
        return Listing(
            external_id=record.external_id,
            ticker=normalize_ticker(symbol, f"$.{layout.path('symbol')}"),
            symbol=symbol,
            name=name,
            name_words=name_words,
            core_words=core_words,
            rank=side.rank(),
            # The price of a row that repeats another is that one's, and no point of history
            # besides.
            price_usd=None if beside else positive(price, layout.paths["price"]),
            market_cap_usd=None if ignored else side.number("market_cap", positive),
            volume_24h_usd=None if ignored else side.number("volume", not_negative),
            percent_change_24h=None if ignored else side.number("change", signed),
            circulating_supply=side.number("circulating_supply", positive),
            total_supply=side.number("total_supply", positive),
            max_supply=side.number("max_supply", positive),
            # Never the newest of its time: the row that counts is.
            observed_at=observed_at - _EARLIER if beside == _REPEATED else observed_at,
            has_own_time=has_own_time,
            content_hash=record.content_hash,
            notes=tuple(side.notes),
        )

    async def close(self) -> None:
        """Nothing is held between runs."""


class _Side:
    """The cells of a row that cost nothing: one that cannot be read is missing, with a note."""

    def __init__(self, row: dict[str, str], layout: Layout) -> None:
        self._row = row
        self._layout = layout
        self.notes: list[Note] = []

    def number(
        self, role: str, bounded: Callable[[Decimal | None, str], Decimal | None]
    ) -> Decimal | None:
        """Return a figure within its bounds."""
        if role not in self._layout.paths:
            return None
        number = self._layout.side(self._row, role, self.notes)
        try:
            return None if number is None else bounded(number, self._layout.paths[role])
        except RecordError as error:
            self.notes.append(Note(self._layout.paths[role], str(error)))
            return None

    def rank(self) -> int | None:
        """Return the rank."""
        number = self._layout.side(self._row, "rank", self.notes)
        try:
            return None if number is None else rank_of(number, self._layout.paths["rank"])
        except RecordError as error:
            self.notes.append(Note(self._layout.paths["rank"], str(error)))
            return None


def _observed_at(
    row: dict[str, str], layout: Layout, fetched_at: datetime.datetime
) -> tuple[datetime.datetime, bool]:
    """Return when a row was observed, and whether the row says so itself.

    Raises RecordError for the future.
    """
    moment = layout.time(row)
    if moment is None:
        path = f"$.{OBSERVED_AT}"
        stated = row.get(OBSERVED_AT)
        return (min(parse_time(stated, path), fetched_at) if stated else fetched_at), False
    if moment > fetched_at + FUTURE:
        header = layout.columns.time or ""
        raise RecordError(f"{row[header][:40]!r} lies in the future - at `$.{header}`")
    return moment, True


def doubt_of(file: CsvFile, part: FileSlice, rows: int, rows_before: int) -> Note | None:
    """Return why a slice, or the file that ends with it, is not its file's last word; None where it is."""
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
    """Make the source that the settings describe."""
    path = settings.csv_path or str(settings.csv_folder)
    return CsvFiles(
        path, name=name, poll_seconds=settings.poll_seconds, made=settings.csv_path is None
    )
