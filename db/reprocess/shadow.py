"""Copies of listings and coins under their own names, on which the rebuild is tried before anybody must wait for it.

A statement that names `listings` or `normalized_records` within `shadowed` means the copy. The
planner is made to look the names up anew by the change of the search path, statements prepared
earlier included.
"""

import contextlib
from collections.abc import AsyncIterator, Collection

from db.connect.types import Connection

# Not made under their names: these would stand in their own way while they are filled.
_COPY = """
CREATE TEMPORARY TABLE shadow_listings (LIKE listings INCLUDING ALL) ON COMMIT DROP;
CREATE TEMPORARY TABLE shadow_coins (LIKE normalized_records INCLUDING ALL) ON COMMIT DROP;
INSERT INTO shadow_listings SELECT * FROM listings;
ALTER TABLE shadow_listings RENAME TO listings;
ALTER TABLE shadow_coins RENAME TO normalized_records;
ANALYZE pg_temp.listings;
"""
_PATH = "SELECT current_setting('search_path')"
_SET_PATH = "SELECT set_config('search_path', $1, true)"
_DROP = "DROP TABLE pg_temp.listings, pg_temp.normalized_records"

_FORESEE = "INSERT INTO reprocess_foreseen SELECT source, external_id, ticker FROM listings WHERE contributes"
_KEEP_LAST = """
INSERT INTO reprocess_last (ticker, at, price_usd, market_cap_usd, volume_24h_usd, source)
SELECT ticker, created_at, price_usd_exact, market_cap_usd, volume_24h_usd, source
FROM normalized_records
WHERE price_usd_exact IS NOT NULL
"""
# Both sides of each difference: who is to contribute and does not, who does and was not to.
_OTHERWISE = """
SELECT coalesce(f.ticker, l.ticker) AS ticker
FROM reprocess_foreseen AS f
FULL JOIN (SELECT source, external_id, ticker FROM listings WHERE contributes) AS l
    ON l.source = f.source AND l.external_id = f.external_id AND l.ticker = f.ticker
WHERE (f.source IS NULL OR l.source IS NULL) AND coalesce(f.ticker, l.ticker) = ANY ($1::text[])
"""
_EMPTY = "TRUNCATE reprocess_rewritten, reprocess_coins, reprocess_owned"


@contextlib.asynccontextmanager
async def shadowed(connection: Connection) -> AsyncIterator[None]:
    """Let the names of listings and coins mean copies; those of the coins are empty.

    Within a transaction.
    """
    path = await connection.fetchval(_PATH)
    await connection.execute(_COPY)
    await connection.execute(_SET_PATH, f"pg_temp, {path}")
    yield
    await connection.execute(_SET_PATH, path)
    await connection.execute(_DROP)


async def keep_foreseen(connection: Connection) -> None:
    """Note, within `shadowed`, who is to contribute, and what each coin is to be."""
    await connection.execute(_FORESEE)
    await connection.execute(_KEEP_LAST)


async def foreseen_otherwise(connection: Connection, tickers: Collection[str]) -> list[str]:
    """Return those of `tickers` whose contributing listings are others than was foreseen."""
    return sorted({row["ticker"] for row in await connection.fetch(_OTHERWISE, tickers)})


async def forget_trial(connection: Connection) -> None:
    """Empty what the trial noted of listings and coins, so that the real thing can note its own."""
    await connection.execute(_EMPTY)
