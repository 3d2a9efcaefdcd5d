"""Exports: merged records or their history as a stream of bytes, in constant memory.

PostgreSQL writes the rows as CSV or JSON: no value becomes a Python object.
"""

import datetime
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from common.csv_injection import guard_sql
from db.connect.types import Connection
from db.export.columns import ExportColumn
from db.export.formats import Format, FormatEncoder
from db.points import COUNTED
from db.read.records import RecordPosition
from db.read.series import ASSET_LISTINGS

GRACE_SECONDS = 5.0
"""How much longer than the server's own time limit we wait for the end of an export."""

_PAUSE_SECONDS = 0.001
"""PostgreSQL sends 8 kB at a time: a pause lets several pieces arrive, which is twice as fast."""

Sink = Callable[[bytes], Awaitable[None]]

_TIME = "replace({}::timestamp || 'Z', ' ', 'T')"
# Characters that never occur in JSON: COPY's CSV leaves the lines unchanged. Its text format would
# double backslashes.
_JSON_QUOTE, _JSON_DELIMITER = "\x01", "\x02"


class ExportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions of an export; None leaves one out.

    The period includes both ends and is compared with the observation time.
    """

    tickers: Sequence[str] | None = None
    sources: Sequence[str] | None = None
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None


class RecordSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice of the selected records, in the order of the pages of `/data`."""

    limit: int
    offset: int
    after: RecordPosition | None


_WITHOUT_RECORD = """
SELECT requested FROM unnest($1::text[]) AS requested
WHERE NOT EXISTS (SELECT FROM normalized_records WHERE ticker = requested)
ORDER BY requested
"""
_WITHOUT_POINT = f"""
SELECT requested FROM unnest($1::text[]) AS requested
WHERE NOT EXISTS (
    SELECT FROM {ASSET_LISTINGS}
    JOIN price_points AS p ON p.listing = l.id
    WHERE n.ticker = requested
)
ORDER BY requested
"""  # noqa: S608 - of constants


class Dataset(msgspec.Struct, frozen=True):
    """A data set: its columns, tables and order of rows.

    `missing` is the statement that finds which of some tickers have no row, `noun` the name of a
    row in messages.
    """

    columns: tuple[ExportColumn, ...]
    tables: str
    conditions: str
    missing: str
    noun: str

    def select(self, form: Format, rest: str) -> str:
        """Return the statement whose rows COPY writes in the format `form`."""
        guard = guard_sql if form.name == "csv" else str
        columns = ", ".join(
            f"{guard(column.sql) if column.kind == 'text' else column.sql} AS {column.name}"
            for column in self.columns
        )
        # Composed of the constants below.
        sql = f"SELECT {columns} FROM {self.tables} WHERE {self.conditions} {rest}"  # noqa: S608
        # Likewise.
        return f"SELECT row_to_json(r) FROM ({sql}) AS r" if form.name == "ndjson" else sql  # noqa: S608


RECORDS = Dataset(
    (
        ExportColumn("id", "word", "id"),
        ExportColumn("ticker", "text", "ticker"),
        ExportColumn("name", "text", "name"),
        ExportColumn("price_usd", "number", "price_usd_exact"),
        ExportColumn("market_cap_usd", "number", "market_cap_usd"),
        ExportColumn("volume_24h_usd", "number", "volume_24h_usd"),
        ExportColumn("percent_change_24h", "number", "percent_change_24h"),
        ExportColumn("rank", "integer", "rank"),
        ExportColumn("source", "word", "source"),
        ExportColumn("created_at", "time", _TIME.format("created_at")),
        ExportColumn("ingested_at", "time", _TIME.format("ingested_at")),
    ),
    tables="normalized_records",
    conditions=(
        "($1::text[] IS NULL OR ticker = ANY ($1)) AND ($2::text[] IS NULL OR source = ANY ($2)) "
        "AND ($3::timestamptz IS NULL OR created_at >= $3) "
        "AND ($4::timestamptz IS NULL OR created_at <= $4)"
    ),
    missing=_WITHOUT_RECORD,
    noun="record",
)
"""The columns of `/data` and the rank, with every digit of the price.

A whole export has no order: to sort a million rows takes longer than to write them.
"""

HISTORY = Dataset(
    (
        ExportColumn("ticker", "text", "ticker"),
        ExportColumn("at", "time", _TIME.format("at")),
        ExportColumn("price_usd", "number", "price_usd"),
        ExportColumn("market_cap_usd", "number", "market_cap_usd"),
        ExportColumn("volume_24h_usd", "number", "volume_24h_usd"),
        ExportColumn("source", "word", "source"),
        ExportColumn("external_id", "text", "external_id"),
    ),
    tables=f"""(
        SELECT n.ticker, l.source, l.external_id, l.id
        FROM {ASSET_LISTINGS}
        WHERE ($1::text[] IS NULL OR n.ticker = ANY ($1))
          AND ($2::text[] IS NULL OR l.source = ANY ($2))
        ORDER BY n.ticker, l.source, l.external_id
    ) AS series
    CROSS JOIN LATERAL (
        SELECT p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd
        FROM price_points AS p
        WHERE p.listing = series.id AND {COUNTED}
          AND ($3::timestamptz IS NULL OR p.at >= $3) AND ($4::timestamptz IS NULL OR p.at <= $4)
        ORDER BY p.at
    ) AS point""",  # noqa: S608 - of constants
    conditions="true",
    missing=_WITHOUT_POINT,
    noun="price point",
)
"""The points of each source, by ticker, source and time: a loop over the series keeps the order."""

# Qualified names, since a guarded cell is named like its column.
SLICE = """
AND ($5::text IS NULL OR CASE
    WHEN $6::numeric IS NULL THEN market_cap_usd IS NULL AND ticker > $5
    ELSE market_cap_usd IS NULL OR market_cap_usd < $6 OR (market_cap_usd = $6 AND ticker > $5)
END)
ORDER BY normalized_records.market_cap_usd DESC NULLS LAST, normalized_records.ticker
LIMIT $7::bigint OFFSET $8::bigint
"""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An export: the data set, the rows and the format. `part` is for RECORDS alone."""

    dataset: Dataset
    form: Format
    selection: ExportQuery
    part: RecordSlice | None = None

    @property
    def sql(self) -> str:
        """The statement whose rows COPY writes."""
        return self.dataset.select(self.form, "" if self.part is None else SLICE)

    @property
    def arguments(self) -> list[Any]:
        """The parameters of the statement."""
        if self.part is None:
            return _arguments(self.selection)
        after = self.part.after
        position = [after and after.ticker, after and after.market_cap_usd]
        return [*_arguments(self.selection), *position, self.part.limit, self.part.offset]

    def encoder(self) -> FormatEncoder:
        """Return an encoder of this file.

        Raises ArrowMissingError if the format needs pyarrow and it is not installed.
        """
        return self.form.encoder(self.dataset.columns)


class NoSuchTickerError(Exception):
    """A ticker of the conditions has no row at all; the message is one sentence."""


async def check_tickers(connection: Connection, export: Export) -> None:
    """Raise NoSuchTickerError unless every ticker of the export has a row."""
    if not export.selection.tickers:
        return
    missing = [
        row[0] for row in await connection.fetch(export.dataset.missing, export.selection.tickers)
    ]
    if missing:
        more = f" ({len(missing) - 1} more have none either)" if len(missing) > 1 else ""
        raise NoSuchTickerError(
            f"There is no {export.dataset.noun} of the ticker {missing[0]}{more}"
        )


async def write_export(
    connection: Connection,
    export: Export,
    encoder: FormatEncoder,
    sink: Sink,
    *,
    timeout_seconds: float | None = None,
) -> int:
    """Write a file into `sink`, block by block, and return its number of rows.

    The connection keeps `timeout_seconds` as its statement time-out; None means no limit. Raises
    the errors of the database and of the sink, before or after the first block.
    """
    form = export.form
    json = form.name == "ndjson"
    milliseconds = round((timeout_seconds or 0) * 1000)
    await connection.execute("SELECT set_config('statement_timeout', $1, false)", str(milliseconds))
    blocks = _Blocks(form, encoder, sink)
    status = await connection.copy_from_query(
        export.sql,
        *export.arguments,
        output=blocks.add,
        timeout=timeout_seconds and timeout_seconds + GRACE_SECONDS,
        format="csv",
        header=form.name == "csv",
        quote=_JSON_QUOTE if json else None,
        delimiter=_JSON_DELIMITER if json else None,
    )
    await blocks.finish()
    return int(status.removeprefix("COPY "))


async def count_rows(connection: Connection, dataset: Dataset, selection: ExportQuery) -> int:
    """Return how many rows match now."""
    # Composed of the constants above.
    sql = f"SELECT count(*) FROM {dataset.tables} WHERE {dataset.conditions}"  # noqa: S608
    count: int = await connection.fetchval(sql, *_arguments(selection))
    return count


def _arguments(selection: ExportQuery) -> list[Any]:
    return [selection.tickers, selection.sources, selection.start, selection.end]


class _Blocks:
    """Collects the rows that COPY sends into blocks of whole rows."""

    def __init__(self, form: Format, encoder: FormatEncoder, sink: Sink) -> None:
        self._block_bytes = form.block_bytes
        self._in_thread = form.arrow
        self._encoder = encoder
        self._sink = sink
        self._parts: list[bytes] = []
        self._size = 0

    async def add(self, rows: bytes) -> None:
        """Add rows: PostgreSQL sends each row in one message of its protocol, never divided."""
        self._parts.append(rows)
        self._size += len(rows)
        if self._size >= self._block_bytes:
            await self._flush()
        await anyio.sleep(_PAUSE_SECONDS)

    async def finish(self) -> None:
        """Write the last block and the end of the file."""
        if self._parts:
            await self._flush()
        await self._write(self._encoder.finish())

    async def _flush(self) -> None:
        block = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        encode = self._encoder.encode
        # pyarrow is slow and releases the GIL.
        await self._write(
            await anyio.to_thread.run_sync(encode, block) if self._in_thread else encode(block)
        )

    async def _write(self, data: bytes) -> None:
        if data:
            await self._sink(data)
