"""Known listings that a cycle does not touch: another source's, each a coin of its own."""

import datetime

from db.connect.pool import connect
from db.sources import SourceSettings, save_sources

_LISTINGS = """
INSERT INTO listings (
    source, external_id, ticker, symbol, name, name_words, core_words, rank, price_usd,
    market_cap_usd, volume_24h_usd, percent_change_24h, observed_at, fetched_at, first_seen_at,
    last_seen_at, content_hash, contributes
)
SELECT
    'csv', 'known-' || n, 'KNOWN' || n, 'KNOWN' || n, 'Known coin ' || n, 'known coin ' || n,
    'known ' || n, n, (random() * 1000 + 0.001)::numeric(20, 10),
    (random() * 1e9 + 1)::numeric(24, 4), (random() * 1e7)::numeric(24, 4),
    (random() * 20 - 10)::numeric(12, 6), $2::timestamptz, $2, $2, $2, decode(md5(n::text), 'hex'),
    true
FROM generate_series(1, $1::integer) AS n
"""
_COINS = """
INSERT INTO normalized_records (
    ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
    created_at, ingested_at, rival_count, provenance
)
SELECT
    ticker, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
    observed_at, fetched_at,
    0, jsonb_build_array(jsonb_build_object(
        'field', 'price_usd', 'source', source, 'external_id', external_id, 'observed_at',
        observed_at
    ))
FROM listings
WHERE source = 'csv'
"""


async def fill(dsn: str, listings: int, now: datetime.datetime) -> None:
    """Add that many listings of a file, and their coins."""
    connection = await connect(dsn)
    try:
        await save_sources(connection, [SourceSettings("csv", "file", 30, 300)])
        await connection.execute(_LISTINGS, listings, now)
        await connection.execute(_COINS)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
