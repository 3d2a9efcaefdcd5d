"""The history by ticker of version 0.1.0: move it to the listings that said it."""

from collections.abc import Collection

from db.connect.types import Connection
from db.write.history import settle_points

_EXISTS = "SELECT to_regclass('former_price_points') IS NOT NULL"
_COUNT = "SELECT count(DISTINCT ticker) FROM former_price_points"
_TICKERS = """
SELECT DISTINCT ticker FROM former_price_points WHERE ticker > $1 ORDER BY ticker LIMIT $2
"""
# Of several listings of a source with this ticker, the one of the present owner has the past; a
# listing that was renamed since has it where no other is left.
_MOVE = """
WITH said AS MATERIALIZED (
    SELECT DISTINCT ticker, source FROM former_price_points WHERE ticker = ANY ($1::text[])
),
home AS MATERIALIZED (
    SELECT DISTINCT ON (s.ticker, s.source) s.ticker, s.source, l.id
    FROM said AS s
    JOIN listings AS l ON l.source = s.source AND (
        l.ticker = s.ticker OR EXISTS (
            SELECT FROM former_tickers AS f
            WHERE f.source = l.source AND f.external_id = l.external_id AND f.ticker = s.ticker
        )
    )
    ORDER BY
        s.ticker, s.source, l.ticker = s.ticker DESC, l.contributes DESC, l.active DESC,
        l.price_usd IS NULL, l.market_cap_usd DESC NULLS LAST, l.external_id
),
gone AS (
    DELETE FROM former_price_points AS p USING home AS h
    WHERE p.ticker = ANY ($1::text[]) AND p.ticker = h.ticker AND p.source = h.source
    RETURNING h.id, p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd
),
added AS (
    INSERT INTO price_points (listing, at, price_usd, market_cap_usd, volume_24h_usd)
    SELECT id, at, price_usd, market_cap_usd, volume_24h_usd FROM gone
    ORDER BY id, at
    ON CONFLICT (listing, at) DO NOTHING
    RETURNING listing, at
)
SELECT array_agg(listing) AS listings, array_agg(at) AS times FROM added
"""
_LEFT = "SELECT count(*) FROM former_price_points"
_DROP = "SELECT drop_former_history()"


async def count_former(connection: Connection) -> int:
    """Return how many coins have history that is not moved yet."""
    if not await connection.fetchval(_EXISTS):
        return 0
    count: int = await connection.fetchval(_COUNT)
    return count


async def former_tickers(connection: Connection, after: str, limit: int) -> list[str]:
    """Return the next tickers of such coins, in order."""
    return [row["ticker"] for row in await connection.fetch(_TICKERS, after, limit)]


async def move_history(connection: Connection, tickers: Collection[str]) -> None:
    """Move the history of these coins.

    The caller's transaction holds the write lock. A point stays if its source has no listing of the
    ticker.
    """
    moved = await connection.fetchrow(_MOVE, tickers)
    assert moved is not None  # noqa: S101 - the statement returns one row
    await settle_points(connection, moved["listings"] or [], moved["times"] or [])


async def drop_former(connection: Connection) -> int:
    """Drop the former tables if all is moved; return the number of points that are left."""
    if await connection.fetchval(_DROP):
        return 0
    left: int = await connection.fetchval(_LEFT)
    return left
