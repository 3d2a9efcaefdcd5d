"""The type Listing: the data of one source about one asset."""

import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import strawberry

from db.read.asset_parts import addresses_of_listings
from db.read.assets import ASKED_ASSETS, asked_assets_statement, assets_by_key
from db.read.coins import COINS, coins_by_ticker
from db.read.keyset import PageQuery
from db.read.listings import ListingRow
from db.read.payloads import newest_payloads
from server.graphql.execution.loaders import NarrowQuery, related_many, related_one
from server.graphql.relay.ids import listing_id
from server.graphql.relay.node import Node
from server.graphql.types.fields import related, resolved
from server.graphql.types.history import (
    LISTING_HISTORY,
    Candle,
    PricePointConnection,
    resolve_listing_candles,
    resolve_listing_history,
)
from server.graphql.types.scalars import DecimalText

if TYPE_CHECKING:
    from server.graphql.types.asset import AssetType, TokenAddressType
    from server.graphql.types.coin import Coin


def _id(root: strawberry.Parent[ListingRow]) -> strawberry.ID:
    return strawberry.ID(listing_id(root.source, root.external_id))


BY_TICKERS = "WHERE n.ticker = ANY ($1::text[])"


def _coins_by_tickers(query: PageQuery) -> str:
    return query.select(BY_TICKERS)


@strawberry.type(name="Listing", description="The data of one source about one asset.")
class ListingType(Node):
    """Its value is a `ListingRow`."""

    row_type = ListingRow

    id: strawberry.ID = resolved(_id, 'Such as "listing_coinpaprika_btc-bitcoin".')
    source: str = strawberry.field(description="The source that lists it.")
    external_id: str = strawberry.field(description="The source's id of the asset.")
    ticker: str = strawberry.field(description="The symbol, normalised and in upper case.")
    symbol: str = strawberry.field(description="The symbol exactly as the source wrote it.")
    name: str | None = strawberry.field(description="As the source writes it.")
    rank: int | None = strawberry.field(
        description="Rank by market cap at this source; 1 is the largest."
    )
    price_usd: DecimalText | None = strawberry.field(
        description="The price as the source quoted it, with all digits."
    )
    market_cap_usd: DecimalText | None = strawberry.field(
        description="Market capitalisation in US dollars."
    )
    volume_24h_usd: DecimalText | None = strawberry.field(
        description="Trading volume within 24 hours, in US dollars."
    )
    percent_change_24h: float | None = strawberry.field(
        description="Change of the price within 24 hours, in per cent."
    )
    circulating_supply: DecimalText | None = strawberry.field(description="Units in circulation.")
    total_supply: DecimalText | None = strawberry.field(description="Units in existence.")
    max_supply: DecimalText | None = strawberry.field(description="The maximum number of units.")
    observed_at: datetime.datetime = strawberry.field(
        description="When the source observed the values."
    )
    first_seen_at: datetime.datetime = strawberry.field(
        description="When the source first listed it."
    )
    last_seen_at: datetime.datetime = strawberry.field(
        description="When the source last listed it."
    )
    active: bool = strawberry.field(description="False if the source no longer lists it.")
    missing_since: datetime.datetime | None = strawberry.field(
        description="When a complete reading of its source missed it first, if the newest one did."
        " One reading that misses a listing does not end it."
    )
    coin: Annotated["Coin", strawberry.lazy("server.graphql.types.coin")] | None = related(
        related_one(
            ["ticker"],
            coins_by_ticker,
            condition="contributes",
            narrow=NarrowQuery(COINS, _coins_by_tickers),
        ),
        "The merged record it contributes to; null for a rival.",
    )
    payload: msgspec.Raw | None = related(
        related_one(["source", "external_id", "content_hash"], newest_payloads),
        "The newest raw payload.",
    )
    history: PricePointConnection = resolved(
        resolve_listing_history,
        "What the source said of its price, oldest first."
        " A jump that the next price does not confirm is left out.",
        source=LISTING_HISTORY,
    )
    candles: list[Candle] = resolved(
        resolve_listing_candles, "Its prices by intervals of time, oldest first."
    )
    asset: Annotated["AssetType", strawberry.lazy("server.graphql.types.asset")] = related(
        related_one(
            ["asset"],
            assets_by_key,
            narrow=NarrowQuery(ASKED_ASSETS, asked_assets_statement, key="asked"),
        ),
        "The asset that it lists; listings of several sources are one asset by their addresses,"
        " names and prices.",
    )
    addresses: list[
        Annotated["TokenAddressType", strawberry.lazy("server.graphql.types.asset")]
    ] = related(
        related_many(["source", "external_id"], addresses_of_listings),
        "The contract addresses in use that its source gives, by chain.",
    )
