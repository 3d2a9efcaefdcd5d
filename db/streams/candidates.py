"""The assets that a market may trade: those of its ticker, and those that a label names."""

import datetime
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from db.connect.types import Connection

# Without the listings of the consensus: it must not confirm itself.
_CANDIDATES = """
SELECT
    l.ticker, coalesce(l.asset, l.source || ':' || l.external_id) AS asset,
    bool_or(l.contributes) AS is_owner,
    (array_agg(l.price_usd ORDER BY l.observed_at DESC)
        FILTER (WHERE l.price_usd IS NOT NULL AND l.observed_at > $2))[1] AS price_usd,
    (array_agg(l.name ORDER BY l.asset NULLS FIRST, l.source, l.external_id)
        FILTER (WHERE l.name IS NOT NULL))[1] AS name
FROM listings AS l
LEFT JOIN identities AS i ON i.source = l.source AND i.external_id = l.external_id
WHERE l.ticker = ANY ($1::text[]) AND l.active AND l.source <> 'markets'
    AND i.is_banned IS NOT TRUE
GROUP BY 1, 2
ORDER BY 1, 3 DESC, 2
"""
_LABELS = """
SELECT DISTINCT ON (v.source, v.external_id)
    v.source AS venue, v.external_id AS symbol, v.is_banned,
    coalesce(l.asset, l.source || ':' || l.external_id) AS asset
FROM identities AS v
LEFT JOIN identities AS i ON i.asset = v.asset AND i.source <> ALL ($1::text[])
LEFT JOIN listings AS l ON l.source = i.source AND l.external_id = i.external_id
WHERE v.source = ANY ($1::text[]) AND (v.is_banned OR l.source IS NOT NULL)
ORDER BY v.source, v.external_id, l.asset NULLS FIRST, l.source
"""


class CandidateRow(msgspec.Struct, frozen=True):
    """An asset with a ticker: the newest price that sources gave, and its name."""

    ticker: str
    asset: str
    is_owner: bool
    price_usd: Decimal | None
    name: str | None


class LabelRow(msgspec.Struct, frozen=True):
    """What `data/identity.csv` says of a market; `asset` is None only if it is banned."""

    venue: str
    symbol: str
    is_banned: bool
    asset: str | None


async def read_candidates(
    connection: Connection, tickers: Sequence[str], since: datetime.datetime
) -> list[CandidateRow]:
    """Return the assets of tickers, owners first; a price from before `since` is not known."""
    rows = await connection.fetch(_CANDIDATES, list(tickers), since)
    return [CandidateRow(*row) for row in rows]


async def read_labels(connection: Connection, venues: Sequence[str]) -> list[LabelRow]:
    """Return the labels of the markets of venues."""
    return [LabelRow(*row) for row in await connection.fetch(_LABELS, list(venues))]
