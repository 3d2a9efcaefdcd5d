"""Why an asset owns a ticker: the claims on it, by the statement that merges coins."""

import datetime

import msgspec

from db.connect.types import Connection
from db.write.identity.bridges import reached_tickers
from db.write.merge.evidence import EVIDENCE
from db.write.merge.links import LINKS
from db.write.merge.listings import LISTINGS

# The same WITH queries as of the merge: what it shows is what decides.
_CLAIMS = (
    LISTINGS  # noqa: S608 - of constants
    + LINKS
    + EVIDENCE.rstrip().removesuffix(",")
    + """
SELECT
    r.ticker, r.asset_id AS asset, w.is_pinned, r.is_active, r.priced, r.speakers AS sources,
    r.size::text AS size_usd, trim_scale(r.score)::text AS score, r.has_standing, r.is_copy,
    r.is_followed, r.asset_newest < r.ticker_newest - interval '1 day' AS is_old, r.rank,
    r.asset_newest AS newest_at, w.first_seen_at, r.has_address, r.is_contested,
    (
        SELECT json_agg(json_build_object(
            'source', m.source, 'external_id', m.external_id, 'ticker', m.ticker, 'name', m.name,
            'price_usd', m.price_usd::text, 'market_cap_usd', m.market_cap_usd::text,
            'volume_24h_usd', m.volume_24h_usd::text, 'counted_cap_usd', m.own_cap::text,
            'label', m.label, 'token', m.token, 'active', m.active, 'is_held', m.is_held
        ) ORDER BY m.priority NULLS LAST, m.source, m.external_id)
        FROM member AS m
        WHERE m.number = r.number
    )::text AS listings
FROM ranked AS r
JOIN whole AS w ON w.number = r.number
WHERE r.ticker = ANY ($1::text[])
ORDER BY r.ticker, r.place
"""
)
# A plain listing, the only one of its ticker, has no rival; the merge takes it without a claim.
_PLAIN = """
SELECT
    l.source, l.external_id, l.ticker, l.name, l.price_usd::text, l.market_cap_usd::text,
    l.volume_24h_usd::text, i.asset AS label, g.address_group AS token, l.active,
    coalesce(i.is_banned, false) AS is_banned
FROM listings AS l
LEFT JOIN identities AS i ON i.source = l.source AND i.external_id = l.external_id
LEFT JOIN address_groups AS g ON g.source = l.source AND g.external_id = l.external_id
WHERE l.ticker = $1
ORDER BY l.source, l.external_id
"""


class ClaimListing(msgspec.Struct, frozen=True):
    """A listing of an asset that claims a ticker; numbers as exact text.

    `counted_cap_usd` is its cap as far as it is believed; `label` and `token` are what
    `data/identity.csv` and its addresses say.
    """

    source: str
    external_id: str
    ticker: str
    name: str | None
    price_usd: str | None
    market_cap_usd: str | None
    volume_24h_usd: str | None
    label: str | None
    token: str | None
    active: bool
    counted_cap_usd: str | None = None
    is_held: bool = False


class OwnershipClaim(msgspec.Struct, frozen=True):
    """An asset that claims a ticker, with the evidence; the first claim owns it."""

    ticker: str
    asset: str
    is_pinned: bool
    is_active: bool
    priced: int
    sources: int
    size_usd: str | None
    score: str
    has_standing: bool
    is_copy: bool
    is_followed: bool
    is_old: bool
    rank: int | None
    newest_at: datetime.datetime
    first_seen_at: datetime.datetime
    has_address: bool
    is_contested: bool
    listings: list[ClaimListing]


class TickerEvidence(msgspec.Struct, frozen=True):
    """The claims on a ticker, the best first.

    A ticker with one listing has none: nothing had to be decided; `listings` are all its listings,
    `banned` the keys of those that count for nothing.
    """

    ticker: str
    claims: list[OwnershipClaim]
    listings: list[ClaimListing]
    banned: list[str]


async def ticker_evidence(connection: Connection, ticker: str) -> TickerEvidence:
    """Return what speaks for and against each asset that claims a ticker."""
    reached = await reached_tickers(connection, [ticker])
    rows = [row for row in await connection.fetch(_CLAIMS, reached) if row["ticker"] == ticker]
    claims = [
        msgspec.convert(
            dict(row) | {"listings": msgspec.json.decode(row["listings"])}, OwnershipClaim
        )
        for row in rows
    ]
    plain = [dict(row) for row in await connection.fetch(_PLAIN, ticker)]
    banned = [f"{row['source']}:{row['external_id']}" for row in plain if row["is_banned"]]
    listings = [msgspec.convert(row, ClaimListing) for row in plain]
    return TickerEvidence(ticker, claims, listings, banned)
