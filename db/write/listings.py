"""Listings, what one source says of one asset: write a page of them, and their payloads."""

import datetime
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Literal

import asyncpg
import msgspec

from common.chains import TokenAddress
from db.connect.types import Connection
from db.notes import Note
from db.write.earlier import read_tickers, remember_late, save_former_tickers
from db.write.history import UNITS, WIDEN, add_points, is_jump, settle_points, tie_of
from db.write.listing_columns import (
    LISTING_RECORD,
    LISTING_VALUES,
    REMEMBER_OBSERVATION,
    REPLACE_LISTING,
)
from db.write.merge.listings import bound, near
from db.write.raw.bodies import BodyArrival, Slice


class Listing(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One source's view of one asset, normalised; None is missing.

    Prices are in US dollars, percentages in per cent.
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
    """False if the record has no time, and the file's date is used."""
    addresses: tuple[TokenAddress, ...] | None = None
    """Its contracts if the record says which it has; not a column."""
    notes: tuple[Note, ...] = ()
    """What is missing because it could not be read; not a column."""


class EncodedListings(msgspec.Struct, frozen=True):
    """Listings, their payloads and their slices of the body in the same order, as parameters.

    The payloads are separate, because PostgreSQL would parse them twice more within the rows.
    """

    rows: bytes
    payloads: list[str]
    offsets: list[int | None]
    lengths: list[int | None]


class ListingsResult(msgspec.Struct, frozen=True):
    """The result of writing listings: how many records changed a row, and the tickers to merge."""

    changed: int
    tickers: frozenset[str]


# An array of keys instead of a join makes the planner look up each key in the index. It comes as
# JSON, because asyncpg takes longer to encode an array.
_KNOWN = """
SELECT external_id, content_hash, ticker
FROM listings
WHERE source = $1 AND external_id = ANY (ARRAY(SELECT json_array_elements_text($2::json)))
"""

_B1, _B2 = "(w.before[1]).price_usd", "(w.before[2]).price_usd"
_IS_HELD = is_jump(
    "w.price_usd", "w.observed_at", [(_B1, "(w.before[1]).at"), (_B2, "(w.before[2]).at")]
)
_MAY_CONFIRM = f"""cardinality(w.before) = 2 AND {_B1} IS NOT NULL AND (
        {_B2} IS NULL OR NOT {near(_B1, _B2, bound("(w.before[1]).at - (w.before[2]).at"))})"""
"""The condition that the observation before the present one may be held, and be confirmed now."""
# The newest record of an external id within the page goes into the listing, and its payload into
# the raw table. The page's body has them all. A new observation is a new point, and widens two
# candles. What else changes history is returned to be settled: a point that was there, and one that
# the present one may confirm.
_WRITE = f"""
WITH incoming AS MATERIALIZED (
    SELECT r.*, decode(r.content_hash, 'base64') AS digest
    FROM ROWS FROM (
        json_to_recordset($5::json) AS ({LISTING_RECORD}),
        unnest($6::text[]),
        unnest($9::integer[]),
        unnest($10::integer[])
    ) AS r (
        external_id, {LISTING_VALUES}, content_hash, has_own_time, payload, body_offset, body_length
    )
),
newest AS MATERIALIZED (
    SELECT DISTINCT ON (external_id)
        external_id, {LISTING_VALUES}, digest, has_own_time, payload, body_offset, body_length
    FROM incoming
    ORDER BY external_id, observed_at DESC, digest DESC
),
-- The merge decides which asset owns a ticker; a new ticker will hardly have another owner.
taken AS MATERIALIZED (
    SELECT ticker FROM listings WHERE $7::boolean
        AND ticker = ANY (ARRAY(SELECT ticker FROM newest))
),
written AS (
    INSERT INTO listings AS l (
        source, external_id, {LISTING_VALUES},
        content_hash, fetched_at, first_seen_at, last_seen_at, contributes, has_own_time, body,
        body_offset, body_length, id
    )
    SELECT
        $1, external_id, {LISTING_VALUES},
        digest, $3, $3, $3, $7 AND ticker NOT IN (SELECT ticker FROM taken),
        coalesce(has_own_time, true), $2::bigint, body_offset, body_length,
        -- Where all listings exist, no id is used up; a point of this one is refused.
        CASE WHEN $7 THEN nextval('listing_ids') ELSE 2147483647 END
    FROM newest
    ORDER BY external_id
    ON CONFLICT (source, external_id) DO UPDATE SET
        {REPLACE_LISTING},
        last_seen_at = greatest(l.last_seen_at, excluded.last_seen_at),
        {REMEMBER_OBSERVATION}
    WHERE (excluded.observed_at, excluded.fetched_at, excluded.content_hash)
        > (l.observed_at, l.fetched_at, l.content_hash)
    RETURNING
        l.id, l.external_id, l.ticker, l.content_hash, l.observed_at, l.price_usd,
        l.market_cap_usd, l.volume_24h_usd, l.before
),
point AS (
    INSERT INTO price_points (
        listing, at, fetched_at, tie, is_held, price_usd, market_cap_usd, volume_24h_usd
    )
    SELECT
        id, observed_at, $3, {tie_of("content_hash")}, {_IS_HELD}, price_usd, market_cap_usd,
        volume_24h_usd
    FROM written AS w
    WHERE observed_at >= $8
    ORDER BY id
    ON CONFLICT (listing, at) DO NOTHING
    RETURNING listing, at, is_held, price_usd
),
widened AS (
    INSERT INTO candles AS c (
        listing, interval, start, open, high, low, close, open_at, close_at, samples
    )
    SELECT
        listing, interval, date_bin(width, at, 'epoch'), price_usd, price_usd, price_usd, price_usd,
        at, at, 1
    FROM point, {UNITS}
    WHERE price_usd IS NOT NULL AND NOT is_held
    ORDER BY listing, interval
    {WIDEN}
),
unsettled AS MATERIALIZED (
    SELECT w.id, w.observed_at, p.listing IS NOT NULL AS is_new
    FROM written AS w
    LEFT JOIN point AS p ON p.listing = w.id
    WHERE w.observed_at >= $8 AND (p.listing IS NULL OR ({_MAY_CONFIRM}))
),
kept AS (
    INSERT INTO raw_api_records AS r (
        source, external_id, payload, ingested_at, fetched_at, run_id, content_hash
    )
    SELECT $1, external_id, payload::jsonb, $11, $3, $4, digest
    FROM newest
    WHERE (external_id, digest) IN (SELECT external_id, content_hash FROM written)
    ORDER BY external_id
    ON CONFLICT (source, external_id) DO UPDATE SET
        payload = excluded.payload, ingested_at = excluded.ingested_at,
        fetched_at = excluded.fetched_at, run_id = excluded.run_id,
        content_hash = excluded.content_hash
)
SELECT
    (SELECT count(*) FROM written) AS changed,
    CASE WHEN (SELECT count(*) FROM incoming) > (SELECT count(*) FROM written)
        THEN (SELECT count(DISTINCT (external_id, digest)) FROM incoming) END AS distinct_count,
    ARRAY(SELECT DISTINCT ticker FROM written) AS tickers,
    (SELECT count(*) FROM incoming) > (SELECT count(*) FROM written) AS has_late,
    EXISTS (SELECT FROM unsettled WHERE NOT is_new) AS has_corrections,
    ARRAY(SELECT id FROM unsettled WHERE is_new ORDER BY id) AS unsettled,
    ARRAY(SELECT observed_at FROM unsettled WHERE is_new ORDER BY id) AS unsettled_at
"""  # noqa: S608 - of constants
_WRITE_TO = {"api": _WRITE, "file": _WRITE.replace("raw_api_records", "raw_csv_records")}
# The payloads of a stream are its frames, in segments.
_WRITE_TO["stream"] = _WRITE.replace(
    "    FROM newest\n    WHERE (external_id, digest) IN",
    "    FROM (TABLE newest LIMIT 0) AS newest\n    WHERE (external_id, digest) IN",
)


class KnownListing(msgspec.Struct, frozen=True, gc=False):
    """The stored content of a listing before a page is written."""

    content_hash: bytes
    ticker: str


async def known_listings(
    connection: Connection, source: str, external_ids: Collection[str]
) -> dict[str, KnownListing]:
    """Return the stored listings with these external ids, by external id."""
    rows = await connection.fetch(_KNOWN, source, msgspec.json.encode(list(external_ids)))
    return {
        external_id: KnownListing(content_hash, ticker)
        for external_id, content_hash, ticker in rows
    }


def encode_listings(
    listings: Sequence[Listing], payloads: Iterable[bytes], slices: Sequence[Slice]
) -> EncodedListings:
    """Encode listings, their payloads, valid JSON each, and their slices, for `write_listings`."""
    return EncodedListings(
        msgspec.json.encode(listings),
        [payload.decode() for payload in payloads],
        [offset for offset, _ in slices],
        [length for _, length in slices],
    )


async def write_listings(
    connection: Connection,
    source: str,
    kind: Literal["api", "file", "stream"],
    listings: EncodedListings,
    *,
    run_id: int,
    fetched_at: datetime.datetime,
    body: BodyArrival | None,
    oldest: datetime.datetime,
    any_new: bool = True,
    renamed: Collection[str] = (),
) -> ListingsResult:
    """Write listings, their payloads and their history, which begins at `oldest`.

    An older observation never overwrites a newer one. `body` is what they came in.
    `any_new=False` says that all listings exist, which saves a lookup. `renamed` are the external
    ids whose ticker differs from the stored one. The caller's transaction holds the write lock.
    Raises one of UNREADABLE if PostgreSQL cannot hold a value; then no listing is written.
    """
    former = await read_tickers(connection, source, renamed)
    row = await connection.fetchrow(
        _WRITE_TO[kind],
        source,
        None if body is None else body.id,
        fetched_at,
        run_id,
        listings.rows,
        listings.payloads,
        any_new,
        oldest,
        listings.offsets,
        listings.lengths,
        None if body is None else body.arrived_at,
    )
    assert row is not None  # noqa: S101 - the statement returns one row
    tickers, changed = set(row["tickers"]), row["changed"]
    late = points = 0
    if row["has_late"]:
        late_tickers = await remember_late(connection, source, fetched_at, listings.rows)
        tickers, late = tickers | late_tickers, len(late_tickers)
    if row["has_late"] or row["has_corrections"]:
        points = await add_points(connection, source, listings.rows, oldest, fetched_at)
    # Late records that say what is known already have changed nothing.
    if late or points:
        changed = row["distinct_count"] or changed
    await settle_points(connection, row["unsettled"], row["unsettled_at"])
    await save_former_tickers(connection, source, former)
    return ListingsResult(changed, frozenset(tickers))


_READABLE = """
SELECT count(*) FROM json_populate_recordset(NULL::listings, $1::json) WHERE $2::jsonb IS NOT NULL
"""

UNREADABLE = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
"""Errors for a value that PostgreSQL cannot hold: out of range, NUL in a text, nested too deep."""


async def readable_payload(connection: Connection, listing: Listing, payload: bytes) -> str | None:
    """Return why PostgreSQL cannot hold a listing and its payload; None if it can."""
    bare = msgspec.structs.replace(listing, content_hash=b"")
    try:
        async with connection.transaction():
            await connection.execute(_READABLE, msgspec.json.encode([bare]), payload)
    except UNREADABLE as error:
        return f"PostgreSQL cannot hold this record: {error}"
    return None
