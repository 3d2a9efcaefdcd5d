"""The type Listing: the data of one source about one asset."""

import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import strawberry

from db.read.coins import COINS, coins_by_ticker
from db.read.keyset import PageQuery
from db.read.listings import ListingRow, newest_payloads
from server.graphql.execution.loaders import NarrowQuery, related_one
from server.graphql.relay.ids import listing_id
from server.graphql.relay.node import Node
from server.graphql.types.fields import related, resolved
from server.graphql.types.scalars import DecimalText

if TYPE_CHECKING:
    from server.graphql.types.coin import Coin


def _id(root: strawberry.Parent[ListingRow]) -> strawberry.ID:
    return strawberry.ID(listing_id(root.source, root.external_id))


BY_TICKERS = "WHERE n.ticker = ANY ($1::text[])"


def _coins_by_tickers(query: PageQuery) -> str:
    return query.select(BY_TICKERS)


@strawberry.type(name="Listing", description="What one source says of one asset.")
class ListingType(Node):
    """Its value is a `ListingRow`."""

    row_type = ListingRow

    id: strawberry.ID = resolved(_id, 'Such as "listing_coinpaprika_btc-bitcoin".')
    source: str = strawberry.field(description="The source that lists it.")
    external_id: str = strawberry.field(description="The source's own id of the asset.")
    ticker: str = strawberry.field(description="The symbol, normalised and upper-cased.")
    symbol: str = strawberry.field(description="The symbol exactly as the source wrote it.")
    name: str | None = strawberry.field(description="As the source writes it.")
    rank: int | None = strawberry.field(
        description="Rank by market cap at this source, 1 the greatest."
    )
    price_usd: DecimalText | None = strawberry.field(
        description="As the source quoted it, every digit."
    )
    market_cap_usd: DecimalText | None = strawberry.field(
        description="Market capitalisation in US dollars."
    )
    volume_24h_usd: DecimalText | None = strawberry.field(
        description="Traded within 24 hours, in US dollars."
    )
    percent_change_24h: float | None = strawberry.field(
        description="Change of the price within 24 hours, in per cent."
    )
    circulating_supply: DecimalText | None = strawberry.field(description="Units in circulation.")
    total_supply: DecimalText | None = strawberry.field(description="Units that exist.")
    max_supply: DecimalText | None = strawberry.field(description="Units that there can ever be.")
    observed_at: datetime.datetime = strawberry.field(
        description="When the source observed the values."
    )
    first_seen_at: datetime.datetime = strawberry.field(
        description="When the source was first seen to list it."
    )
    last_seen_at: datetime.datetime = strawberry.field(
        description="When the source was last seen to list it."
    )
    active: bool = strawberry.field(description="False once the source has stopped listing it.")
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
