"""Coins, flags and assets, compared with what the merge makes of the listings now.

The statement is the merge without the queries that write, so it needs no temporary table and runs
in a read-only transaction, also on a replica.
"""

from collections.abc import Collection, Sequence

from db.connect.types import Connection
from db.verify.differences import Difference, Tally
from db.write.identity.bridges import reached_tickers
from db.write.merge.evidence import EVIDENCE
from db.write.merge.links import LINKS
from db.write.merge.listings import LISTINGS
from db.write.merge.records import MOVED, RECORD
from db.write.merge.values import VALUES

_PLAN = "SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '16MB'"
_TICKERS = """
SELECT ticker
FROM (
    SELECT ticker FROM listings WHERE ticker > $1
    UNION
    SELECT ticker FROM normalized_records WHERE ticker > $1
) AS t
ORDER BY ticker
LIMIT $2
"""
_FIELDS = {
    "name": "name",
    "price_usd": "price_usd_exact",
    "market_cap_usd": "market_cap_usd",
    "volume_24h_usd": "volume_24h_usd",
    "percent_change_24h": "percent_change_24h",
    "rank": "rank",
    "source": "source",
    "created_at": "created_at",
    "stale_at": "stale_at",
    "price_spread_percent": "price_spread_percent",
    "rival_count": "rival_count",
    "asset": "asset",
    "confidence": "confidence",
    "is_suspect": "is_suspect",
    "excluded": "excluded",
    "provenance": "provenance",
}
_VALUES_OF_FIELDS = ",\n        ".join(
    f"('{name}', c.{stored}::text, r.{name}::text, c.{stored} IS DISTINCT FROM r.{name})"
    for name, stored in _FIELDS.items()
)
_COMPARE = (
    LISTINGS
    + LINKS
    + EVIDENCE
    + VALUES
    + RECORD
    + MOVED
    + f"""
SELECT r.ticker AS place, f.what, f.stored, f.expected, 'coin' AS kind
FROM record AS r
JOIN normalized_records AS c ON c.ticker = r.ticker AND c.ticker = ANY ($1::text[])
CROSS JOIN LATERAL (VALUES
        {_VALUES_OF_FIELDS}
) AS f (what, stored, expected, differs)
WHERE f.differs AND r.ticker = ANY ($2::text[])
UNION ALL
SELECT r.ticker, 'coin', NULL, 'asset ' || r.asset, 'coin'
FROM record AS r
LEFT JOIN normalized_records AS c ON c.ticker = r.ticker AND c.ticker = ANY ($1::text[])
WHERE c.ticker IS NULL AND r.ticker = ANY ($2::text[])
UNION ALL
SELECT c.ticker, 'coin', 'asset ' || coalesce(c.asset, '?'), NULL, 'coin'
FROM normalized_records AS c
LEFT JOIN record AS r ON r.ticker = c.ticker
WHERE r.ticker IS NULL AND c.ticker = ANY ($2::text[])
UNION ALL
SELECT
    source || ':' || external_id || ' (' || ticker || ')', 'contributes', contributes::text,
    owned::text, 'flag'
FROM moved
WHERE contributes <> owned AND ticker = ANY ($2::text[])
UNION ALL
SELECT
    source || ':' || external_id || ' (' || ticker || ')', 'asset', old_asset, asset, 'asset'
FROM moved
WHERE old_asset IS DISTINCT FROM asset AND ticker = ANY ($2::text[])
ORDER BY 5, 1, 2
"""  # noqa: S608 - of constants
)


class CoinTallies:
    """The tallies of the coins, of the flags `contributes` and of the assets of listings."""

    def __init__(self, limit: int) -> None:
        self.coins, self.flags, self.assets = Tally(limit), Tally(limit), Tally(limit)


async def next_tickers(connection: Connection, after: str, limit: int) -> list[str]:
    """Return the next tickers of listings and coins, in order."""
    return [row["ticker"] for row in await connection.fetch(_TICKERS, after, limit)]


async def compare_coins(
    connection: Connection, tickers: Sequence[str], tallies: CoinTallies
) -> None:
    """Add what differs between the stored coins of `tickers` and the merge of their listings.

    The caller's transaction is one snapshot: a page commits its listings with their coins.
    """
    reached = await reached_tickers(connection, tickers)
    await connection.execute(_PLAN)
    tallies.coins.rows += len(tickers)
    kinds = {"coin": tallies.coins, "flag": tallies.flags, "asset": tallies.assets}
    for place, what, stored, expected, kind in await connection.fetch(
        _COMPARE, reached, list(tickers)
    ):
        kinds[kind].add([Difference(place, what, stored, expected)])
    listings = await count_listings(connection, tickers)
    tallies.flags.rows += listings
    tallies.assets.rows += listings


_COUNT = "SELECT count(*) FROM listings WHERE ticker = ANY ($1::text[])"


async def count_listings(connection: Connection, tickers: Collection[str]) -> int:
    """Return the number of listings under these tickers."""
    count: int = await connection.fetchval(_COUNT, list(tickers))
    return count
