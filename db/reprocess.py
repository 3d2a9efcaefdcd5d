"""Reprocessing: the job under way, the payloads that it reads, and what it has made of them so far."""

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from db.listings import Listing
from db.types import Connection

# "KASr" read as a big-endian number, as in db/locks.py.
_LOCK = 0x4B415372
_TRY_LOCK = "SELECT pg_try_advisory_lock($1::integer, 0)"
_UNLOCK = "SELECT pg_advisory_unlock($1::integer, 0)"

_TABLES = (
    "reprocess_job, reprocess_progress, reprocess_versions, reprocess_listings, reprocess_needed, reprocess_rewritten, "
    "reprocess_coins, reprocess_owned, reprocess_points, reprocess_touched"
)
_CLEAR = f"TRUNCATE {_TABLES}"
_ANALYZE = "ANALYZE reprocess_versions, reprocess_listings"

_FIND_JOB = """
SELECT started_at FROM reprocess_job WHERE sources = $1 AND since IS NOT DISTINCT FROM $2 AND code = $3
"""
_START_JOB = "INSERT INTO reprocess_job (sources, since, code, started_at) VALUES ($1, $2, $3, $4)"
_ADD_SOURCES = "INSERT INTO reprocess_progress (source, rebuilt) SELECT s, s = ANY ($1) FROM unnest($2::text[]) AS s"
_PROGRESS = """
SELECT source, rebuilt, complete, total, processed, failed, changed FROM reprocess_progress ORDER BY source
"""
_SET_TOTAL = "UPDATE reprocess_progress SET total = $2 WHERE source = $1"
_ADVANCE = "UPDATE reprocess_progress SET processed = processed + $2, failed = failed + $3 WHERE source = $1"
_COMPLETE = "UPDATE reprocess_progress SET complete = true WHERE source = $1"
_FIND_NEEDED = """
INSERT INTO reprocess_needed (source, external_id)
SELECT l.source, l.external_id
FROM listings AS l JOIN reprocess_progress AS p ON p.source = l.source AND NOT p.rebuilt
WHERE l.ticker IN (
    SELECT o.ticker FROM listings AS o JOIN reprocess_progress AS q ON q.source = o.source AND q.rebuilt
    UNION SELECT w.ticker FROM reprocess_listings AS w
)
ON CONFLICT DO NOTHING
"""

# Staged in the order of this key, so the greatest staged key is where an interrupted reading goes on.
_POSITION = """
SELECT external_id, ingested_at, content_hash
FROM reprocess_versions
WHERE source = $1
ORDER BY external_id DESC, ingested_at DESC, content_hash DESC
LIMIT 1
"""
_READ = """
SELECT r.external_id, r.ingested_at, r.content_hash, r.payload
FROM raw_api_records AS r
WHERE r.source = $1 AND r.ingested_at >= $2
  AND (r.external_id, r.ingested_at, r.content_hash) > ($3, $4, $5)
  AND ($6 OR EXISTS (SELECT FROM reprocess_needed AS n WHERE n.source = r.source AND n.external_id = r.external_id))
ORDER BY r.external_id, r.ingested_at, r.content_hash
LIMIT $7
"""
# What was committed since the reading went past it.
_READ_LATE = _READ.replace(
    "ORDER BY",
    """AND NOT EXISTS (
    SELECT FROM reprocess_versions AS v
    WHERE v.source = r.source AND v.external_id = r.external_id
      AND v.ingested_at = r.ingested_at AND v.content_hash = r.content_hash
  )
ORDER BY""",
)
_COUNT = """
SELECT count(*)
FROM raw_api_records AS r
WHERE r.source = $1 AND r.ingested_at >= $2
  AND ($3 OR EXISTS (SELECT FROM reprocess_needed AS n WHERE n.source = r.source AND n.external_id = r.external_id))
"""
# A payload is late when its run ended after we began: no other run could still write. The clocks of two machines
# may differ by minutes; then a payload more is looked at, none less.
_LATE_FROM = """
SELECT min(started_at) - interval '5 minutes'
FROM etl_runs
WHERE source = $1 AND kind = 'ingest' AND coalesce(finished_at > $2::timestamptz - interval '5 minutes', true)
"""
_READ_REJECTED = """
SELECT DISTINCT ON (r.external_id, r.payload) r.id, r.external_id, r.payload, r.rejected_at
FROM rejected_records AS r JOIN etl_runs AS e ON e.id = r.run_id
WHERE r.source = $1 AND r.rejected_at >= $2 AND r.external_id IS NOT NULL AND e.kind = 'ingest'
ORDER BY r.external_id, r.payload, r.id
"""

_STAGE = """
INSERT INTO reprocess_versions (
    source, external_id, ingested_at, content_hash, ticker, observed_at, price_usd, market_cap_usd, volume_24h_usd,
    error, rejection_id
)
SELECT
    $1, external_id, ingested_at, decode(content_hash, 'base64'), ticker, observed_at, price_usd, market_cap_usd,
    volume_24h_usd, error, rejection_id
FROM json_to_recordset($2::json) AS r (
    external_id text, ingested_at timestamptz, content_hash text, ticker text, observed_at timestamptz,
    price_usd numeric, market_cap_usd numeric, volume_24h_usd numeric, error text, rejection_id bigint
)
ON CONFLICT DO NOTHING
"""
# A listing is the greatest of what its source said, in the order of db/listings.py.
_STAGE_LISTINGS = """
INSERT INTO reprocess_listings AS w (
    source, external_id, ticker, symbol, name, name_words, core_words, rank, price_usd, market_cap_usd,
    volume_24h_usd, percent_change_24h, circulating_supply, total_supply, max_supply, observed_at, ingested_at,
    content_hash
)
SELECT
    $1, external_id, ticker, symbol, name, name_words, core_words, rank, price_usd, market_cap_usd,
    volume_24h_usd, percent_change_24h, circulating_supply, total_supply, max_supply, observed_at, ingested_at,
    decode(content_hash, 'base64')
FROM json_to_recordset($2::json) AS r (
    external_id text, ticker text, symbol text, name text, name_words text, core_words text, rank integer,
    price_usd numeric, market_cap_usd numeric, volume_24h_usd numeric, percent_change_24h numeric,
    circulating_supply numeric, total_supply numeric, max_supply numeric, observed_at timestamptz,
    ingested_at timestamptz, content_hash text
)
ON CONFLICT (source, external_id) DO UPDATE SET
    ticker = excluded.ticker, symbol = excluded.symbol, name = excluded.name, name_words = excluded.name_words,
    core_words = excluded.core_words, rank = excluded.rank, price_usd = excluded.price_usd,
    market_cap_usd = excluded.market_cap_usd, volume_24h_usd = excluded.volume_24h_usd,
    percent_change_24h = excluded.percent_change_24h, circulating_supply = excluded.circulating_supply,
    total_supply = excluded.total_supply, max_supply = excluded.max_supply, observed_at = excluded.observed_at,
    ingested_at = excluded.ingested_at, content_hash = excluded.content_hash
WHERE (excluded.observed_at, excluded.ingested_at, excluded.content_hash)
    > (w.observed_at, w.ingested_at, w.content_hash)
"""


def _of_kind(statement: str) -> dict[str, str]:
    return {"api": statement, "file": statement.replace("raw_api_records", "raw_csv_records")}


_READ_FROM, _READ_LATE_FROM, _COUNT_IN = _of_kind(_READ), _of_kind(_READ_LATE), _of_kind(_COUNT)

Kind = Literal["api", "file"]
BEGINNING = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)


class Job(msgspec.Struct, frozen=True):
    """What is rebuilt, `since` when payloads must have arrived (None for all), and whether it goes on from earlier."""

    sources: list[str]
    since: datetime.datetime | None
    started_at: datetime.datetime
    resumed: bool


class Progress(msgspec.Struct, frozen=True):
    """How far one source is; `rebuilt` is false where it is read only for the history of shared coins."""

    source: str
    rebuilt: bool
    complete: bool
    total: int
    processed: int
    failed: int
    changed: int


class Position(msgspec.Struct, frozen=True):
    """The key of the payload that was read last."""

    external_id: str = ""
    ingested_at: datetime.datetime = BEGINNING
    content_hash: bytes = b""


class Payload(msgspec.Struct, frozen=True, gc=False):
    """A payload as it is kept; `content_hash` is of the bytes as they once arrived."""

    external_id: str
    ingested_at: datetime.datetime
    content_hash: bytes
    raw: bytes
    rejection_id: int | None = None


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A record that could not be read when it came."""

    id: int
    external_id: str
    payload: bytes
    rejected_at: datetime.datetime


class Version(msgspec.Struct, frozen=True, gc=False):
    """What a payload says now, as far as history needs it; or the error why it cannot be read."""

    external_id: str
    ingested_at: datetime.datetime
    content_hash: bytes
    ticker: str | None
    observed_at: datetime.datetime | None
    price_usd: Decimal | None
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None
    error: str | None
    rejection_id: int | None


async def try_lock(connection: Connection) -> bool:
    """Take this session's right to be the one reprocess at a time, unless somebody alive has it."""
    taken: bool = await connection.fetchval(_TRY_LOCK, _LOCK)
    return taken


async def unlock(connection: Connection) -> None:
    """Give up that right."""
    await connection.execute(_UNLOCK, _LOCK)


async def open_job(
    connection: Connection,
    sources: Sequence[str],
    others: Sequence[str],
    *,
    since: datetime.datetime | None,
    code: bytes,
    now: datetime.datetime,
) -> Job:
    """Go on with the same job if it was interrupted, else begin it; whatever other job there was is dropped."""
    wanted = sorted(sources)
    async with connection.transaction():
        started_at = await connection.fetchval(_FIND_JOB, wanted, since, code)
        if started_at is not None:
            return Job(wanted, since, started_at, resumed=True)
        await connection.execute(_CLEAR)
        await connection.execute(_START_JOB, wanted, since, code, now)
        await connection.execute(_ADD_SOURCES, wanted, [*wanted, *others])
    return Job(wanted, since, now, resumed=False)


async def clear_job(connection: Connection) -> None:
    """Forget the job: it is done."""
    await connection.execute(_CLEAR)


async def read_progress(connection: Connection) -> dict[str, Progress]:
    """Return how far each source is, by its name."""
    return {row["source"]: Progress(**row) for row in await connection.fetch(_PROGRESS)}


async def count_payloads(
    connection: Connection, source: str, kind: Kind, *, since: datetime.datetime | None, rebuilt: bool
) -> int:
    """Count the payloads that are to be read of `source`, and keep that number as its total."""
    total: int = await connection.fetchval(_COUNT_IN[kind], source, since or BEGINNING, rebuilt)
    await connection.execute(_SET_TOTAL, source, total)
    return total


async def find_needed(connection: Connection) -> None:
    """Note the listings of the other sources whose tickers the rebuilt sources touch."""
    await connection.execute(_FIND_NEEDED)


async def position_of(connection: Connection, source: str) -> Position:
    """Return the greatest key that is staged of `source`."""
    row = await connection.fetchrow(_POSITION, source)
    return Position() if row is None else Position(**row)


async def read_payloads(
    connection: Connection,
    source: str,
    kind: Kind,
    *,
    since: datetime.datetime,
    after: Position,
    rebuilt: bool,
    late: bool,
    limit: int,
) -> list[Payload]:
    """Return the next payloads behind `after` that arrived from `since` on; `late` leaves out what is staged."""
    statement = _READ_LATE_FROM[kind] if late else _READ_FROM[kind]
    rows = await connection.fetch(
        statement, source, since, after.external_id, after.ingested_at, after.content_hash, rebuilt, limit
    )
    return [Payload(row[0], row[1], row[2], bytes(row[3])) for row in rows]


async def late_from(connection: Connection, source: str, started_at: datetime.datetime) -> datetime.datetime | None:
    """Return since when payloads may have come that the reading did not see; None where no run can have brought one."""
    moment: datetime.datetime | None = await connection.fetchval(_LATE_FROM, source, started_at)
    return moment


async def read_rejected(connection: Connection, source: str, since: datetime.datetime | None) -> list[Rejected]:
    """Return each distinct rejected record of `source` whose external id could be read."""
    return [Rejected(*row) for row in await connection.fetch(_READ_REJECTED, source, since or BEGINNING)]


async def stage(
    connection: Connection,
    source: str,
    versions: Sequence[Version],
    listings: Sequence[tuple[datetime.datetime, Listing]],
) -> None:
    """Keep what payloads say now, and of each listing the greatest version: (when it arrived, the listing)."""
    await connection.execute(_STAGE, source, msgspec.json.encode(versions))
    if listings:
        rows = [_bare(listing) | {"ingested_at": ingested_at} for ingested_at, listing in listings]
        await connection.execute(_STAGE_LISTINGS, source, msgspec.json.encode(rows))


def _bare(listing: Listing) -> dict[str, object]:
    row = msgspec.structs.asdict(listing)
    del row["payload"]
    return row


async def advance(connection: Connection, source: str, *, processed: int, failed: int) -> None:
    """Count payloads as read."""
    await connection.execute(_ADVANCE, source, processed, failed)


async def complete(connection: Connection, source: str) -> None:
    """Note that the source was read to its end; from here on only what came late is missing."""
    await connection.execute(_COMPLETE, source)


async def analyze(connection: Connection) -> None:
    """Let the planner know what was staged."""
    await connection.execute(_ANALYZE)
