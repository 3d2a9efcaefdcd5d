"""The type Coin: one merged record for each ticker."""

import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import strawberry

from db.coin_pages import WIDE_SPREAD_PERCENT, CoinRow
from db.listing_pages import MAX_LISTINGS_OF_TICKER, ListingRow
from server.graphql.context import Info
from server.graphql.fields import resolved
from server.graphql.history import Candle, PricePointConnection, resolve_candles, resolve_history
from server.graphql.node import Node
from server.graphql.scalars import DecimalText

if TYPE_CHECKING:
    from server.graphql.listing import Listing

_FIELD_NAMES = {
    "price_usd": "priceUsd",
    "market_cap_usd": "marketCapUsd",
    "volume_24h_usd": "volume24hUsd",
    "percent_change_24h": "percentChange24h",
}
"""The fields of provenance whose column has another name than the field."""


class Provenance(msgspec.Struct, frozen=True, gc=False):
    """One entry of a coin's provenance."""

    field: str
    source: str
    external_id: str
    observed_at: datetime.datetime


_ENTRIES = msgspec.json.Decoder(list[Provenance])


@strawberry.type(description="Which source gave one field of a coin.")
class FieldProvenance:
    """Its value is a `Provenance`."""

    field: str = strawberry.field(description='The field of the coin, such as "priceUsd".')
    source: str = strawberry.field(description="The source that gave it.")
    external_id: str = strawberry.field(description="The source's own id of the listing that gave it.")
    observed_at: datetime.datetime = strawberry.field(description="When the source observed it.")


def provenance_of(column: msgspec.Raw) -> list[Provenance]:
    """Return what a coin's column `provenance` says, with the fields' names in the schema."""
    entries = _ENTRIES.decode(column)
    return [
        msgspec.structs.replace(entry, field=_FIELD_NAMES[entry.field]) if entry.field in _FIELD_NAMES else entry
        for entry in entries
    ]


def _provenance(root: strawberry.Parent[CoinRow]) -> list[Provenance]:
    return provenance_of(root.provenance)


async def _listings(root: strawberry.Parent[CoinRow], info: Info) -> list[ListingRow]:
    return await info.context.loaders.contributing.load(root.ticker)


async def _rivals(root: strawberry.Parent[CoinRow], info: Info) -> list[ListingRow]:
    return await info.context.loaders.rivals.load(root.ticker)


@strawberry.type(description="One merged record for each ticker.")
class Coin(Node):
    """Its value is a `CoinRow`."""

    row_type = CoinRow

    ticker: str = strawberry.field(description="The symbol that it trades under, upper-cased.")
    name: str | None = strawberry.field(description="By the first source that has one, in the order of their priority.")
    price_usd: DecimalText | None = strawberry.field(description="Rounded half-even to 8 decimal places.")
    price_usd_exact: DecimalText | None = strawberry.field(description="As the source quoted it, every digit.")
    market_cap_usd: DecimalText | None = strawberry.field(description="Market capitalisation in US dollars.")
    volume_24h_usd: DecimalText | None = strawberry.field(description="Traded within 24 hours, in US dollars.")
    percent_change_24h: float | None = strawberry.field(description="Change of the price within 24 hours, in per cent.")
    rank: int | None = strawberry.field(description="Rank by market cap, 1 the greatest, as a source gives it.")
    source: str = strawberry.field(description="The source of the volatile fields.")
    created_at: datetime.datetime = strawberry.field(description="When the source observed the values.")
    ingested_at: datetime.datetime = strawberry.field(description="When the record was last saved.")
    is_stale: bool = strawberry.field(description="Whether the values are older than three polls of their source.")
    provenance: list[FieldProvenance] = resolved(_provenance, "Which source gave each field.")
    listings: list[Annotated["Listing", strawberry.lazy("server.graphql.listing")]] = resolved(
        _listings,
        f"The listings this record is merged from, greatest market cap first; at most {MAX_LISTINGS_OF_TICKER}.",
    )
    rivals: list[Annotated["Listing", strawberry.lazy("server.graphql.listing")]] = resolved(
        _rivals,
        "Other assets that trade under the same ticker; they give nothing to this record."
        f" Greatest market cap first, at most {MAX_LISTINGS_OF_TICKER}.",
    )
    price_spread_percent: float | None = strawberry.field(
        description="How far the fresh source prices lie apart: (max - min) / median x 100; null with fewer than two."
        f" More than {WIDE_SPREAD_PERCENT} is a dispute."
    )
    history: PricePointConnection = resolved(
        resolve_history, "How its price changed, oldest first; a price that stayed the same has no new point."
    )
    candles: list[Candle] = resolved(resolve_candles, "Its prices by stretches of time, oldest first.")
