"""Reads what belongs to assets: former tickers, contract addresses, and coins."""

import datetime
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.read.assets import MAX_OF_ASSET
from db.read.coins import COINS, CoinRow
from db.read.expressions import has_key, is_member
from db.read.keyset import PageQuery
from db.read.listings import ListingKey


class FormerTickerRow(msgspec.Struct, frozen=True, gc=False):
    """A ticker that a listing had, and the last observation under it."""

    ticker: str
    until: datetime.datetime


class TokenAddressRow(msgspec.Struct, frozen=True, gc=False):
    """A contract in the normal form of its chain, and the sources that name it."""

    chain: str
    address: str
    sources: list[str]


_FORMER_TICKERS = f"""
SELECT k.key, found.ticker, found.until
FROM unnest($1::text[]) AS k (key)
CROSS JOIN LATERAL (
    SELECT f.ticker, max(f.until) AS until
    FROM listings AS m
    JOIN former_tickers AS f ON f.source = m.source AND f.external_id = m.external_id
    WHERE {is_member("m", "k.key")}
      AND NOT EXISTS (
          SELECT FROM listings AS l WHERE {has_key("l", "k.key")} AND l.ticker = f.ticker
      )
    GROUP BY f.ticker
    ORDER BY until DESC, f.ticker
    LIMIT {MAX_OF_ASSET}
) AS found
"""
_ADDRESSES_OF_ASSETS = f"""
SELECT k.key, found.chain, found.address, found.sources
FROM unnest($1::text[]) AS k (key)
CROSS JOIN LATERAL (
    SELECT a.chain, a.address, array_agg(DISTINCT a.source ORDER BY a.source) AS sources
    FROM listings AS m
    JOIN listing_addresses AS a ON a.source = m.source AND a.external_id = m.external_id
    WHERE {is_member("m", "k.key")} AND a.active
    GROUP BY a.chain, a.address
    ORDER BY a.chain, a.address
    LIMIT {MAX_OF_ASSET}
) AS found
"""
_ADDRESSES_OF_LISTINGS = f"""
SELECT k.source, k.external_id, found.chain, found.address
FROM unnest($1::text[], $2::text[]) AS k (source, external_id)
CROSS JOIN LATERAL (
    SELECT a.chain, a.address
    FROM listing_addresses AS a
    WHERE a.source = k.source AND a.external_id = k.external_id AND a.active
    ORDER BY a.chain, a.address
    LIMIT {MAX_OF_ASSET}
) AS found
"""


def coins_of_assets_statement(query: PageQuery) -> str:
    """Return the statement for the coins that some assets own, largest market cap first."""
    # An asset owns only tickers that one of its listings has: no index by owner is needed.
    coins = query.select(
        f"WHERE n.ticker IN (SELECT m.ticker FROM listings AS m WHERE {is_member('m', 'k.key')})"
        " AND n.asset = k.key ORDER BY n.market_cap_usd DESC NULLS LAST, n.ticker"
        f" LIMIT {MAX_OF_ASSET}"
    )
    # Constants of this package.
    return f"SELECT x.* FROM unnest($1::text[]) AS k (key) CROSS JOIN LATERAL ({coins}) AS x"


_COINS = coins_of_assets_statement(COINS)


async def coins_of_assets(connection: Connection, keys: Sequence[str]) -> dict[str, list[CoinRow]]:
    """Return the coins that each asset owns, largest market cap first."""
    coins: defaultdict[str, list[CoinRow]] = defaultdict(list)
    for record in await connection.fetch(_COINS, keys):
        coins[record["asset"]].append(CoinRow(*record))
    return coins


async def former_tickers_of_assets(
    connection: Connection, keys: Sequence[str]
) -> dict[str, list[FormerTickerRow]]:
    """Return the tickers that each asset does not have now but had, the last ones first."""
    tickers: defaultdict[str, list[FormerTickerRow]] = defaultdict(list)
    for key, ticker, until in await connection.fetch(_FORMER_TICKERS, keys):
        tickers[key].append(FormerTickerRow(ticker, until))
    return tickers


async def addresses_of_assets(
    connection: Connection, keys: Sequence[str]
) -> dict[str, list[TokenAddressRow]]:
    """Return the addresses in use of each asset, by chain."""
    addresses: defaultdict[str, list[TokenAddressRow]] = defaultdict(list)
    for key, *values in await connection.fetch(_ADDRESSES_OF_ASSETS, keys):
        addresses[key].append(TokenAddressRow(*values))
    return addresses


async def addresses_of_listings(
    connection: Connection, keys: Sequence[ListingKey]
) -> dict[ListingKey, list[TokenAddressRow]]:
    """Return the addresses in use of each listing, by chain."""
    sources, external_ids = zip(*keys, strict=True)
    addresses: defaultdict[ListingKey, list[TokenAddressRow]] = defaultdict(list)
    for source, external_id, chain, address in await connection.fetch(
        _ADDRESSES_OF_LISTINGS, sources, external_ids
    ):
        addresses[source, external_id].append(TokenAddressRow(chain, address, [source]))
    return addresses
