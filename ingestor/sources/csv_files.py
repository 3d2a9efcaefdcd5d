"""CSV files: streamed in slices, each a page; read again when they change."""

import contextlib
import datetime
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Literal

import anyio.to_thread
import msgspec

from db.settings import Settings
from ingestor.clock import utc_now
from ingestor.decode import decode_record
from ingestor.errors import SourceError, SourceRefusedError
from ingestor.normalize import (
    name_key,
    normalize_name,
    normalize_ticker,
    not_negative,
    observed_at,
    positive,
    rank_of,
    signed,
)
from ingestor.readable import check_readable
from ingestor.records import OBSERVED_AT, Checkpoint, Listing, Page, Record
from ingestor.sources.csv_columns import Columns, columns_and_paths, read_number, read_percent
from ingestor.sources.csv_paths import CsvFile, Identity, find_files
from ingestor.sources.csv_reading import CsvReading

ROWS_A_PAGE = 5_000

_ROW = msgspec.json.Decoder(dict[str, str])


class _Place(msgspec.Struct, frozen=True):
    """A place in the middle of a file: the page that comes next and the offset that it starts at."""

    group: str
    identity: Identity
    number: int
    offset: int


class _Position(msgspec.Struct, frozen=True):
    """The files that were read to their end, the one that was not, and whether a sweep is under way."""

    done: dict[str, Identity] = {}
    place: _Place | None = None
    sweeping: bool = False


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

    async def pages(self, checkpoint: Checkpoint | None, *, full: bool) -> AsyncGenerator[Page, None]:
        """Yield the files that changed, slice by slice; none where nothing did.

        A file that cannot be read fails the run after all others were read. Raises SourceError.
        """
        position = _Position()
        if not full and checkpoint is not None and checkpoint.position is not None:
            position = msgspec.convert(checkpoint.position, _Position)
        files = await anyio.to_thread.run_sync(self._find_files)
        groups = tuple(file.group for file in files)
        done = {file.group: file.identity for file in files if position.done.get(file.group) == file.identity}
        changed = [file for file in files if file.group not in done]
        failures: list[SourceError] = []
        for file in changed:
            try:
                async with contextlib.aclosing(self._file_pages(file, position.place)) as pages:
                    async for page in pages:
                        if page.ends_group:
                            done[file.group] = file.identity
                        complete = len(done) == len(files)
                        yield msgspec.structs.replace(
                            page,
                            position=_Position(done.copy(), None if page.ends_group else page.position, not complete),
                            sweep_groups=groups if complete else None,
                        )
            except SourceError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        if not changed and (full or position.sweeping or position.done.keys() != done.keys()):
            # Nothing to read, but a file went away, or all did: the sweep ends with what is left.
            yield Page("", 0, utc_now(), [], [], _Position(done), ends_group=True, sweep_groups=groups)

    def why_no_page(self) -> str | None:
        """Say that there is no file, where that is so."""
        if not self._is_empty:
            return None
        return (
            f"{self._csv_path} holds no CSV file yet; *.csv and *.csv.gz that are put there are read at the next poll"
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

    async def _file_pages(self, file: CsvFile, place: _Place | None) -> AsyncGenerator[Page, None]:
        run_sync = anyio.to_thread.run_sync
        reading = await run_sync(CsvReading, file)
        try:
            number = 0
            if place is not None and (place.group, place.identity) == (file.group, file.identity):
                number = place.number
                await run_sync(reading.seek, place.offset)
            at_end = False
            while not at_end:
                part = await run_sync(reading.read_slice, self._rows_a_page)
                at_end, fetched_at = part.at_end, utc_now()
                if number == 0:
                    check_readable(self, str(file.path), part.records, part.rejections, fetched_at)
                yield Page(
                    group=file.group,
                    number=number,
                    fetched_at=fetched_at,
                    records=part.records,
                    rejections=part.rejections,
                    position=_Place(file.group, file.identity, number + 1, part.offset),
                    ends_group=at_end,
                )
                number += 1
        finally:
            reading.close()

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        """Normalise one row. Raises RecordError."""
        row = decode_record(record, _ROW)
        columns, paths = columns_and_paths(tuple(row))
        symbol = row[columns.symbol]
        name = normalize_name(row[columns.name], paths["name"]) if columns.name else None
        name_words, core_words = name_key(name)
        time, time_path = _time(row, columns, paths)
        return Listing(
            external_id=record.external_id,
            ticker=normalize_ticker(symbol, paths["symbol"]),
            symbol=symbol,
            name=name,
            name_words=name_words,
            core_words=core_words,
            rank=rank_of(read_number(row, columns.rank), paths["rank"]),
            price_usd=positive(read_number(row, columns.price), paths["price"]),
            market_cap_usd=positive(read_number(row, columns.market_cap), paths["market_cap"]),
            volume_24h_usd=not_negative(read_number(row, columns.volume), paths["volume"]),
            percent_change_24h=signed(read_percent(row, columns), paths["percent" if columns.percent else "fraction"]),
            circulating_supply=positive(read_number(row, columns.circulating_supply), paths["circulating_supply"]),
            total_supply=positive(read_number(row, columns.total_supply), paths["total_supply"]),
            max_supply=positive(read_number(row, columns.max_supply), paths["max_supply"]),
            observed_at=observed_at(time, fetched_at, time_path),
            content_hash=record.content_hash,
        )

    async def close(self) -> None:
        """Nothing is held between runs."""


def _time(row: dict[str, str], columns: Columns, paths: dict[str, str]) -> tuple[str | None, str]:
    """Return the text that says when a row was observed, and its path: its file's word where its own is no use."""
    if columns.time and OBSERVED_AT not in row:
        return row[columns.time], paths["time"]
    return row.get(OBSERVED_AT), f"$.{OBSERVED_AT}"


def create(settings: Settings, *, name: str = "csv") -> CsvFiles:
    """Make the source that the settings describe."""
    path = settings.csv_path or str(settings.csv_folder)
    return CsvFiles(path, name=name, poll_seconds=settings.poll_seconds, made=settings.csv_path is None)
