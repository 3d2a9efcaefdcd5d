"""Markets: the lists of venues, their newest prices, and the assets that they trade."""

import datetime
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from db.connect.types import Connection

_LIST = """
INSERT INTO markets AS m (venue, symbol, base, quote, status, is_trading, listed_at)
SELECT $1, u.symbol, u.base, u.quote, u.status, u.is_trading, $2
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
    AS u (symbol, base, quote, status, is_trading)
ON CONFLICT (venue, symbol) DO UPDATE SET base = excluded.base, quote = excluded.quote,
    status = excluded.status, is_trading = excluded.is_trading, listed_at = excluded.listed_at
WHERE (m.base, m.quote, m.status, m.is_trading)
    IS DISTINCT FROM (excluded.base, excluded.quote, excluded.status, excluded.is_trading)
RETURNING 1
"""
# A market that a venue no longer lists keeps its last price, and trades no more.
_END = """
UPDATE markets SET status = 'not listed', is_trading = false
WHERE venue = $1 AND symbol <> ALL ($2::text[]) AND (is_trading OR status <> 'not listed')
RETURNING 1
"""
_WRITE = """
UPDATE markets AS m SET price = u.price, price_usd = u.price_usd,
    volume_24h_base = coalesce(u.volume_24h_base, m.volume_24h_base),
    volume_24h_quote = coalesce(u.volume_24h_quote, m.volume_24h_quote),
    observed_at = u.observed_at, segment = u.segment, frame = u.frame
FROM unnest($1::text[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[],
        $7::timestamptz[], $8::bigint[], $9::integer[])
    AS u (venue, symbol, price, price_usd, volume_24h_base, volume_24h_quote, observed_at, segment,
        frame)
-- A batch that is written a second time, or late, must not undo a newer one.
WHERE m.venue = u.venue AND m.symbol = u.symbol
    AND (m.observed_at IS NULL OR m.observed_at <= u.observed_at)
RETURNING 1
"""
_MAP = """
UPDATE markets AS m SET asset = u.asset, asset_reason = u.reason
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    AS u (venue, symbol, asset, reason)
WHERE m.venue = u.venue AND m.symbol = u.symbol
    AND (m.asset, m.asset_reason) IS DISTINCT FROM (u.asset, u.reason)
RETURNING 1
"""


class ListedMarket(msgspec.Struct, frozen=True):
    """A market on a venue's list."""

    symbol: str
    base: str
    quote: str
    status: str
    is_trading: bool


class MarketUpdate(msgspec.Struct, frozen=True):
    """The newest value of a market, and the frame that it came in."""

    venue: str
    symbol: str
    price: Decimal
    observed_at: datetime.datetime
    price_usd: Decimal | None = None
    volume_24h_base: Decimal | None = None
    volume_24h_quote: Decimal | None = None
    segment: int | None = None
    frame: int | None = None


class MappedMarket(msgspec.Struct, frozen=True):
    """The asset of a market, None if it is not mapped, and why."""

    venue: str
    symbol: str
    asset: str | None
    reason: str


async def save_markets(
    connection: Connection, venue: str, markets: Sequence[ListedMarket], now: datetime.datetime
) -> int:
    """Save the list of a venue; return the markets that are new, changed or no longer listed.

    An empty list ends nothing: it is not believed.
    """
    if not markets:
        return 0
    rows = sorted(markets, key=lambda market: market.symbol)
    columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
    saved = await connection.fetch(_LIST, venue, now, *map(list, columns))
    ended = await connection.fetch(_END, venue, [row.symbol for row in rows])
    return len(saved) + len(ended)


async def write_markets(connection: Connection, updates: Sequence[MarketUpdate]) -> int:
    """Write newest values; return the markets written: those that are listed and not newer."""
    rows = sorted(updates, key=lambda update: (update.venue, update.symbol))
    columns = (
        [getattr(row, name) for row in rows]
        for name in (
            "venue",
            "symbol",
            "price",
            "price_usd",
            "volume_24h_base",
            "volume_24h_quote",
            "observed_at",
            "segment",
            "frame",
        )
    )
    return len(await connection.fetch(_WRITE, *columns))


async def map_markets(connection: Connection, mapped: Sequence[MappedMarket]) -> int:
    """Save the assets of markets; return the markets that changed."""
    rows = sorted(mapped, key=lambda market: (market.venue, market.symbol))
    columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
    return len(await connection.fetch(_MAP, *map(list, columns))) if rows else 0
