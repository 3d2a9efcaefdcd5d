"""History: the price points of coins, and their candles, written in the same transaction."""

import datetime
from collections.abc import Collection, Sequence
from decimal import Decimal

import msgspec

from db.connect.types import Connection

_CANDLES = (
    "candles AS c (ticker, interval, start, open, high, low, close, open_at, close_at, samples)"
)
_UNITS = "(VALUES ('H1', interval '1 hour'), ('D1', interval '1 day')) AS unit (interval, width)"
# Each new point widens the candles of its hour and day; open_at and close_at allow late points. An
# existing point changes nothing, so a page that is read twice counts once.
_WIDEN = """
ON CONFLICT (ticker, interval, start) DO UPDATE SET
    open = CASE WHEN excluded.open_at < c.open_at THEN excluded.open ELSE c.open END,
    high = greatest(excluded.high, c.high),
    low = least(excluded.low, c.low),
    close = CASE WHEN excluded.close_at > c.close_at THEN excluded.close ELSE c.close END,
    open_at = least(excluded.open_at, c.open_at),
    close_at = greatest(excluded.close_at, c.close_at),
    samples = c.samples + excluded.samples
"""

_RECORD = f"""
WITH added AS (
    INSERT INTO price_points (ticker, at, price_usd, market_cap_usd, volume_24h_usd, source)
    SELECT ticker, created_at, price_usd_exact, market_cap_usd, volume_24h_usd, source
    FROM normalized_records
    WHERE ticker = ANY ($1::text[]) AND price_usd_exact IS NOT NULL AND created_at >= $2
    ORDER BY ticker
    ON CONFLICT (ticker, at) DO NOTHING
    RETURNING ticker, at, price_usd
),
-- One point for each coin is a candle by itself: nothing to group.
rolled AS (
    INSERT INTO {_CANDLES}
    SELECT
        ticker, interval, date_bin(width, at, 'epoch'), price_usd, price_usd, price_usd, price_usd,
        at, at, 1
    FROM added, {_UNITS}
    ORDER BY ticker, interval
    {_WIDEN}
)
SELECT count(*) FROM added
"""

# A source's past belongs to the coin that its listing contributes to now. The array of keys,
# instead of a join, makes the planner use the index.
_CONTRIBUTING = """
SELECT external_id, ticker FROM listings WHERE source = $1 AND external_id = ANY ($2::text[])
    AND contributes
"""
_BACKFILL = f"""
WITH added AS (
    INSERT INTO price_points (ticker, at, price_usd, market_cap_usd, volume_24h_usd, source)
    SELECT DISTINCT ON (p.ticker, p.at) p.ticker, p.at, p.price_usd, p.market_cap_usd,
        p.volume_24h_usd, $1::text
    FROM json_to_recordset($2::json) AS p (
        ticker text, external_id text, at timestamptz, price_usd numeric, market_cap_usd numeric,
        volume_24h_usd numeric
    )
    WHERE p.at >= $3 AND NOT EXISTS (
        -- The coin leaves this price out, or the listing's newest price is far from its past.
        SELECT FROM normalized_records AS r
        CROSS JOIN LATERAL jsonb_build_object(
            'source', $1::text, 'external_id', p.external_id, 'field', 'price_usd'
        ) AS refused
        WHERE r.ticker = p.ticker AND (
            r.excluded @> jsonb_build_array(refused || jsonb_build_object('observed_at', p.at))
            OR r.excluded @> jsonb_build_array(refused || '{{"reason": "jump"}}')
        )
    )
    ORDER BY p.ticker, p.at, p.price_usd, p.external_id
    ON CONFLICT (ticker, at) DO NOTHING
    RETURNING ticker, at, price_usd
),
rolled AS (
    INSERT INTO {_CANDLES}
    SELECT
        ticker, interval, date_bin(width, at, 'epoch') AS start,
        (array_agg(price_usd ORDER BY at))[1], max(price_usd), min(price_usd),
        (array_agg(price_usd ORDER BY at DESC))[1], min(at), max(at), count(*)
    FROM added, {_UNITS}
    GROUP BY ticker, interval, start
    ORDER BY ticker, interval, start
    {_WIDEN}
)
SELECT count(*) FROM added
"""


class PastPrice(msgspec.Struct, frozen=True, gc=False):
    """The price of one listing at one time, from its source."""

    external_id: str
    at: datetime.datetime
    price_usd: Decimal
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None


async def record_prices(
    connection: Connection, tickers: Collection[str], oldest: datetime.datetime
) -> int:
    """Add a point for each coin of `tickers`, whose price has changed; return how many are new.

    The history begins at `oldest`.
    """
    if not tickers:
        return 0
    count: int = await connection.fetchval(_RECORD, sorted(tickers), oldest)
    return count


async def backfill_prices(
    connection: Connection, source: str, prices: Sequence[PastPrice], oldest: datetime.datetime
) -> int:
    """Add past points to the coins that the listings contribute to; return how many are new.

    Coins and existing points do not change.
    """
    rows = await connection.fetch(
        _CONTRIBUTING, source, list({price.external_id for price in prices})
    )
    tickers = {row["external_id"]: row["ticker"] for row in rows}
    points = [
        {**msgspec.structs.asdict(price), "ticker": tickers[price.external_id]}
        for price in prices
        if price.external_id in tickers
    ]
    if not points:
        return 0
    count: int = await connection.fetchval(_BACKFILL, source, msgspec.json.encode(points), oldest)
    return count
