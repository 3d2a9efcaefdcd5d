"""What must come out of a listing: the truth that a test holds an ingestor's rows against."""

from decimal import Decimal

from msgspec import Raw, Struct


class ExpectedListing(Struct, frozen=True, omit_defaults=False):
    """A listing as its body says it, normalised: exact decimal texts, None for what is missing.

    `asset` is the same number on both providers exactly when both listings are one asset.
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
    """Return a number's text, to be written as it stands."""
    return Raw(text.encode())


def whole(value: int | Decimal) -> Raw:
    """Return a whole number."""
    return Raw(str(value).encode())
