"""The listing of a record: each value by the rule of its column."""

import datetime
from decimal import Decimal

import msgspec

from common.chains import TokenAddress
from db.notes import Note
from db.write.listings import Listing
from ingestor.sources.normalize import (
    name_key,
    normalize_name,
    normalize_ticker,
    not_negative,
    observed_at,
    positive,
    rank_of,
    signed,
)
from ingestor.sources.records import Record


class ListingPaths(msgspec.Struct, frozen=True, kw_only=True):
    """The path of each value inside a record, for error messages."""

    symbol: str = "$.symbol"
    name: str = "$.name"
    rank: str = "$.rank"
    price_usd: str = "$.price_usd"
    market_cap_usd: str = "$.market_cap_usd"
    volume_24h_usd: str = "$.volume_24h_usd"
    percent_change_24h: str = "$.percent_change_24h"
    circulating_supply: str = "$.circulating_supply"
    total_supply: str = "$.total_supply"
    max_supply: str = "$.max_supply"
    observed_at: str = "$.last_updated"


DEFAULT_PATHS = ListingPaths()


def make_listing(
    record: Record,
    fetched_at: datetime.datetime,
    *,
    symbol: str,
    name: str | None = None,
    rank: Decimal | None = None,
    price_usd: Decimal | None = None,
    market_cap_usd: Decimal | None = None,
    volume_24h_usd: Decimal | None = None,
    percent_change_24h: Decimal | None = None,
    circulating_supply: Decimal | None = None,
    total_supply: Decimal | None = None,
    max_supply: Decimal | None = None,
    observed: str | float | None = None,
    addresses: tuple[TokenAddress, ...] | None = None,
    notes: tuple[Note, ...] = (),
    paths: ListingPaths = DEFAULT_PATHS,
) -> Listing:
    """Return the normalised listing of a record.

    Prices are US dollars, changes per cent. `observed` is the source's own time: an ISO 8601 text,
    or seconds, milliseconds, microseconds or nanoseconds since 1970; without one the listing was
    observed at `fetched_at`. A price, market cap or supply of 0 counts as missing. `addresses` are
    all contracts of the listing, None if the record does not say. Raises RecordError with the path
    of the value that cannot be read.
    """
    name = normalize_name(name, paths.name)
    name_words, core_words = name_key(name)
    return Listing(
        external_id=record.external_id,
        ticker=normalize_ticker(symbol, paths.symbol),
        symbol=symbol,
        name=name,
        name_words=name_words,
        core_words=core_words,
        rank=rank_of(rank, paths.rank),
        price_usd=positive(price_usd, paths.price_usd),
        market_cap_usd=positive(market_cap_usd, paths.market_cap_usd),
        volume_24h_usd=not_negative(volume_24h_usd, paths.volume_24h_usd),
        percent_change_24h=signed(percent_change_24h, paths.percent_change_24h),
        circulating_supply=positive(circulating_supply, paths.circulating_supply),
        total_supply=positive(total_supply, paths.total_supply),
        max_supply=positive(max_supply, paths.max_supply),
        observed_at=observed_at(observed, fetched_at, paths.observed_at),
        content_hash=record.content_hash,
        addresses=addresses,
        notes=notes,
    )
