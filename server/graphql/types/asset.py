"""The type Asset: what is traded, whatever its sources and tickers call it."""

import datetime

import strawberry

from common.chains import caip19
from db.read.asset_parts import (
    TokenAddressRow,
    addresses_of_assets,
    coins_of_assets,
    coins_of_assets_statement,
    former_tickers_of_assets,
)
from db.read.assets import MAX_OF_ASSET, AssetRow
from db.read.coins import COINS
from db.read.listings import (
    LISTINGS,
    MAX_LISTINGS_OF_TICKER,
    listings_of_assets,
    listings_of_assets_statement,
)
from db.read.streams import MAX_MARKETS_OF_ASSET, consensus_of_assets, markets_of_assets
from server.graphql.execution.loaders import NarrowQuery, related_many, related_one
from server.graphql.markets.consensus import ConsensusType
from server.graphql.markets.market import MarketType
from server.graphql.relay.ids import asset_id
from server.graphql.relay.node import Node
from server.graphql.types.coin import Coin
from server.graphql.types.fields import related, resolved
from server.graphql.types.listing import ListingType


def _id(root: strawberry.Parent[AssetRow]) -> strawberry.ID:
    return strawberry.ID(asset_id(root.key))


def _caip19(root: strawberry.Parent[TokenAddressRow]) -> str | None:
    return caip19(root.chain, root.address)


@strawberry.type(description="A ticker that an asset does not have now, but had.")
class FormerTicker:
    """Its value is a `FormerTickerRow`."""

    ticker: str = strawberry.field(description="The symbol, normalised and in upper case.")
    until: datetime.datetime = strawberry.field(
        description="The last observation under this ticker."
    )


@strawberry.type(name="TokenAddress", description="The contract of a token on one chain.")
class TokenAddressType:
    """Its value is a `TokenAddressRow`."""

    chain: str = strawberry.field(
        description='The chain, such as "ethereum"; "source:platform" for a platform that only its'
        " source knows."
    )
    address: str = strawberry.field(description="The address in the normal form of the chain.")
    caip19: str | None = resolved(
        _caip19,
        'The CAIP-19 id, such as "eip155:1/erc20:0x..."; null for a chain without a CAIP-2 id.',
    )
    sources: list[str] = strawberry.field(description="The sources that give it.")


@strawberry.type(
    name="Asset",
    description="What is traded, whatever its sources and tickers call it: a set of listings.",
)
class AssetType(Node):
    """Its value is an `AssetRow`."""

    row_type = AssetRow

    id: strawberry.ID = resolved(
        _id,
        'Such as "asset_coinpaprika_btc-bitcoin". If another listing names the asset later, the'
        " old id still finds it.",
    )
    key: str = strawberry.field(
        description='The key of the listing that names it, such as "coinpaprika:btc-bitcoin": an'
        " active one before others, then by the priority of the sources."
    )
    ticker: str = strawberry.field(
        description="The current ticker: that of the listing that names it."
    )
    name: str | None = strawberry.field(description="The name at the listing that names it.")
    names: list[str] = strawberry.field(
        description=f"The distinct names of its listings, its own first; at most {MAX_OF_ASSET}."
    )
    former_tickers: list[FormerTicker] = related(
        related_many(["key"], former_tickers_of_assets),
        f"The tickers that it had, the last one first; at most {MAX_OF_ASSET}.",
    )
    addresses: list[TokenAddressType] = related(
        related_many(["key"], addresses_of_assets),
        f"Its contract addresses in use, by chain; at most {MAX_OF_ASSET}.",
    )
    listings: list[ListingType] = related(
        related_many(
            ["key"],
            listings_of_assets,
            narrow=NarrowQuery(LISTINGS, listings_of_assets_statement, key="asset"),
        ),
        "Its listings of all sources and tickers, largest market cap first;"
        f" at most {MAX_LISTINGS_OF_TICKER}.",
    )
    coins: list[Coin] = related(
        related_many(
            ["key"],
            coins_of_assets,
            narrow=NarrowQuery(COINS, coins_of_assets_statement, key="asset"),
        ),
        "The records that it owns: one for each ticker that a source uses for it, and for which no"
        f" other asset has better evidence. Largest market cap first, at most {MAX_OF_ASSET}.",
    )
    consensus: ConsensusType | None = related(
        related_one(["key"], consensus_of_assets),
        "The consensus price over the live markets of the asset; null if no exchange that is"
        " followed lists it.",
    )
    markets: list[MarketType] = related(
        related_many(["key"], markets_of_assets),
        f"The live markets that trade the asset, by venue; at most {MAX_MARKETS_OF_ASSET}.",
    )
