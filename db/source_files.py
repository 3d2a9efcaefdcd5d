"""How each file of a source was read, for people: its form, its columns, its first rows, what was not read."""

import datetime
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.notes import Note, gathered

MAX_FILES = 20
"""Files of a source whose reports are kept: those that were read last."""

_READING = "SELECT reading FROM source_files WHERE source = $1 AND name = $2"
_SAVE_READING = """
INSERT INTO source_files (source, name, reading) VALUES ($1, $2, $3)
ON CONFLICT (source, name) DO UPDATE SET reading = excluded.reading
"""
_SAVE = """
INSERT INTO source_files (source, name, read_at, report) VALUES ($1, $2, $3, $4)
ON CONFLICT (source, name) DO UPDATE SET read_at = excluded.read_at, report = excluded.report,
    reading = NULL
"""
_KEEP_NEWEST = """
DELETE FROM source_files
WHERE source = $1 AND name IN (
    SELECT name FROM source_files WHERE source = $1 ORDER BY read_at DESC NULLS FIRST,
        name OFFSET $2
)
"""
_KEEP_NAMES = "DELETE FROM source_files WHERE source = $1 AND name <> ALL ($2::text[])"
_FILES = """
SELECT source, read_at, report
FROM source_files
WHERE source = ANY ($1::text[]) AND report IS NOT NULL
ORDER BY source, read_at DESC, name
"""

_KINDS = {"csv": "CSV", "json": "JSON", "ndjson": "JSON, one object a line", "parquet": "Parquet"}
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


class FileForm(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is written. `kind` is `csv`, `json`, `ndjson` or `parquet`; `packed` is "" where it is not packed.

    `encoding` and `header_line` are None where the kind has none, and `header_line` where the file
    has no header.
    """

    kind: str
    packed: str = ""
    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None

    @property
    def described(self) -> str:
        """Return it in words."""
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
    """What is read as a listing's `role`, and how; `header` is None where it is not a column that says it."""

    role: str
    header: str | None
    how: str


class FirstListing(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What one of a file's first rows becomes; the figures are those of a listing, decimal ones in plain digits."""

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
    """What a file is and how it is read; every list in it is bounded.

    `rows` counts all rows, `rejected` those that are not read; `unread_count` is how many columns
    are not read, of which `unread` names the first.
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
    """What one page adds to the report of its file; the first one has its first rows, the last one completes it."""

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
    """Add a page's `rejected` and `notes` to the report of its file; the caller's transaction holds the source's lock.

    The report of an earlier reading stays until the last page. Of the files read before the last
    MAX_FILES none is kept.
    """
    report = part.report
    before = None if part.is_first else await connection.fetchval(_READING, source, report.name)
    if before is not None:
        known = _REPORT.decode(before)
        report = msgspec.structs.replace(report, first=known.first, rejected=known.rejected)
        notes = [*known.notes, *notes]
    together = tuple(gathered([*report.notes, *notes]))
    report = msgspec.structs.replace(report, rejected=report.rejected + rejected, notes=together)
    if part.is_last:
        await connection.execute(_SAVE, source, report.name, now, report)
        await connection.execute(_KEEP_NEWEST, source, MAX_FILES)
    else:
        await connection.execute(_SAVE_READING, source, report.name, report)


async def forget_files(connection: Connection, source: str, names: Sequence[str]) -> None:
    """Forget the reports of all files of `source` but these."""
    await connection.execute(_KEEP_NAMES, source, list(names))


class SourceFileRow(msgspec.Struct, frozen=True, gc=False):
    """The report of a file with its parts as they are shown."""

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
    """Return the files of each source, the one that was read last first; sources without one are left out."""
    found: defaultdict[str, list[SourceFileRow]] = defaultdict(list)
    for source, read_at, report in await connection.fetch(_FILES, list(sources)):
        found[source].append(_row(_REPORT.decode(report), read_at))
    return dict(found)


def _row(report: FileReport, read_at: datetime.datetime) -> SourceFileRow:
    return SourceFileRow(
        name=report.name,
        read_at=read_at,
        form=report.form.described,
        rows=report.rows,
        rejected=report.rejected,
        columns=report.columns,
        unread_headers=report.unread,
        unread_count=report.unread_count,
        notes=report.notes,
        first_listings=report.first,
    )
