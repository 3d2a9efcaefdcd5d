"""Listings: what one source says of one asset.

Writing a page of them, and the payloads that they came from.
"""

import datetime
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Literal

import asyncpg
import msgspec

from db.connect.types import Connection
from db.notes import Note


class Listing(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One source's view of one asset, normalised; None is missing.

    Money in US dollars, percent as per cent.
    """

    external_id: str
    ticker: str
    symbol: str
    name: str | None
    name_words: str
    core_words: str
    rank: int | None
    price_usd: Decimal | None
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None
    percent_change_24h: Decimal | None
    circulating_supply: Decimal | None
    total_supply: Decimal | None
    max_supply: Decimal | None
    observed_at: datetime.datetime
    content_hash: bytes
    has_own_time: bool = True
    """False where the record does not say when it was observed, and a file's date stands in."""
    notes: tuple[Note, ...] = ()
    """What of the record could not be read and is missing; not a part of the row."""


class EncodedListings(msgspec.Struct, frozen=True):
    """Listings and the payloads that they came from, in the same order, as the statement takes them.

    A payload within its row would be read twice more.
    """

    rows: bytes
    payloads: list[str]


class ListingsWritten(msgspec.Struct, frozen=True):
    """What writing listings did: payloads not seen before, and the tickers whose coins must be merged anew."""

    changed: int
    tickers: frozenset[str]


# By an array of keys, not by a join: whatever the planner takes the table for, it looks each up in
# the index. As JSON, because asyncpg takes longer to encode an array.
_KNOWN = """
SELECT external_id, content_hash, ticker
FROM listings
WHERE source = $1 AND external_id = ANY (ARRAY(SELECT json_array_elements_text($2::json)))
"""

# The write lock is held: what commits later has a later `moment`, by one clock for all ingestors,
# which no setting of it turns back.
MOMENT = """moment AS (
    UPDATE raw_clock SET at = greatest(clock_timestamp(),
        at + interval '1 microsecond') RETURNING at
),
reader AS (
    INSERT INTO raw_readers (source, arrived_from, code)
    SELECT $1, at, $2
    FROM moment
    WHERE $2 IS DISTINCT FROM (SELECT code FROM raw_readers WHERE source = $1
        ORDER BY arrived_from DESC LIMIT 1)
)
"""
"""The beginning of a statement that writes payloads of the source $1, as code of the digest $2 reads them."""
# A payload that did not win (it is older than what the listing holds) is kept once, for audit; one
# that won is a change and is kept always. The newest of an external id within the page goes into
# the listing.
_WRITE = f"""
WITH {MOMENT},
incoming AS MATERIALIZED (
    SELECT r.*, decode(r.content_hash, 'base64') AS digest
    FROM ROWS FROM (
        json_to_recordset($5::json) AS (
            external_id text, ticker text, symbol text, name text, name_words text, core_words text,
                rank integer,
            price_usd numeric, market_cap_usd numeric, volume_24h_usd numeric,
                percent_change_24h numeric,
            circulating_supply numeric, total_supply numeric, max_supply numeric,
                observed_at timestamptz,
            content_hash text, has_own_time boolean
        ),
        unnest($6::text[])
    ) AS r (
        external_id, ticker, symbol, name, name_words, core_words, rank, price_usd, market_cap_usd,
            volume_24h_usd,
        percent_change_24h, circulating_supply, total_supply, max_supply, observed_at, content_hash,
            has_own_time,
        payload
    )
),
newest AS MATERIALIZED (
    SELECT DISTINCT ON (external_id)
        external_id, ticker, symbol, name, name_words, core_words, rank, price_usd, market_cap_usd,
            volume_24h_usd,
        percent_change_24h, circulating_supply, total_supply, max_supply, observed_at, digest,
            has_own_time
    FROM incoming
    ORDER BY external_id, observed_at DESC, digest DESC
),
-- Whose asset owns a ticker is for the merge to say; of one that nobody had, it will hardly say otherwise.
taken AS MATERIALIZED (
    SELECT ticker FROM listings WHERE $7::boolean
        AND ticker = ANY (ARRAY(SELECT ticker FROM newest))
),
written AS (
    INSERT INTO listings AS l (
        source, external_id, ticker, symbol, name, name_words, core_words, rank, price_usd,
            market_cap_usd,
        volume_24h_usd, percent_change_24h, circulating_supply, total_supply, max_supply,
            observed_at, content_hash,
        fetched_at, first_seen_at, last_seen_at, contributes, has_own_time
    )
    SELECT
        $1, external_id, ticker, symbol, name, name_words, core_words, rank, price_usd,
            market_cap_usd,
        volume_24h_usd, percent_change_24h, circulating_supply, total_supply, max_supply,
            observed_at, digest,
        $3, $3, $3, $7 AND ticker NOT IN (SELECT ticker FROM taken), coalesce(has_own_time, true)
    FROM newest
    ORDER BY external_id
    ON CONFLICT (source, external_id) DO UPDATE SET
        ticker = excluded.ticker, symbol = excluded.symbol, name = excluded.name,
            name_words = excluded.name_words,
        core_words = excluded.core_words, rank = excluded.rank, price_usd = excluded.price_usd,
        market_cap_usd = excluded.market_cap_usd, volume_24h_usd = excluded.volume_24h_usd,
        percent_change_24h = excluded.percent_change_24h,
            circulating_supply = excluded.circulating_supply,
        total_supply = excluded.total_supply, max_supply = excluded.max_supply,
            observed_at = excluded.observed_at,
        content_hash = excluded.content_hash, fetched_at = excluded.fetched_at,
            has_own_time = excluded.has_own_time,
        last_seen_at = greatest(l.last_seen_at, excluded.last_seen_at)
    WHERE (excluded.observed_at, excluded.fetched_at, excluded.content_hash)
        > (l.observed_at, l.fetched_at, l.content_hash)
    RETURNING l.external_id, l.ticker, l.content_hash
),
-- By an array of keys, not by a join, as above.
kept_before AS MATERIALIZED (
    SELECT external_id, content_hash
    FROM raw_api_records
    WHERE source = $1 AND external_id = ANY (ARRAY(
        SELECT external_id
        FROM incoming
        WHERE (external_id, digest) NOT IN (SELECT external_id, content_hash FROM written)
    ))
),
kept AS (
    INSERT INTO raw_api_records (source, external_id, payload, ingested_at, fetched_at, run_id,
        content_hash)
    SELECT DISTINCT ON (i.external_id, i.digest) $1, i.external_id, i.payload::jsonb, m.at, $3, $4,
        i.digest
    FROM incoming AS i CROSS JOIN moment AS m
    WHERE (i.external_id, i.digest) IN (SELECT external_id, content_hash FROM written)
       OR (i.external_id, i.digest) NOT IN (SELECT external_id, content_hash FROM kept_before)
    ORDER BY i.external_id, i.digest
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM kept) AS changed,
    ARRAY(SELECT DISTINCT ticker FROM written) AS tickers
"""  # noqa: S608 - of constants
_WRITE_TO = {"api": _WRITE, "file": _WRITE.replace("raw_api_records", "raw_csv_records")}

_ANY_TO_REVIVE = (
    "SELECT EXISTS (SELECT FROM listings WHERE source = $1 AND missing_since IS NOT NULL)"
)
_REVIVE = """
UPDATE listings
SET active = true, missing_since = NULL, last_seen_at = greatest(last_seen_at, $3)
WHERE source = $1 AND missing_since IS NOT NULL AND external_id = ANY ($2::text[])
RETURNING ticker
"""

_COUNT_MISSING = """
SELECT
    count(*) FILTER (WHERE external_id NOT IN (SELECT unnest(external_ids) FROM source_pages
        WHERE source = $1)),
    count(*)
FROM listings
WHERE source = $1 AND active
"""
_MARK_MISSING = """
UPDATE listings
SET active = $3 = 0 OR ($3 > 1 AND missing_since IS NULL),
    last_seen_at = CASE WHEN missing_since IS NULL THEN greatest(last_seen_at, $4) ELSE last_seen_at
        END,
    missing_since = coalesce(missing_since, $2)
WHERE source = $1 AND active
  AND external_id NOT IN (SELECT unnest(external_ids) FROM source_pages WHERE source = $1)
RETURNING ticker, active
"""
_ANY_MISSING = "SELECT EXISTS (SELECT FROM listings WHERE source = $1 AND missing_since IS NOT NULL AND active)"


class MissingListings(msgspec.Struct, frozen=True):
    """How many of the active listings a sweep did not find, and how many are active."""

    missing: int
    active: int


class KnownListing(msgspec.Struct, frozen=True, gc=False):
    """What a listing holds before a page is written."""

    content_hash: bytes
    ticker: str


async def known_listings(
    connection: Connection, source: str, external_ids: Collection[str]
) -> dict[str, KnownListing]:
    """Return what is known of these listings, by external id; new ones are left out."""
    rows = await connection.fetch(_KNOWN, source, msgspec.json.encode(list(external_ids)))
    return {
        external_id: KnownListing(content_hash, ticker)
        for external_id, content_hash, ticker in rows
    }


def encode_listings(listings: Sequence[Listing], payloads: Iterable[bytes]) -> EncodedListings:
    """Encode listings and their payloads, valid JSON each, for `write_listings`."""
    return EncodedListings(
        msgspec.json.encode(listings), [payload.decode() for payload in payloads]
    )


async def write_listings(
    connection: Connection,
    source: str,
    kind: Literal["api", "file"],
    listings: EncodedListings,
    *,
    run_id: int,
    fetched_at: datetime.datetime,
    code: bytes,
    any_new: bool = True,
) -> ListingsWritten:
    """Write listings and their payloads; an older observation never overwrites a newer one.

    `code` is the digest of what read them; `any_new` is False where every listing is known to be
    there already, which saves a look. The caller's transaction holds the write lock. Raises one of
    UNREADABLE when PostgreSQL cannot hold a value: then none of them is written.
    """
    if not listings.payloads:
        return ListingsWritten(0, frozenset())
    row = await connection.fetchrow(
        _WRITE_TO[kind], source, code, fetched_at, run_id, listings.rows, listings.payloads, any_new
    )
    if row is None:
        raise RuntimeError("the statement returns one row")
    return ListingsWritten(row["changed"], frozenset(row["tickers"]))


async def revive(
    connection: Connection,
    source: str,
    external_ids: Collection[str],
    fetched_at: datetime.datetime,
) -> frozenset[str]:
    """Make listings active again that a page of `fetched_at` holds; return the tickers to merge."""
    if not await connection.fetchval(_ANY_TO_REVIVE, source):
        return frozenset()
    rows = await connection.fetch(_REVIVE, source, list(external_ids), fetched_at)
    return frozenset(row["ticker"] for row in rows)


async def any_missing(connection: Connection, source: str) -> bool:
    """Tell whether an active listing was missing from the newest complete sweep."""
    missing: bool = await connection.fetchval(_ANY_MISSING, source)
    return missing


async def count_missing(connection: Connection, source: str) -> MissingListings:
    """Return how much of `source` its newest complete sweep did not find."""
    row = await connection.fetchrow(_COUNT_MISSING, source)
    return MissingListings(0, 0) if row is None else MissingListings(*row)


async def mark_missing(
    connection: Connection,
    source: str,
    *,
    sweep_started_at: datetime.datetime,
    previous_sweep_at: datetime.datetime | None,
    missed_sweeps: Literal[0, 1, 2],
) -> frozenset[str]:
    """Note what the sweep did not find; what `missed_sweeps` sweeps missed becomes inactive. Return those tickers.

    With 0 nothing becomes inactive, however often it was missed.
    """
    rows = await connection.fetch(
        _MARK_MISSING, source, sweep_started_at, missed_sweeps, previous_sweep_at
    )
    return frozenset(row["ticker"] for row in rows if not row["active"])


_READABLE = "SELECT count(*) FROM json_populate_recordset(NULL::listings, $1::json) WHERE $2::jsonb IS NOT NULL"

UNREADABLE = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
"""What PostgreSQL raises for a value that it cannot hold: out of range, NUL in a text, nested too deep."""


async def readable_payload(connection: Connection, listing: Listing, payload: bytes) -> str | None:
    """Return None when PostgreSQL can hold the listing and the payload that it came from, else its reason."""
    bare = msgspec.structs.replace(listing, content_hash=b"")
    try:
        async with connection.transaction():
            await connection.execute(_READABLE, msgspec.json.encode([bare]), payload)
    except UNREADABLE as error:
        return f"PostgreSQL cannot hold this record: {error}"
    return None
