"""The tickers that one token has at several sources: what a merge needs to find all of an asset."""

from collections.abc import Collection

import msgspec

from db.connect.types import Connection

_PROOFS = """
proof AS (
    SELECT source, external_id, 'g' || address_group AS proof FROM address_groups
    UNION ALL
    SELECT source, external_id, 'l' || asset FROM identities WHERE asset IS NOT NULL
)
"""
_CHANGE = """
wanted AS MATERIALIZED (
    SELECT DISTINCT p.proof, l.ticker
    FROM proof AS p
    JOIN affected AS a ON a.proof = p.proof
    JOIN listings AS l ON l.source = p.source AND l.external_id = p.external_id
),
spanning AS MATERIALIZED (
    SELECT proof, ticker FROM wanted
    WHERE proof IN (SELECT proof FROM wanted GROUP BY proof HAVING count(*) > 1)
),
gone AS (
    DELETE FROM ticker_bridges AS b
    WHERE proof IN (SELECT proof FROM affected) AND NOT EXISTS (
        SELECT FROM spanning AS s WHERE s.proof = b.proof AND s.ticker = b.ticker
    )
    RETURNING ticker
),
added AS (
    INSERT INTO ticker_bridges (proof, ticker)
    SELECT proof, ticker FROM spanning
    ON CONFLICT DO NOTHING
    RETURNING ticker
)
"""
# The keys come as JSON: the planner looks up each of them, and asyncpg encodes arrays slowly.
_ARRIVED = f"""
WITH {_PROOFS},
arrived AS MATERIALIZED (
    SELECT external_id FROM json_array_elements_text($2::json) AS e (external_id)
),
affected AS MATERIALIZED (
    SELECT 'g' || address_group AS proof
    FROM address_groups
    WHERE source = $1 AND external_id IN (SELECT external_id FROM arrived)
    UNION
    SELECT 'l' || asset
    FROM identities
    WHERE source = $1 AND asset IS NOT NULL AND external_id IN (SELECT external_id FROM arrived)
),
{_CHANGE}
SELECT ticker FROM gone
UNION
SELECT ticker FROM added
UNION
SELECT l.ticker
FROM listings AS l
WHERE l.source = $1 AND l.external_id IN (
    SELECT external_id FROM arrived
    INTERSECT (
        SELECT external_id FROM address_groups WHERE source = $1
        UNION ALL
        SELECT external_id FROM identities WHERE source = $1
    )
)
"""  # noqa: S608 - of constants
_IS_PROVEN = """
SELECT EXISTS (SELECT FROM address_groups WHERE source = $1)
    OR EXISTS (SELECT FROM identities WHERE source = $1)
"""
_ALL = f"""
WITH {_PROOFS},
affected AS MATERIALIZED (
    SELECT proof FROM proof UNION SELECT proof FROM ticker_bridges
),
{_CHANGE}
SELECT ticker FROM gone UNION SELECT ticker FROM added
"""  # noqa: S608 - of constants


_REACHED = """
WITH RECURSIVE reached AS (
    SELECT ticker FROM ticker_bridges WHERE ticker = ANY ($1::text[])
    UNION
    SELECT there.ticker
    FROM reached AS r
    JOIN ticker_bridges AS here ON here.ticker = r.ticker
    JOIN ticker_bridges AS there ON there.proof = here.proof
)
SELECT ticker FROM reached
"""
_ANY_BRIDGE = "SELECT EXISTS (SELECT FROM ticker_bridges)"


async def reached_tickers(connection: Connection, tickers: Collection[str]) -> list[str]:
    """Return `tickers`, and those that an asset of theirs has elsewhere, sorted."""
    found = set(tickers)
    if await connection.fetchval(_ANY_BRIDGE):
        found.update(row["ticker"] for row in await connection.fetch(_REACHED, list(found)))
    return sorted(found)


async def bridge_arrivals(
    connection: Connection, source: str, external_ids: Collection[str]
) -> frozenset[str]:
    """Bridge the tickers of listings that are new, or renamed; return the tickers to merge.

    These include those of arrivals of which an address or `data/identity.csv` says something. The
    caller's transaction holds the write lock.
    """
    if not external_ids or not await connection.fetchval(_IS_PROVEN, source):
        return frozenset()
    rows = await connection.fetch(_ARRIVED, source, msgspec.json.encode(sorted(external_ids)))
    return frozenset(row["ticker"] for row in rows)


async def bridge_all(connection: Connection) -> frozenset[str]:
    """Bridge all tickers again, after labels or address groups changed; return those to merge.

    The caller's transaction holds the write lock.
    """
    return frozenset(row["ticker"] for row in await connection.fetch(_ALL))
