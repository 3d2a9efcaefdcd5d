"""New listings, written by COPY, and the coins of tickers that no other listing has.

These functions do what `write_listings` and `merge_coins` do, in about half the time, because new
rows need no comparison and no merge. If a row exists already, they write nothing, and the caller
uses the other functions.
"""

import datetime
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Literal

import asyncpg
import msgspec

from db.connect.types import Connection
from db.write.listing_columns import LISTING_COLUMNS
from db.write.listings import Listing
from db.write.merge.listings import IMPOSSIBLE_CAP
from db.write.raw.bodies import BodyArrival, Slice

_BEGIN = """
SELECT
    ARRAY(SELECT ticker FROM listings
        WHERE ticker = ANY (ARRAY(SELECT json_array_elements_text($1::json)))) AS taken,
    -- Nothing else takes an id under the write lock: the rows of COPY get the next ones in order.
    nextval('listing_ids') AS last_id
"""
_COPIED_COLUMNS = (
    "external_id",
    *LISTING_COLUMNS,
    "content_hash",
    "has_own_time",
    "source",
    "fetched_at",
    "first_seen_at",
    "last_seen_at",
    "body",
    "body_offset",
    "body_length",
    "contributes",
)
_POINT_COLUMNS = (
    *("at", "tie", "price_usd", "market_cap_usd", "volume_24h_usd"),
    *("listing", "fetched_at"),
)
_CANDLE_COLUMNS = (
    *("open", "high", "low", "close"),
    *("open_at", "close_at", "samples", "interval", "start", "listing"),
)
_PAYLOAD_COLUMNS = (
    "external_id",
    "content_hash",
    "payload",
    "source",
    "ingested_at",
    "fetched_at",
    "run_id",
)
_PAYLOAD_TABLES = {"api": "raw_api_records", "file": "raw_csv_records"}

# The planner does not know the array's length, so it looks up each ticker in the index, whatever
# its estimate of the table. The tickers come as JSON: asyncpg takes longer to encode an array than
# the rest of these statements takes. db/write/merge/ writes the same rows for a ticker of one
# listing.
_ADD_COINS = """
WITH fresh AS MATERIALIZED (
    SELECT
        l.*, coalesce(l.observed_at + s.poll_seconds * interval '3 seconds',
            '-infinity') AS stale_at
    FROM listings AS l
    LEFT JOIN sources AS s ON s.name = l.source
    WHERE l.ticker = ANY (ARRAY(SELECT json_array_elements_text($1::json)))
)
INSERT INTO normalized_records (
    ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
    created_at, stale_at, ingested_at, price_spread_percent, rival_count, asset, confidence,
    provenance
)
SELECT
    ticker, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
    observed_at, stale_at, $2, NULL, 0, source || ':' || external_id,
    CASE WHEN price_usd IS NULL THEN 0 ELSE 0.5 END,
    CASE
        WHEN num_nonnulls(name, rank, price_usd, market_cap_usd, volume_24h_usd,
            percent_change_24h) > 0
        THEN jsonb_build_object('source', source, 'external_id', external_id, 'observed_at',
            observed_at)
        ELSE '[]'
    END
FROM fresh
ORDER BY ticker
"""

_NULL = r"\N"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
"""Escapes of COPY's text format (PostgreSQL's manual, "COPY", "Text Format")."""


class EncodedNewListings(msgspec.Struct, frozen=True):
    """Lines for COPY of listings with different external ids, without their last cells.

    `rows` are for the listings, `payloads` for their payloads, `points` for what they say, with its
    time, and `candles` for their prices: the hour and the day, none without a price. `times` says
    by ticker when its single listing was observed; `shared` are the other tickers: those of several
    listings, and of one whose cap the merge leaves out.
    """

    rows: list[str]
    payloads: list[bytes]
    points: list[tuple[datetime.datetime, str]]
    candles: list[tuple[str, ...]]
    tickers: list[str]
    places: list[str]
    times: dict[str, datetime.datetime]
    shared: frozenset[str]


class NewListingsResult(msgspec.Struct, frozen=True):
    """The result of copying listings: `tickers` are those whose coins must be merged.

    `new_tickers` are the tickers of a single listing, a new one, with the time at which it was
    observed.
    """

    new_tickers: dict[str, datetime.datetime]
    tickers: frozenset[str]


def encode_new_listings(
    listings: Sequence[Listing], payloads: Iterable[bytes], slices: Sequence[Slice]
) -> EncodedNewListings:
    """Encode listings with different ids, JSON payloads and slices, for `copy_listings`."""
    places = [f"{_NULL if offset is None else offset}\t{length}" for offset, length in slices]
    tickers = [listing.ticker for listing in listings]
    shared = frozenset(ticker for ticker, count in Counter(tickers).items() if count > 1).union(
        listing.ticker for listing in listings if (listing.market_cap_usd or 0) > IMPOSSIBLE_CAP
    )
    times = {
        listing.ticker: listing.observed_at for listing in listings if listing.ticker not in shared
    }
    lines = [
        b"%b\t\\\\x%b\t%b"
        % (_texts([listing.external_id]).encode(), listing.content_hash.hex().encode(), payload)
        for listing, payload in zip(
            listings, (payload.replace(b"\\", b"\\\\") for payload in payloads), strict=True
        )
    ]
    return EncodedNewListings(
        [_row(listing) for listing in listings],
        lines,
        [(listing.observed_at, _point(listing)) for listing in listings],
        [_candles(listing) for listing in listings],
        tickers,
        places,
        times,
        shared,
    )


def _point(listing: Listing) -> str:
    values = (listing.price_usd, listing.market_cap_usd, listing.volume_24h_usd)
    cells = [_NULL if value is None else str(value) for value in values]
    tie = int.from_bytes(listing.content_hash[:4]) >> 1
    return "\t".join([listing.observed_at.isoformat(), str(tie), *cells])


def _candles(listing: Listing) -> tuple[str, ...]:
    """Return the candles of the hour and the day in UTC."""
    price, at = listing.price_usd, listing.observed_at
    if price is None:
        return ()
    hour = at.astimezone(datetime.UTC).replace(minute=0, second=0, microsecond=0)
    start = f"{price}\t{price}\t{price}\t{price}\t{at.isoformat()}\t{at.isoformat()}\t1\t"
    day = hour.replace(hour=0)
    return f"{start}H1\t{hour.isoformat()}", f"{start}D1\t{day.isoformat()}"


def _row(listing: Listing) -> str:
    one = listing
    numbers = (
        *(one.rank, one.price_usd, one.market_cap_usd, one.volume_24h_usd, one.percent_change_24h),
        *(one.circulating_supply, one.total_supply, one.max_supply),
    )
    own_time = "t" if one.has_own_time else "f"
    return "\t".join(
        [
            _texts(
                [one.external_id, one.ticker, one.symbol, one.name, one.name_words, one.core_words]
            ),
            *[_NULL if number is None else str(number) for number in numbers],
            f"{one.observed_at.isoformat()}\t\\\\x{one.content_hash.hex()}\t{own_time}",
        ]
    )


def _texts(texts: Sequence[str | None]) -> str:
    """Return cells for COPY; one check of all of them finds that most need no escape."""
    if None not in texts:
        line = "\x1f".join(texts)  # type: ignore[arg-type]  # without None
        if "\\" not in line and line.replace("\x1f", " ").isprintable():
            return line.replace("\x1f", "\t")
    return "\t".join([_NULL if text is None else text.translate(_ESCAPES) for text in texts])


async def copy_listings(
    connection: Connection,
    source: str,
    kind: Literal["api", "file"],
    listings: EncodedNewListings,
    *,
    run_id: int,
    fetched_at: datetime.datetime,
    body: BodyArrival,
    oldest: datetime.datetime,
) -> NewListingsResult | None:
    """Write new listings, their payloads and the start of their history, which begins at `oldest`.

    If one of them exists, this writes nothing and returns None. The caller's transaction holds the
    write lock. Raises one of UNREADABLE if PostgreSQL cannot hold a value.
    """
    try:
        async with connection.transaction():
            row = await connection.fetchrow(_BEGIN, msgspec.json.encode(listings.tickers))
            assert row is not None  # noqa: S101 - the statement returns one row
            taken = frozenset(row["taken"])
            name = _texts([source])
            seen = "\t".join([name, *[fetched_at.isoformat()] * 3, str(body.id)])
            ends = [
                f"\t{seen}\t{place}\t{'f' if ticker in taken else 't'}\n"
                for ticker, place in zip(listings.tickers, listings.places, strict=True)
            ]
            rows = "".join(
                [part for line in zip(listings.rows, ends, strict=True) for part in line]
            )
            await _copy(connection, "listings", _COPIED_COLUMNS, rows.encode())
            arrival = f"{body.arrived_at.isoformat()}\t{fetched_at.isoformat()}"
            end = f"\t{name}\t{arrival}\t{run_id}\n".encode()
            payloads = end.join([*listings.payloads, b""])
            await _copy(connection, _PAYLOAD_TABLES[kind], _PAYLOAD_COLUMNS, payloads)
            await _copy_history(connection, listings, row["last_id"], fetched_at, oldest)
    except asyncpg.UniqueViolationError:
        return None
    times = {ticker: at for ticker, at in listings.times.items() if ticker not in taken}
    return NewListingsResult(times, taken | listings.shared)


async def _copy_history(
    connection: Connection,
    listings: EncodedNewListings,
    last_id: int,
    fetched_at: datetime.datetime,
    oldest: datetime.datetime,
) -> None:
    kept = [
        (number, point, candles)
        for number, ((at, point), candles) in enumerate(
            zip(listings.points, listings.candles, strict=True), last_id + 1
        )
        if at >= oldest
    ]
    fetched = fetched_at.isoformat()
    points = "".join([f"{point}\t{number}\t{fetched}\n" for number, point, _ in kept])
    await _copy(connection, "price_points", _POINT_COLUMNS, points.encode())
    rolled = "".join([f"{candle}\t{number}\n" for number, _, both in kept for candle in both])
    await _copy(connection, "candles", _CANDLE_COLUMNS, rolled.encode())


async def _copy(connection: Connection, table: str, columns: Sequence[str], content: bytes) -> None:
    # Not a file: asyncpg reads one in a thread, which waits for the decoder at each chunk.
    await connection.copy_to_table(table, source=_once(content), columns=columns, format="text")


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def add_coins(
    connection: Connection, tickers: Collection[str], now: datetime.datetime
) -> bool:
    """Add coins for tickers that have one listing and no record.

    Returns False, and adds nothing, if a coin of a ticker exists: then they must be merged.
    """
    if not tickers:
        return True
    try:
        async with connection.transaction():
            await connection.execute(_ADD_COINS, msgspec.json.encode(sorted(tickers)), now)
    except asyncpg.UniqueViolationError:
        return False
    return True


def without(
    new_tickers: Mapping[str, datetime.datetime], tickers: Collection[str]
) -> dict[str, datetime.datetime]:
    """Return `new_tickers` without those in `tickers`."""
    return {ticker: at for ticker, at in new_tickers.items() if ticker not in tickers}
