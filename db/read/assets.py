"""Reads assets: pages of them, and single ones by the key of any listing or by an address.

The row of an asset is made of the listing that names it: the best one, by the merge.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from db.connect.types import Connection
from db.read.expressions import (
    asset_of,
    has_key,
    is_member,
    key_of,
    like_prefix,
    search_condition,
)
from db.read.keyset import (
    FilterParts,
    Order,
    PageQuery,
    filter_parts,
)

MAX_OF_ASSET = 250
"""The most names, former tickers, addresses or coins of one asset that are read."""

_KEY = key_of("l")
_ASSET = asset_of("m")
_SAME_KEY = "m.source = {0}.source AND m.external_id = {0}.external_id"
_HAVING_ADDRESS = (
    "SELECT m.source, m.external_id, m.asset, a.chain FROM listing_addresses AS a"
    f" JOIN listings AS m ON {_SAME_KEY.format('a')} WHERE a.active"
)
# `m` is a listing of the asset.
_NAMES = f"""ARRAY(
    SELECT m.name FROM listings AS m
    WHERE {is_member("m", _KEY)} AND m.name <> ''
    GROUP BY m.name
    ORDER BY m.name IS DISTINCT FROM l.name, m.name COLLATE "C"
    LIMIT {MAX_OF_ASSET}
)"""


def _named_by(listings: str) -> str:
    """Return the condition that an asset has one of these listings."""
    # It is a set of keys, so that the primary key's index finds a small one.
    return (
        "(l.source, l.external_id) IN (SELECT split_part(g.key, ':', 1),"
        " substr(g.key, strpos(g.key, ':') + 1)"
        f" FROM (SELECT DISTINCT {_ASSET} AS key FROM ({listings}) AS m) AS g)"
    )


_OF_TICKERS = (
    "(SELECT source, external_id, asset FROM listings WHERE ticker = ANY ({})"
    " UNION ALL SELECT m.source, m.external_id, m.asset FROM former_tickers AS f"
    f" JOIN listings AS m ON {_SAME_KEY.format('f')} WHERE f.ticker = ANY ({{}}))"
)


class AssetRow(msgspec.Struct, frozen=True, gc=False):
    """An asset; `ticker` and `name` are those of the listing that names it."""

    key: str
    ticker: str
    name: str | None
    names: list[str]


class AssetFilter(msgspec.Struct, frozen=True):
    """A filter of assets; None does not restrict.

    The order of the fields is that of the conditions. Tickers may be former ones.
    """

    tickers: Sequence[str] | None = None
    sources: Sequence[str] | None = None
    search: str | None = None
    with_address: Literal[True] | None = None
    without_address: Literal[True] | None = None
    chains: Sequence[str] | None = None


ASSETS = PageQuery(
    columns=(("key", _KEY), ("ticker", "l.ticker"), ("name", "l.name"), ("names", _NAMES)),
    tables="(SELECT * FROM listings WHERE asset IS NULL) AS l",
    conditions=(
        ("text[]", _named_by(_OF_TICKERS)),
        ("text[]", _named_by("SELECT * FROM listings WHERE source = ANY ({})")),
        (
            "text",
            _named_by(
                f"SELECT * FROM listings AS m WHERE {search_condition('m.ticker', 'm.name')}"
            ),
        ),
        # Two conditions, so that each is a join: as `(... IN ...) = {}` it is quadratic.
        ("boolean", f"{{}} AND {_named_by(_HAVING_ADDRESS)}"),
        (
            "boolean",
            f"{{}} AND NOT EXISTS (SELECT FROM ({_HAVING_ADDRESS}) AS m WHERE {_ASSET} = {_KEY})",
        ),
        ("text[]", _named_by(f"{_HAVING_ADDRESS} AND a.chain = ANY ({{}})")),
    ),
)
ASKED_ASSETS = PageQuery(
    columns=(("asked", "k.key"), *ASSETS.columns),
    tables="unnest($1::text[]) AS k (key)"
    f" JOIN listings AS own ON {has_key('own', 'k.key')}"
    f" JOIN listings AS l ON {has_key('l', 'coalesce(own.asset, k.key)')}",
)
"""The assets of the listings with the keys of the parameter; `asked` is such a key."""

NO_FILTER = AssetFilter()
ASSET_ORDER = Order("ASSET", sort="l.source", sort_type="text", key="l.external_id")


def _orders(name: str, sort: str, sort_type: str, *, nullable: bool) -> list[Order]:
    return [
        Order(
            f"ASSET_{name}:{direction}",
            sort,
            sort_type,
            _KEY,
            descending=direction == "DESC",
            nullable=nullable,
        )
        for direction in ("ASC", "DESC")
    ]


ASSET_ORDERS = {
    order.name: order
    for order in (
        *_orders("MARKET_CAP_USD", "l.market_cap_usd", "numeric", nullable=True),
        *_orders("TICKER", "l.ticker", "text", nullable=False),
        *_orders("NAME", "lower(l.name)", "text", nullable=True),
    )
}
"""Further orders by name, such as "ASSET_NAME:ASC"; only that of tickers has an index."""


class AssetReference(msgspec.Struct, frozen=True):
    """What a client knows of an asset: the key of a listing, or an address, or a text for both."""

    key: str | None = None
    chain: str | None = None
    address: str | None = None

    @property
    def cacheable(self) -> bool:
        """Whether every change of its asset has an event; addresses change without one."""
        return self.chain is None


def asked_assets_statement(query: PageQuery) -> str:
    """Return the statement for the assets of some listings' keys."""
    return query.select("")


_BY_KEYS = asked_assets_statement(ASKED_ASSETS)
_REFERRED = f"""
SELECT r.place, found.key
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS r (key, chain, address, place)
CROSS JOIN LATERAL (
    (SELECT 1 AS grade, r.key FROM listings AS own WHERE {has_key("own", "r.key")})
    UNION ALL
    (
        SELECT 2, {_ASSET}
        FROM listing_addresses AS a
        JOIN listings AS m ON {_SAME_KEY.format("a")}
        WHERE a.chain = r.chain AND a.address = r.address AND a.active
        ORDER BY m.active DESC, m.market_cap_usd DESC NULLS LAST, m.source, m.external_id
        LIMIT 1
    )
    ORDER BY grade
    LIMIT 1
) AS found
"""
_CURRENT = f"""
SELECT k.asset, k.ticker, l.ticker = k.ticker AS is_current
FROM unnest($1::text[], $2::text[]) AS k (asset, ticker)
JOIN listings AS own ON {has_key("own", "k.asset")}
JOIN listings AS l ON {has_key("l", "coalesce(own.asset, k.asset)")}
"""


def asset_conditions(filters: AssetFilter) -> FilterParts:
    """Return the conditions of the filter for a statement."""
    if filters.search is not None:
        filters = msgspec.structs.replace(filters, search=like_prefix(filters.search))
    return filter_parts(msgspec.structs.astuple(filters))


async def assets_by_key(connection: Connection, keys: Sequence[str]) -> dict[str, AssetRow]:
    """Return the asset of each listing with one of these keys; unknown ones are left out."""
    return {asked: AssetRow(*values) for asked, *values in await connection.fetch(_BY_KEYS, keys)}


async def referred_keys(
    connection: Connection, references: Sequence[AssetReference]
) -> dict[AssetReference, str]:
    """Return the key of a listing of each asset; references to none are left out."""
    if all(reference.chain is None for reference in references):
        return {reference: reference.key for reference in references if reference.key is not None}
    records = await connection.fetch(
        _REFERRED,
        [reference.key for reference in references],
        [reference.chain for reference in references],
        [reference.address for reference in references],
    )
    return {references[record["place"] - 1]: record["key"] for record in records}


async def assets_by_reference(
    connection: Connection, references: Sequence[AssetReference]
) -> dict[AssetReference, AssetRow]:
    """Return the asset of each reference; unknown ones are left out."""
    keys = await referred_keys(connection, references)
    found = await assets_by_key(connection, list(set(keys.values()))) if keys else {}
    return {reference: found[key] for reference, key in keys.items() if key in found}


async def are_current(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], bool]:
    """Return for pairs of asset and ticker whether the asset has the ticker now."""
    assets, tickers = zip(*keys, strict=True)
    records = await connection.fetch(_CURRENT, assets, tickers)
    return {(asset, ticker): is_current for asset, ticker, is_current in records}
