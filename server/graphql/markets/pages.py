"""The root connections of markets and gaps: their filters and arguments."""

import datetime
from typing import Annotated

import strawberry

from db.read.streams import (
    GAPS,
    MARKET_ORDER,
    MARKETS,
    NEWEST_GAP_FIRST,
    GapFilter,
    GapRow,
    LiveMarketRow,
    MarketFilter,
    gap_conditions,
    market_conditions,
)
from server.graphql.relay.connections import PageRequest, RootConnection
from server.graphql.types.arguments import After, Before, First, Last, checked_slice, or_none
from server.graphql.types.conditions import StringFilterInput, texts_of

_UNSET = strawberry.UNSET


@strawberry.input(name="MarketFilter", description="All conditions hold; null does not restrict.")
class MarketFilterInput:
    """Which markets."""

    venue: StringFilterInput | None = strawberry.field(
        default=_UNSET, description='Such as "kraken".'
    )
    base: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="What is traded, as the venue calls it."
    )
    quote: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="What it is priced in, as the venue calls it."
    )
    asset: StringFilterInput | None = strawberry.field(
        default=_UNSET, description='The key of the asset, such as "coinpaprika:btc-bitcoin".'
    )
    is_mapped: bool | None = strawberry.field(
        default=_UNSET, description="Whether it is known which asset it trades."
    )
    is_trading: bool | None = strawberry.field(default=_UNSET, description="Whether it trades.")


def markets_arguments(
    *,
    filter: Annotated[  # noqa: A002 - the schema's name
        MarketFilterInput | None,
        strawberry.argument(description="Which markets; the default is all."),
    ] = _UNSET,
    first: First = _UNSET,
    after: After = _UNSET,
    last: Last = _UNSET,
    before: Before = _UNSET,
) -> PageRequest:
    """Return which markets are requested. Raises GraphQLError."""
    page = checked_slice(MARKET_ORDER, first, after, last, before)
    # Markets change without an event.
    return PageRequest(_market_filter(or_none(filter)), MARKET_ORDER, page, cacheable=False)


def _market_filter(given: MarketFilterInput | None) -> MarketFilter:
    if given is None:
        return MarketFilter()
    return MarketFilter(
        venues=texts_of(given.venue, "filter.venue"),
        bases=texts_of(given.base, "filter.base"),
        quotes=texts_of(given.quote, "filter.quote"),
        assets=texts_of(given.asset, "filter.asset"),
        is_mapped=or_none(given.is_mapped),
        is_trading=or_none(given.is_trading),
    )


@strawberry.input(
    name="StreamGapFilter", description="All conditions hold; null does not restrict."
)
class StreamGapFilterInput:
    """Which gaps."""

    source: StringFilterInput | None = strawberry.field(
        default=_UNSET, description='The venue, such as "kraken".'
    )
    symbol: StringFilterInput | None = strawberry.field(
        default=_UNSET,
        description="The venue's own symbol of a market; gaps of all markets belong to it as well.",
    )
    from_: datetime.datetime | None = strawberry.field(
        default=_UNSET, name="from", description="Those that ended at this time or later."
    )
    to: datetime.datetime | None = strawberry.field(
        default=_UNSET, description="Those that began at this time or before."
    )


def gaps_arguments(
    *,
    filter: Annotated[  # noqa: A002 - the schema's name
        StreamGapFilterInput | None,
        strawberry.argument(description="Which gaps; the default is all."),
    ] = _UNSET,
    first: First = _UNSET,
    after: After = _UNSET,
    last: Last = _UNSET,
    before: Before = _UNSET,
) -> PageRequest:
    """Return which gaps are requested. Raises GraphQLError."""
    page = checked_slice(NEWEST_GAP_FIRST, first, after, last, before)
    given = or_none(filter)
    gaps = (
        GapFilter()
        if given is None
        else GapFilter(
            texts_of(given.source, "filter.source"),
            texts_of(given.symbol, "filter.symbol"),
            or_none(given.from_),
            or_none(given.to),
        )
    )
    return PageRequest(gaps, NEWEST_GAP_FIRST, page, cacheable=False)


MARKETS_ROOT = RootConnection(markets_arguments, MARKETS, LiveMarketRow, market_conditions)
GAPS_ROOT = RootConnection(gaps_arguments, GAPS, GapRow, gap_conditions)
