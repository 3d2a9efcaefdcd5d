"""The type Coin: one merged record for each ticker."""

import datetime
import functools
from typing import TYPE_CHECKING, Annotated

import strawberry

from db.read.assets import (
    ASKED_ASSETS,
    are_current,
    asked_assets_statement,
    assets_by_key,
)
from db.read.coins import WIDE_SPREAD_PERCENT, CoinRow
from db.read.listings import (
    LISTINGS,
    MAX_LISTINGS_OF_TICKER,
    ListingRow,
    listings_of_tickers,
    listings_of_tickers_statement,
)
from db.read.streams import MAX_MARKETS_OF_ASSET, consensus_of_assets, markets_of_assets
from server.graphql.execution.loaders import NarrowQuery, Relation, related_many, related_one
from server.graphql.markets.consensus import ConsensusType
from server.graphql.markets.market import MarketType
from server.graphql.relay.node import Node
from server.graphql.types.fields import nested, related, resolved
from server.graphql.types.history import (
    COIN_HISTORY,
    Candle,
    PricePointConnection,
    coin_candles,
    coin_history,
)
from server.graphql.types.provenance import (
    PROVENANCE_FIELDS,
    ExcludedValue,
    FieldProvenance,
    decode_excluded,
    decode_provenance,
)
from server.graphql.types.scalars import DecimalText

if TYPE_CHECKING:
    from server.graphql.types.asset import AssetType
    from server.graphql.types.listing import ListingType


def _listings(*, contributing: bool) -> Relation[list[ListingRow]]:
    return related_many(
        ["ticker"],
        functools.partial(listings_of_tickers, contributing=contributing),
        narrow=NarrowQuery(LISTINGS, listings_of_tickers_statement, (contributing,)),
    )


def _true() -> bool:
    return True


@strawberry.type(description="One merged record for each ticker.")
class Coin(Node):
    """Its value is a `CoinRow`."""

    row_type = CoinRow

    ticker: str = strawberry.field(description="The symbol that it trades under, in upper case.")
    name: str | None = strawberry.field(
        description="The name from the first source that has one, by priority."
    )
    price_usd: DecimalText | None = strawberry.field(
        description="The price, rounded half-even to 8 decimal places."
    )
    price_usd_exact: DecimalText | None = strawberry.field(
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
    rank: int | None = strawberry.field(
        description="Rank by market cap as a source gives it; 1 is the largest."
    )
    source: str = strawberry.field(description="The source of the volatile fields.")
    created_at: datetime.datetime = strawberry.field(
        description="When the source observed the values."
    )
    ingested_at: datetime.datetime = strawberry.field(description="When the record was last saved.")
    is_stale: bool = strawberry.field(
        description="Whether the values are older than three polls of their source."
    )
    provenance: list[FieldProvenance] = nested(
        ["provenance", *PROVENANCE_FIELDS],
        "Which source gave each field.",
        decode=decode_provenance,
    )
    listings: list[Annotated["ListingType", strawberry.lazy("server.graphql.types.listing")]] = (
        related(
            _listings(contributing=True),
            "The listings that this record is merged from, largest market cap first;"
            f" at most {MAX_LISTINGS_OF_TICKER}.",
        )
    )
    rivals: list[Annotated["ListingType", strawberry.lazy("server.graphql.types.listing")]] = (
        related(
            _listings(contributing=False),
            "Listings of other assets with the same ticker; the record does not use their values."
            f" Largest market cap first, at most {MAX_LISTINGS_OF_TICKER}.",
        )
    )
    price_spread_percent: float | None = strawberry.field(
        description="The spread of the fresh source prices: (max - min) / median x 100;"
        f" null with fewer than two. More than {WIDE_SPREAD_PERCENT} is a dispute."
    )
    history: PricePointConnection = resolved(
        coin_history,
        "The prices that the sources said of the asset that owns the ticker now, oldest first."
        " A jump that the source's next price does not confirm is left out.",
        source=COIN_HISTORY,
    )
    candles: list[Candle] = resolved(
        coin_candles,
        "The prices of the asset that owns the ticker now by intervals of time, oldest first; each"
        " is of one source.",
    )
    asset: Annotated["AssetType", strawberry.lazy("server.graphql.types.asset")] | None = related(
        related_one(
            ["asset"],
            assets_by_key,
            condition="asset",
            narrow=NarrowQuery(ASKED_ASSETS, asked_assets_statement, key="asked"),
        ),
        "The asset that owns the ticker; null until the first merge after an upgrade from 0.1.0.",
    )
    consensus: ConsensusType | None = related(
        related_one(["asset"], consensus_of_assets, condition="asset"),
        "The consensus price over the live markets of the asset; null if no exchange that is"
        " followed lists it.",
    )
    markets: list[MarketType] = related(
        Relation(markets_of_assets, list, columns=("asset",), condition="asset"),
        f"The live markets that trade the asset, by venue; at most {MAX_MARKETS_OF_ASSET}.",
    )
    is_current: bool = related(
        Relation(are_current, _true, columns=("asset", "ticker"), condition="asset"),
        "Whether its asset has this ticker now. False where the asset trades under another ticker"
        " and a source still uses this one.",
    )
    confidence: float | None = strawberry.field(
        description="How far the price is believed, 0 to 1: it rises with the sources that agree"
        " and with a known contract address, and falls with doubt about the price or the owner of"
        " the ticker. Null until the first merge after an upgrade from 0.1.0."
    )
    is_suspect: bool = strawberry.field(
        description="Whether a source's price was left out, and fewer than two sources confirm the"
        " price that is here."
    )
    excluded: list[ExcludedValue] = nested(
        ["excluded"], "Values of sources that the record leaves out.", decode=decode_excluded
    )
