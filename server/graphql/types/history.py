"""The price history of a coin or a listing: points as a connection, and candles."""

import datetime
import enum
from typing import Annotated, NamedTuple

import msgspec
import strawberry

from db.read.coins import CoinRow
from db.read.history.candles import (
    INTERVALS,
    MAX_CANDLES,
    CandleRow,
    CandleSpan,
    HistoryPart,
    candles_of,
    history_of,
    listing_candles,
    listing_history,
)
from db.read.listings import ListingRow
from server.graphql.execution.context import Info
from server.graphql.execution.errors import bad_input
from server.graphql.execution.loaders import related_many
from server.graphql.relay.connections import Edge, PageInfo
from server.graphql.relay.history import HistoryValue, decode_point_cursor
from server.graphql.types.arguments import After, Before, First, Last, checked_rows, or_none
from server.graphql.types.fields import with_arguments
from server.graphql.types.scalars import DecimalText
from server.limits.rows import DEFAULT_CANDLES


@strawberry.type(
    description="A price that a source said, which is valid from its time until the next point."
)
class PricePoint:
    """Its value is a `PricePointRow`."""

    at: datetime.datetime = strawberry.field(description="When the source observed it.")
    price_usd: DecimalText = strawberry.field(
        description="The price as the source quoted it, with all digits."
    )
    market_cap_usd: DecimalText | None = strawberry.field(
        description="Market capitalisation in US dollars."
    )
    volume_24h_usd: DecimalText | None = strawberry.field(
        description="Trading volume within 24 hours, in US dollars."
    )
    source: str = strawberry.field(description="The source of the price.")


@strawberry.type(description="One page of a history, oldest first.")
class PricePointConnection:
    """Its value is a `HistoryValue`."""

    edges: list[Edge[PricePoint]] = strawberry.field(
        description="The points of the page, each with its cursor."
    )
    nodes: list[PricePoint] = strawberry.field(description="The points of the page.")
    page_info: PageInfo = strawberry.field(description="The position of the page in the list.")


@strawberry.type(
    description="The prices of one source within one interval of time."
    " An interval without a price has no candle."
)
class Candle:
    """Its value is a `CandleRow`."""

    start: datetime.datetime = strawberry.field(
        description="The start of the interval, in UTC; weeks begin on Monday."
    )
    open: DecimalText = strawberry.field(description="The first price.")
    high: DecimalText = strawberry.field(description="The highest price.")
    low: DecimalText = strawberry.field(description="The lowest price.")
    close: DecimalText = strawberry.field(description="The last price.")
    samples: int = strawberry.field(description="The number of price points in the interval.")
    source: str = strawberry.field(description="The source of all prices of the candle.")
    complete: bool | None = strawberry.field(
        description="Of the source `markets`: whether no gap touches it, in which prices of one of"
        " the markets may be missing (see `streamGaps`). Null for a source that is polled."
    )


@strawberry.enum(description="The length of a candle.")
class CandleInterval(enum.Enum):
    """The values are names of `db.read.history.candles.INTERVALS`."""

    M1 = strawberry.enum_value("M1", description="A minute.")
    M5 = strawberry.enum_value("M5", description="Five minutes.")
    M15 = strawberry.enum_value("M15", description="Fifteen minutes.")
    H1 = strawberry.enum_value("H1", description="An hour.")
    H4 = strawberry.enum_value("H4", description="Four hours.")
    D1 = strawberry.enum_value("D1", description="A day.")
    W1 = strawberry.enum_value("W1", description="A week.")


From = Annotated[
    datetime.datetime | None,
    strawberry.argument(name="from", description="Only points at this time or later."),
]
To = Annotated[
    datetime.datetime | None,
    strawberry.argument(name="to", description="Only before this time; the default is now."),
]
FromOfCandles = Annotated[
    datetime.datetime | None,
    strawberry.argument(
        name="from",
        description="From the candle that contains this time;"
        f" the default is {DEFAULT_CANDLES} candles before `to`."
        f" The range may have at most {MAX_CANDLES} candles.",
    ),
]


OnlySource = Annotated[
    str | None,
    strawberry.argument(
        description="Only prices of this source. By default each stretch of time is of the source"
        " with the highest priority that has it."
    ),
]


def history_arguments(
    *,
    start: From = strawberry.UNSET,
    end: To = strawberry.UNSET,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> HistoryPart:
    """Return which points of a listing are requested, one more than the page has.

    Raises GraphQLError.
    """
    count, count_back = or_none(first), or_none(last)
    if count is not None and count_back is not None:
        raise bad_input("last", 'cannot stand together with "first"')
    return HistoryPart(
        start=or_none(start),
        end=or_none(end),
        after=decode_point_cursor(or_none(after), "after"),
        before=decode_point_cursor(or_none(before), "before"),
        limit=1
        + (
            checked_rows(count, "first") if count_back is None else checked_rows(count_back, "last")
        ),
        backward=count_back is not None,
    )


def coin_history_arguments(
    *,
    start: From = strawberry.UNSET,
    end: To = strawberry.UNSET,
    source: OnlySource = strawberry.UNSET,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> HistoryPart:
    """Return which points of a coin are requested. Raises GraphQLError."""
    part = history_arguments(
        start=start, end=end, first=first, after=after, last=last, before=before
    )
    return msgspec.structs.replace(part, source=or_none(source))


COIN_HISTORY = related_many(["ticker"], history_of)
LISTING_HISTORY = related_many(["source", "external_id"], listing_history)
"""Their argument is a `HistoryPart`."""


@with_arguments(coin_history_arguments)
async def coin_history(
    root: strawberry.Parent[CoinRow], info: Info, part: HistoryPart
) -> HistoryValue:
    """Return a page of the coin's points."""
    return HistoryValue(await info.context.loaders.load(COIN_HISTORY, root.ticker, part), part)


@with_arguments(history_arguments)
async def resolve_listing_history(
    root: strawberry.Parent[ListingRow], info: Info, part: HistoryPart
) -> HistoryValue:
    """Return a page of the listing's points."""
    key = root.source, root.external_id
    return HistoryValue(await info.context.loaders.load(LISTING_HISTORY, key, part), part)


class CandleRequest(NamedTuple):
    """The arguments of candles; an `end` of None is the end of the present minute."""

    interval: str
    start: datetime.datetime | None
    end: datetime.datetime | None
    source: str | None = None


def candle_arguments(
    interval: Annotated[
        CandleInterval, strawberry.argument(description="The length of each candle.")
    ],
    *,
    start: FromOfCandles = strawberry.UNSET,
    end: To = strawberry.UNSET,
) -> CandleRequest:
    """Return which candles of a listing are requested."""
    return CandleRequest(interval.name, or_none(start), or_none(end))


def coin_candle_arguments(
    interval: Annotated[
        CandleInterval, strawberry.argument(description="The length of each candle.")
    ],
    *,
    start: FromOfCandles = strawberry.UNSET,
    end: To = strawberry.UNSET,
    source: OnlySource = strawberry.UNSET,
) -> CandleRequest:
    """Return which candles of a coin are requested."""
    return CandleRequest(interval.name, or_none(start), or_none(end), or_none(source))


COIN_CANDLES = related_many(["ticker"], candles_of)
LISTING_CANDLES = related_many(["source", "external_id"], listing_candles)
"""Their argument is a `CandleSpan`."""


@with_arguments(coin_candle_arguments)
async def coin_candles(
    root: strawberry.Parent[CoinRow], info: Info, request: CandleRequest
) -> list[CandleRow]:
    """Return the coin's candles, oldest first."""
    span = candle_span(request, info.context.now)
    return await info.context.loaders.load(COIN_CANDLES, root.ticker, span)


@with_arguments(candle_arguments)
async def resolve_listing_candles(
    root: strawberry.Parent[ListingRow], info: Info, request: CandleRequest
) -> list[CandleRow]:
    """Return the listing's candles, oldest first."""
    span = candle_span(request, info.context.now)
    key = root.source, root.external_id
    return await info.context.loaders.load(LISTING_CANDLES, key, span)


def candle_span(request: CandleRequest, now: datetime.datetime) -> CandleSpan:
    """Return the span of the requested candles. Raises GraphQLError."""
    name, start, end = request.interval, request.start, request.end or now
    interval = INTERVALS[name]
    try:
        begin = end - (DEFAULT_CANDLES - 1) * interval.width if start is None else start
        span = CandleSpan(name, interval.floor(begin), end, request.source)
    except OverflowError:
        raise bad_input("from", "lies too far in the past") from None
    if span.count > MAX_CANDLES:
        raise bad_input(
            "from",
            f"and `to` span {span.count:,} candles of {name}; at most {MAX_CANDLES:,} are given at"
            " a time: ask for a shorter time or a longer interval",
        )
    return span
