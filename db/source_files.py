"""Reports on how each file of a source was read: form, columns, first rows, unread columns."""

import datetime
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.notes import Note, merge_notes

MAX_FILES = 20
"""Reports of a source that are stored: those of the files read last."""

_READING = "SELECT reading FROM source_files WHERE source = $1 AND name = $2"
_SAVE_READING = """
INSERT INTO source_files (source, name, reading) VALUES ($1, $2, $3)
ON CONFLICT (source, name) DO UPDATE SET reading = excluded.reading
"""
_SAVE = """
INSERT INTO source_files (source, name, read_at, report) VALUES ($1, $2, $3, $4)
ON CONFLICT (source, name) DO UPDATE SET
    read_at = excluded.read_at, report = excluded.report, reading = NULL
"""
_DELETE_ALL_BUT_NEWEST = """
DELETE FROM source_files
WHERE source = $1 AND name IN (
    SELECT name FROM source_files WHERE source = $1 ORDER BY read_at DESC NULLS FIRST,
        name OFFSET $2
)
"""
_DELETE_OTHER_NAMES = "DELETE FROM source_files WHERE source = $1 AND name <> ALL ($2::text[])"
_FILES = """
SELECT source, read_at, report
FROM source_files
WHERE source = ANY ($1::text[]) AND report IS NOT NULL
ORDER BY source, read_at DESC, name
"""

_KINDS = {"csv": "CSV", "json": "JSON", "ndjson": "JSON, one object a line", "parquet": "Parquet"}
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


class FileForm(msgspec.Struct, frozen=True, kw_only=True):
    """The form of a file: `kind` is `csv`, `json`, `ndjson` or `parquet`.

    `packed` is "" for a file that is not packed. `encoding` and `header_line` are None for a kind
    without them, and `header_line` for a file without a header.
    """

    kind: str
    packed: str = ""
    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None

    @property
    def summary(self) -> str:
        """The form in words."""
        parts = [
            _KINDS.get(self.kind, self.kind),
            self.encoding,
            self.packed and f"packed as {self.packed}",
        ]
        if self.delimiter is not None:
            parts.append(f"delimiter: {_DELIMITERS.get(self.delimiter, self.delimiter)}")
        if self.kind == "csv":
            parts.append(
                "no header line"
                if self.header_line is None
                else f"header on line {self.header_line:,}"
            )
        return ", ".join(part for part in parts if part)


class FileColumn(msgspec.Struct, frozen=True, gc=False):
    """How the `role` of a listing is read; `header` is None if it is not from a column."""

    role: str
    header: str | None
    how: str


class FirstListing(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The listing of one of a file's first rows, with decimal numbers in plain digits."""

    external_id: str
    ticker: str
    name: str | None = None
    rank: int | None = None
    price_usd: str | None = None
    market_cap_usd: str | None = None
    volume_24h_usd: str | None = None
    percent_change_24h: float | None = None
    circulating_supply: str | None = None
    total_supply: str | None = None
    max_supply: str | None = None
    observed_at: datetime.datetime
    has_own_time: bool = True


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is and how it is read; every list is bounded.

    `rows` counts all rows, `rejected` the unreadable ones. `unread_count` counts the unread
    columns, and `unread` names the first of them.
    """

    name: str
    form: FileForm
    columns: tuple[FileColumn, ...]
    unread: tuple[str, ...]
    unread_count: int
    rows: int
    rejected: int = 0
    first: tuple[FirstListing, ...] = ()
    notes: tuple[Note, ...] = ()


class FilePart(msgspec.Struct, frozen=True):
    """The part of a report from one page; the first has the first rows, the last completes it."""

    report: FileReport
    is_first: bool
    is_last: bool


_REPORT = msgspec.json.Decoder(FileReport)


async def save_file_part(
    connection: Connection,
    source: str,
    part: FilePart,
    *,
    rejected: int,
    notes: Sequence[Note],
    now: datetime.datetime,
) -> None:
    """Add a page's `rejected` and `notes` to the report of its file; the caller holds the lock.

    The previous report stays until the last page. Only the MAX_FILES newest reports are stored.
    """
    report = part.report
    before = None if part.is_first else await connection.fetchval(_READING, source, report.name)
    if before is not None:
        previous = _REPORT.decode(before)
        report = msgspec.structs.replace(report, first=previous.first, rejected=previous.rejected)
        notes = [*previous.notes, *notes]
    together = tuple(merge_notes([*report.notes, *notes]))
    report = msgspec.structs.replace(report, rejected=report.rejected + rejected, notes=together)
    if part.is_last:
        await connection.execute(_SAVE, source, report.name, now, report)
        await connection.execute(_DELETE_ALL_BUT_NEWEST, source, MAX_FILES)
    else:
        await connection.execute(_SAVE_READING, source, report.name, report)


async def forget_files(connection: Connection, source: str, names: Sequence[str]) -> None:
    """Delete the reports of all other files of `source`."""
    await connection.execute(_DELETE_OTHER_NAMES, source, list(names))


class SourceFileRow(msgspec.Struct, frozen=True, gc=False):
    """The report of a file as clients see it."""

    name: str
    read_at: datetime.datetime
    form: str
    rows: int
    rejected: int
    columns: tuple[FileColumn, ...]
    unread_headers: tuple[str, ...]
    unread_count: int
    notes: tuple[Note, ...]
    first_listings: tuple[FirstListing, ...]


async def files_of_sources(
    connection: Connection, sources: Sequence[str]
) -> dict[str, list[SourceFileRow]]:
    """Return the files of each source that has any, newest reading first."""
    files: defaultdict[str, list[SourceFileRow]] = defaultdict(list)
    for source, read_at, report in await connection.fetch(_FILES, list(sources)):
        files[source].append(_row(_REPORT.decode(report), read_at))
    return dict(files)


def _row(report: FileReport, read_at: datetime.datetime) -> SourceFileRow:
    return SourceFileRow(
        name=report.name,
        read_at=read_at,
        form=report.form.summary,
        rows=report.rows,
        rejected=report.rejected,
        columns=report.columns,
        unread_headers=report.unread,
        unread_count=report.unread_count,
        notes=report.notes,
        first_listings=report.first,
    )
