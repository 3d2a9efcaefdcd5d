"""Expected listings, which tests compare with an ingestor's rows."""

from decimal import Decimal

from msgspec import Raw, Struct


class ExpectedListing(Struct, frozen=True, omit_defaults=False):
    """A normalised listing: exact decimal texts, None for a missing value.

    Two listings of different providers have the same `asset` exactly if they are the same asset.
    """

    asset: int
    external_id: str
    symbol: str
    name: str
    rank: int | None
    price_usd: str | None
    market_cap_usd: str | None
    volume_24h_usd: str | None
    percent_change_24h: str | None
    last_updated: str


def number(text: str) -> Raw:
    """Return a number's text, to be written unchanged."""
    return Raw(text.encode())


def whole(value: int | Decimal) -> Raw:
    """Return a whole number."""
    return Raw(str(value).encode())
