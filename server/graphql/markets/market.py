"""The type Market: one pair at one venue."""

import datetime
import enum

import strawberry

from server.graphql.types.scalars import DecimalText


@strawberry.enum(description="Why a market has its asset, or none.")
class MarketAssetReason(enum.Enum):
    """The values are those of markets.asset_reason."""

    LABEL = strawberry.enum_value("label", description="`data/identity.csv` says so.")
    OWNER = strawberry.enum_value(
        "owner", description="Its price agrees with that of the owner of the ticker."
    )
    RIVAL = strawberry.enum_value(
        "rival", description="Its price agrees with one rival of that ticker, not with the owner."
    )
    NO_CANDIDATE = strawberry.enum_value("no_candidate", description="No asset has the ticker.")
    NO_PRICE = strawberry.enum_value(
        "no_price", description="Its price in US dollars, or that of the assets, is not known."
    )
    NO_AGREEMENT = strawberry.enum_value(
        "no_agreement", description="Its price is that of no asset with the ticker."
    )
    AMBIGUOUS = strawberry.enum_value(
        "ambiguous", description="Its price agrees with several rivals, not with the owner."
    )


@strawberry.type(name="Market", description="One pair at one venue, with its newest price.")
class MarketType:
    """Its value is a `LiveMarketRow`."""

    venue: str = strawberry.field(description='Such as "kraken".')
    symbol: str = strawberry.field(description="The venue's own symbol of the pair.")
    base: str = strawberry.field(description="What is traded, as the venue calls it.")
    quote: str = strawberry.field(description="What it is priced in, as the venue calls it.")
    asset_reason: MarketAssetReason | None = strawberry.field(
        description="Why it has its asset, or none; null until its first price."
    )
    price: DecimalText | None = strawberry.field(
        description="The last price in the quote, with all digits; null before the first."
    )
    price_usd: DecimalText | None = strawberry.field(
        description="The last price in US dollars; null if the quote has no consensus price."
    )
    volume_24h_base: DecimalText | None = strawberry.field(
        description="The volume of 24 hours in the base; null if the venue does not say it."
    )
    volume_24h_quote: DecimalText | None = strawberry.field(
        description="The volume of 24 hours in the quote; null if the venue does not say it."
    )
    observed_at: datetime.datetime | None = strawberry.field(
        description="When it had this price, by the venue's clock."
    )
    status: str = strawberry.field(description="The venue's own word for its state.")
    is_trading: bool = strawberry.field(description="Whether it trades.")
    segment: str | None = strawberry.field(
        description="The stored segment of frames that the price came in."
    )
    frame: int | None = strawberry.field(description="The place of the frame in it, from 0.")
