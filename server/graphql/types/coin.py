"""The type Coin: one merged record for each ticker."""

import datetime
import functools
from typing import TYPE_CHECKING, Annotated

import msgspec
import strawberry

from db.read.coins import WIDE_SPREAD_PERCENT, CoinRow
from db.read.listings import (
    LISTINGS,
    MAX_LISTINGS_OF_TICKER,
    ListingRow,
    listings_of_tickers,
    listings_of_tickers_statement,
)
from server.graphql.execution.loaders import NarrowQuery, Relation, related_many
from server.graphql.relay.node import Node
from server.graphql.types.fields import nested, related, resolved
from server.graphql.types.history import (
    HISTORY,
    Candle,
    PricePointConnection,
    resolve_candles,
    resolve_history,
)
from server.graphql.types.scalars import DecimalText

if TYPE_CHECKING:
    from server.graphql.types.listing import ListingType

PROVENANCE_FIELDS = {
    "name": "name",
    "rank": "rank",
    "price_usd": "priceUsd",
    "market_cap_usd": "marketCapUsd",
    "volume_24h_usd": "volume24hUsd",
    "percent_change_24h": "percentChange24h",
}
"""The columns that a source gives, in the order of provenance, and their fields in the schema."""


class Provenance(msgspec.Struct, frozen=True, gc=False):
    """One entry of a coin's provenance."""

    field: str
    source: str
    external_id: str
    observed_at: datetime.datetime


class _SingleSource(msgspec.Struct, frozen=True, gc=False):
    """The one listing that gave every field."""

    source: str
    external_id: str
    observed_at: datetime.datetime


_PROVENANCE = msgspec.json.Decoder(_SingleSource | list[Provenance])


@strawberry.type(description="Which source gave one field of a coin.")
class FieldProvenance:
    """Its value is a `Provenance`."""

    field: str = strawberry.field(description='The field of the coin, such as "priceUsd".')
    source: str = strawberry.field(description="The source that gave it.")
    external_id: str = strawberry.field(description="The source's id of the listing that gave it.")
    observed_at: datetime.datetime = strawberry.field(description="When the source observed it.")


def _decode_provenance(column: msgspec.Raw, *values: object) -> list[Provenance]:
    """Return the entries of a coin's column `provenance`.

    `values` are the coin's columns in the order of PROVENANCE_FIELDS.
    """
    found = _PROVENANCE.decode(column)
    if isinstance(found, list):
        return [
            msgspec.structs.replace(entry, field=PROVENANCE_FIELDS[entry.field]) for entry in found
        ]
    return [
        Provenance(field, found.source, found.external_id, found.observed_at)
        for field, value in zip(PROVENANCE_FIELDS.values(), values, strict=True)
        if value is not None
    ]


def _listings(*, contributing: bool) -> Relation[list[ListingRow]]:
    return related_many(
        ["ticker"],
        functools.partial(listings_of_tickers, contributing=contributing),
        narrow=NarrowQuery(LISTINGS, listings_of_tickers_statement, (contributing,)),
    )


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
        decode=_decode_provenance,
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
        resolve_history,
        "Its price changes, oldest first; an unchanged price has no new point.",
        source=HISTORY,
    )
    candles: list[Candle] = resolved(
        resolve_candles, "Its prices by intervals of time, oldest first."
    )
