"""The coins whose records are most doubtful, each with the reason."""

import datetime
from typing import Literal

import msgspec

from db.connect.types import Connection
from db.read.coins import WIDE_SPREAD_PERCENT

# A price spread and the age of a price have no common measure, so the kinds alternate, the worst
# first. Of two equal coins, the larger one is first. A stale coin has no fresh price to compare.
_WORST = """
WITH coin AS MATERIALIZED (
    SELECT
        n.ticker, n.name, n.source, n.created_at, n.price_spread_percent, n.rival_count,
        n.market_cap_usd, n.stale_at < $1 AS stale
    FROM normalized_records AS n
),
placed AS (
    (
        SELECT 1 AS kind, ticker, row_number() OVER w AS place
        FROM coin WHERE NOT stale AND price_spread_percent > $3
        WINDOW w AS (ORDER BY price_spread_percent DESC, market_cap_usd DESC NULLS LAST, ticker)
        ORDER BY place LIMIT $2
    )
    UNION ALL
    (
        SELECT 2, ticker, row_number() OVER w AS place
        FROM coin WHERE stale
        WINDOW w AS (ORDER BY created_at, market_cap_usd DESC NULLS LAST, ticker)
        ORDER BY place LIMIT $2
    )
    UNION ALL
    (
        SELECT 3, ticker, row_number() OVER w AS place
        FROM coin WHERE rival_count > 0
        WINDOW w AS (ORDER BY rival_count DESC, market_cap_usd DESC NULLS LAST, ticker)
        ORDER BY place LIMIT $2
    )
),
-- A coin that is bad in several ways stands once, where it is worst.
worst AS (
    SELECT DISTINCT ON (ticker) ticker, kind, place FROM placed ORDER BY ticker, place, kind
)
SELECT
    c.ticker, c.name, (ARRAY['spread', 'stale', 'rivals'])[w.kind] AS flaw, c.price_spread_percent,
    c.source, c.created_at AS observed_at, c.rival_count
FROM worst AS w JOIN coin AS c ON c.ticker = w.ticker
ORDER BY w.place, w.kind
LIMIT $2
"""


class DoubtfulCoin(msgspec.Struct, frozen=True):
    """A doubtful coin: its fresh prices differ, it is stale, or its ticker has rivals."""

    ticker: str
    name: str | None
    flaw: Literal["spread", "stale", "rivals"]
    price_spread_percent: float | None
    source: str
    observed_at: datetime.datetime
    rival_count: int


async def worst_coins(
    connection: Connection, now: datetime.datetime, most: int = 10
) -> list[DoubtfulCoin]:
    """Return at most `most` doubtful coins, the worst of each kind in turn."""
    rows = await connection.fetch(_WORST, now, most, float(WIDE_SPREAD_PERCENT))
    return [DoubtfulCoin(**row) for row in rows]
