"""Copies of listings and coins under the same names, to try a rebuild without blocking pages.

Within `shadow_tables`, a statement that names `listings` or `normalized_records` means the copy.
The new search path makes the planner resolve names again, in prepared statements too.
"""

import contextlib
from collections.abc import AsyncIterator, Collection

from db.connect.types import Connection

# Created under other names: the copies would hide the originals while they are filled.
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

_SAVE_PREDICTION = """
INSERT INTO reprocess_foreseen SELECT source, external_id, ticker FROM listings WHERE contributes
"""
_SAVE_LAST = """
INSERT INTO reprocess_last (ticker, at, price_usd, market_cap_usd, volume_24h_usd, source)
SELECT ticker, created_at, price_usd_exact, market_cap_usd, volume_24h_usd, source
FROM normalized_records
WHERE price_usd_exact IS NOT NULL
"""
# Both sides of each difference: predicted owners that are not, and owners that were not predicted.
_MISPREDICTED = """
SELECT coalesce(f.ticker, l.ticker) AS ticker
FROM reprocess_foreseen AS f
FULL JOIN (SELECT source, external_id, ticker FROM listings WHERE contributes) AS l
    ON l.source = f.source AND l.external_id = f.external_id AND l.ticker = f.ticker
WHERE (f.source IS NULL OR l.source IS NULL) AND coalesce(f.ticker, l.ticker) = ANY ($1::text[])
"""
_EMPTY = "TRUNCATE reprocess_rewritten, reprocess_coins, reprocess_owned"


@contextlib.asynccontextmanager
async def shadow_tables(connection: Connection) -> AsyncIterator[None]:
    """Within a transaction, let `listings` mean a copy and `normalized_records` an empty one."""
    path = await connection.fetchval(_PATH)
    await connection.execute(_COPY)
    await connection.execute(_SET_PATH, f"pg_temp, {path}")
    yield
    await connection.execute(_SET_PATH, path)
    await connection.execute(_DROP)


async def save_prediction(connection: Connection) -> None:
    """Save, within `shadow_tables`, the predicted owners and coins."""
    await connection.execute(_SAVE_PREDICTION)
    await connection.execute(_SAVE_LAST)


async def mispredicted_tickers(connection: Connection, tickers: Collection[str]) -> list[str]:
    """Return those of `tickers` whose owners differ from the prediction."""
    return sorted({row["ticker"] for row in await connection.fetch(_MISPREDICTED, tickers)})


async def clear_trial(connection: Connection) -> None:
    """Clear what the trial saved about listings and coins."""
    await connection.execute(_EMPTY)
