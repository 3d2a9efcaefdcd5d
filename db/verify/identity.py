"""What joins listings beside their names: address groups, bridges, and assets that must exist."""

from db.connect.types import Connection

COUNT_GROUPS = "SELECT count(*) FROM address_groups"
COUNT_BRIDGES = "SELECT count(*) FROM ticker_bridges"
COUNT_LISTINGS = "SELECT count(*) FROM listings"

# A ticker is bridged where one proof has listings under several.
BRIDGES = """
WITH proof AS MATERIALIZED (
    SELECT 'g' || g.address_group AS proof, l.ticker
    FROM address_groups AS g
    JOIN listings AS l ON l.source = g.source AND l.external_id = g.external_id
    UNION
    SELECT 'l' || i.asset, l.ticker
    FROM identities AS i
    JOIN listings AS l ON l.source = i.source AND l.external_id = i.external_id
    WHERE i.asset IS NOT NULL
),
expected AS (
    SELECT proof, ticker
    FROM (SELECT *, count(*) OVER (PARTITION BY proof) AS tickers FROM proof) AS p
    WHERE tickers > 1
)
SELECT
    coalesce(b.proof, e.proof), 'bridge',
    CASE WHEN b.proof IS NOT NULL THEN b.ticker END, CASE WHEN e.proof IS NOT NULL THEN e.ticker END
FROM ticker_bridges AS b
FULL JOIN expected AS e ON e.proof = b.proof AND e.ticker = b.ticker
WHERE b.proof IS NULL OR e.proof IS NULL
"""

# The asset of a listing is the key of a listing, and so is that of a coin.
KEYS = """
WITH key AS MATERIALIZED (
    SELECT source || ':' || external_id AS key FROM listings
)
SELECT l.source || ':' || l.external_id, 'asset', l.asset, 'the key of a listing'
FROM listings AS l
WHERE l.asset IS NOT NULL AND l.asset NOT IN (SELECT key FROM key)
UNION ALL
SELECT n.ticker, 'asset', n.asset, 'the key of a listing'
FROM normalized_records AS n
WHERE n.asset NOT IN (SELECT key FROM key)
"""

_ADDRESSES = """
SELECT source, external_id, chain, address FROM listing_addresses WHERE active
"""
_GROUPS = "SELECT source, external_id, address_group, chains FROM address_groups"


async def active_addresses(connection: Connection) -> list[tuple[str, str, str, str]]:
    """Return source, external id, chain and address of each address in use."""
    return [tuple(row) for row in await connection.fetch(_ADDRESSES)]


async def stored_groups(
    connection: Connection,
) -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
    """Return the group of each key, with the chains of the key."""
    rows = await connection.fetch(_GROUPS)
    return {(row[0], row[1]): (row[2], tuple(row[3])) for row in rows}
