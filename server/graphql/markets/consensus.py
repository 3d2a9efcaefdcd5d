"""The type Consensus: the price on which the markets of an asset agree, and why."""

import datetime
import enum

import msgspec
import strawberry

from server.graphql.types.fields import nested
from server.graphql.types.scalars import DecimalText


@strawberry.enum(description="Why a market does not count for a consensus price, or counts less.")
class ContributionReason(enum.Enum):
    """The values are those of `ingestor.streams.contributions`."""

    STALE = strawberry.enum_value("STALE", description="Its last price is more than 5 minutes old.")
    DEVIATES = strawberry.enum_value(
        "DEVIATES", description="Its price is more than 10 per cent from the median of all."
    )
    NO_VOLUME = strawberry.enum_value(
        "NO_VOLUME", description="It has no volume, or its venue does not say it."
    )
    NO_QUOTE = strawberry.enum_value(
        "NO_QUOTE", description="What it is quoted in has no consensus price itself."
    )
    UNMAPPED = strawberry.enum_value(
        "UNMAPPED",
        description="It has the ticker of the asset, and a price that is not the asset's.",
    )
    SUSPENDED = strawberry.enum_value("SUSPENDED", description="It does not trade now.")
    OVER_WEIGHT = strawberry.enum_value(
        "OVER_WEIGHT", description="It counts, with less weight than its volume would give."
    )


class ContributionValue(msgspec.Struct, frozen=True):
    """One entry of the column `contributions`."""

    venue: str
    symbol: str
    price: str | None = msgspec.field(name="price_usd")
    weight: float
    deviation_percent: float | None
    used: bool
    reason: str | None


_CONTRIBUTIONS = msgspec.json.Decoder(list[ContributionValue])


def decode_contributions(column: msgspec.Raw) -> list[ContributionValue]:
    """Return the entries of a consensus, greatest weight first."""
    entries = _CONTRIBUTIONS.decode(column)
    return sorted(entries, key=lambda entry: (-entry.weight, entry.venue, entry.symbol))


@strawberry.type(name="Contribution", description="What one market says of the price of an asset.")
class ContributionType:
    """Its value is a `ContributionValue`."""

    venue: str = strawberry.field(description='Such as "kraken".')
    symbol: str = strawberry.field(description="The venue's own symbol of the market.")
    price: DecimalText | None = strawberry.field(
        description="Its last price in US dollars; null if its quote has no price."
    )
    weight: float = strawberry.field(description="Its share of the weight, 0 to 1.")
    deviation_percent: float | None = strawberry.field(
        description="Its distance from the consensus price in per cent; null where there is none."
    )
    used: bool = strawberry.field(description="Whether it counts.")
    reason: ContributionReason | None = strawberry.field(
        description="Why it does not count, or counts less. Null for one that counts in full, and"
        " for one that would count if more venues agreed."
    )


@strawberry.type(
    name="Consensus",
    description="The consensus price of an asset over its live markets: a weighted median.",
)
class ConsensusType:
    """Its value is an `AssetConsensus`."""

    price: DecimalText | None = strawberry.field(
        description="The price in US dollars; null while fewer than two venues agree."
    )
    confidence: DecimalText | None = strawberry.field(
        description="Half the distance of the weighted quartiles, in US dollars."
    )
    volume_24h_usd: DecimalText = strawberry.field(
        description="The volume of 24 hours of the markets that count, in US dollars."
    )
    venues: int = strawberry.field(description="The number of venues that agree.")
    observed_at: datetime.datetime | None = strawberry.field(
        description="The newest time of the markets that count, by the venue's clock."
    )
    computed_at: datetime.datetime = strawberry.field(description="When it last changed.")
    contributions: list[ContributionType] = nested(
        ["contributions"],
        "What each market contributes, greatest weight first, with the reason of each that does not"
        " count.",
        decode=decode_contributions,
        rows=20,
    )
