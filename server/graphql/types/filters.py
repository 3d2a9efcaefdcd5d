"""Filters and orders of the schema, and their translation for `db`."""

import datetime
import enum
from collections.abc import Callable
from typing import Protocol, TypeVar

import strawberry

from common.tickers import to_ticker
from db.read.coins import COIN_ORDERS, CoinFilter
from db.read.keyset import Order
from db.read.listings import ListingFilter
from db.read.runs import RunFilter
from server.graphql.execution.errors import bad_input
from server.graphql.types.arguments import checked_text, checked_texts, or_none
from server.graphql.types.run import RunStatus
from server.graphql.types.scalars import DecimalText

MAX_SEARCH_CHARACTERS = 100
_SEARCH = "Matches the start of a ticker or any word of a name, in upper or lower case."

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
_UNSET = strawberry.UNSET


class Range(Protocol[T_co]):
    """A filter with bounds."""

    @property
    def gte(self) -> T_co | None:
        """The lower bound."""

    @property
    def lte(self) -> T_co | None:
        """The upper bound."""


@strawberry.input(
    name="StringFilter",
    description="If both conditions are given, both must hold; null does not restrict.",
)
class StringFilterInput:
    """A text, or several."""

    eq: str | None = strawberry.field(default=_UNSET, description="Exactly this value.")
    in_: list[str] | None = strawberry.field(
        default=_UNSET, name="in", description="Any of these values, at most 1,000."
    )


@strawberry.input(
    name="DecimalFilter", description="Bounds, both inclusive; null does not restrict."
)
class DecimalFilterInput:
    """A range of exact numbers."""

    gte: DecimalText | None = strawberry.field(default=_UNSET, description="At least this.")
    lte: DecimalText | None = strawberry.field(default=_UNSET, description="At most this.")


@strawberry.input(name="FloatFilter", description="Bounds, both inclusive; null does not restrict.")
class FloatFilterInput:
    """A range of numbers."""

    gte: float | None = strawberry.field(default=_UNSET, description="At least this.")
    lte: float | None = strawberry.field(default=_UNSET, description="At most this.")


@strawberry.input(
    name="DateTimeFilter", description="Bounds, both inclusive; null does not restrict."
)
class DateTimeFilterInput:
    """A range of instants."""

    gte: datetime.datetime | None = strawberry.field(
        default=_UNSET, description="At this instant or later."
    )
    lte: datetime.datetime | None = strawberry.field(
        default=_UNSET, description="At this instant or earlier."
    )


@strawberry.input(name="CoinFilter", description="All conditions hold; null does not restrict.")
class CoinFilterInput:
    """Which coins."""

    ticker: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="In upper or lower case."
    )
    source: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="The source of the volatile fields."
    )
    search: str | None = strawberry.field(default=_UNSET, description=_SEARCH)
    price_usd: DecimalFilterInput | None = strawberry.field(
        default=_UNSET, description="The rounded price."
    )
    market_cap_usd: DecimalFilterInput | None = strawberry.field(
        default=_UNSET, description="The market cap."
    )
    volume_24h_usd: DecimalFilterInput | None = strawberry.field(
        default=_UNSET, description="The 24 h volume."
    )
    percent_change_24h: FloatFilterInput | None = strawberry.field(
        default=_UNSET, description="The 24 h change."
    )
    created_at: DateTimeFilterInput | None = strawberry.field(
        default=_UNSET, description="When the source observed the values."
    )
    ingested_at: DateTimeFilterInput | None = strawberry.field(
        default=_UNSET, description="When the record was last saved."
    )
    is_stale: bool | None = strawberry.field(
        default=_UNSET, description="Whether the values are older than three polls of their source."
    )
    is_disputed: bool | None = strawberry.field(
        default=_UNSET, description="Has rivals or a wide price spread."
    )


@strawberry.input(name="ListingFilter", description="All conditions hold; null does not restrict.")
class ListingFilterInput:
    """Which listings."""

    ticker: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="In upper or lower case."
    )
    source: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="The source that lists it."
    )
    active: bool | None = strawberry.field(
        default=_UNSET, description="Whether its source still lists it."
    )
    search: str | None = strawberry.field(default=_UNSET, description=_SEARCH)


@strawberry.input(name="RunFilter", description="All conditions hold; null does not restrict.")
class RunFilterInput:
    """Which runs."""

    source: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="The source that was read."
    )
    status: list[RunStatus] | None = strawberry.field(default=_UNSET, description="Any of these.")
    started_at: DateTimeFilterInput | None = strawberry.field(
        default=_UNSET, description="When it started."
    )
    has_notes: bool | None = strawberry.field(default=_UNSET, description="Whether it has notes.")


@strawberry.enum(description="The fields that coins can be ordered by.")
class CoinOrderField(enum.Enum):
    """The names are those of `db.read.coins.COIN_ORDERS`."""

    MARKET_CAP_USD = strawberry.enum_value("MARKET_CAP_USD", description="The market cap.")
    VOLUME_24H_USD = strawberry.enum_value("VOLUME_24H_USD", description="The 24 h volume.")
    PRICE_USD = strawberry.enum_value("PRICE_USD", description="The price with all digits.")
    PERCENT_CHANGE_24H = strawberry.enum_value("PERCENT_CHANGE_24H", description="The 24 h change.")
    TICKER = strawberry.enum_value("TICKER", description="The ticker.")
    NAME = strawberry.enum_value("NAME", description="The name, regardless of case.")
    CREATED_AT = strawberry.enum_value(
        "CREATED_AT", description="When the source observed the values."
    )
    INGESTED_AT = strawberry.enum_value(
        "INGESTED_AT", description="When the record was last saved."
    )


@strawberry.enum(description="The direction of an order.")
class OrderDirection(enum.Enum):
    """The names are those of `db.read.coins.COIN_ORDERS`."""

    ASC = strawberry.enum_value("ASC", description="Smallest first.")
    DESC = strawberry.enum_value("DESC", description="Largest first.")


@strawberry.input(description="Nulls come last in either direction; the ticker breaks ties.")
class CoinOrder:
    """How coins are ordered."""

    field: CoinOrderField = strawberry.field(description="The field that coins are ordered by.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="The direction of an order."
    )


def coin_order(order_by: CoinOrder | None) -> Order:
    """Return the requested order, by default the largest market cap first."""
    order = or_none(order_by)
    if order is None:
        return COIN_ORDERS["MARKET_CAP_USD:DESC"]
    return COIN_ORDERS[f"{order.field.value}:{order.direction.value}"]


def coin_filter(filter_input: CoinFilterInput | None) -> CoinFilter:
    """Return a filter for `db`. Raises GraphQLError for a text that PostgreSQL cannot store."""
    conditions = or_none(filter_input)
    if conditions is None:
        return CoinFilter()
    price_from, price_to = _bounds(conditions.price_usd)
    cap_from, cap_to = _bounds(conditions.market_cap_usd)
    volume_from, volume_to = _bounds(conditions.volume_24h_usd)
    change_from, change_to = _bounds(conditions.percent_change_24h)
    created_from, created_to = _bounds(conditions.created_at)
    ingested_from, ingested_to = _bounds(conditions.ingested_at)
    return CoinFilter(
        tickers=_tickers(conditions.ticker),
        sources=_texts(conditions.source, "filter.source"),
        search=_search(conditions.search),
        price_usd_from=price_from,
        price_usd_to=price_to,
        market_cap_usd_from=cap_from,
        market_cap_usd_to=cap_to,
        volume_24h_usd_from=volume_from,
        volume_24h_usd_to=volume_to,
        percent_change_24h_from=change_from,
        percent_change_24h_to=change_to,
        created_from=created_from,
        created_to=created_to,
        ingested_from=ingested_from,
        ingested_to=ingested_to,
        is_stale=or_none(conditions.is_stale),
        is_disputed=or_none(conditions.is_disputed),
    )


def listing_filter(filter_input: ListingFilterInput | None) -> ListingFilter:
    """Return a filter for `db`. Raises GraphQLError for a text that PostgreSQL cannot store."""
    conditions = or_none(filter_input)
    if conditions is None:
        return ListingFilter()
    return ListingFilter(
        tickers=_tickers(conditions.ticker),
        sources=_texts(conditions.source, "filter.source"),
        active=or_none(conditions.active),
        search=_search(conditions.search),
    )


def run_filter(filter_input: RunFilterInput | None) -> RunFilter:
    """Return a filter for `db`. Raises GraphQLError for a text that PostgreSQL cannot store."""
    conditions = or_none(filter_input)
    if conditions is None:
        return RunFilter()
    started_from, started_to = _bounds(conditions.started_at)
    statuses = or_none(conditions.status)
    return RunFilter(
        sources=_texts(conditions.source, "filter.source"),
        statuses=None if statuses is None else [str(status.value) for status in statuses],
        started_from=started_from,
        started_to=started_to,
        has_notes=or_none(conditions.has_notes),
    )


def _bounds(bounds: Range[T] | None) -> tuple[T | None, T | None]:
    bounds = or_none(bounds)
    return (None, None) if bounds is None else (or_none(bounds.gte), or_none(bounds.lte))


def _texts(
    condition: StringFilterInput | None, argument: str, normalize: Callable[[str], str] = str
) -> list[str] | None:
    """Return the texts that match a condition, as they are stored; None for any."""
    condition = or_none(condition)
    if condition is None:
        return None
    one, several = or_none(condition.eq), or_none(condition.in_)
    any_of = (
        None
        if several is None
        else [normalize(text) for text in checked_texts(several, f"{argument}.in")]
    )
    if one is None:
        return any_of
    text = normalize(checked_text(one, f"{argument}.eq"))
    return [text] if any_of is None or text in any_of else []


def _tickers(condition: StringFilterInput | None) -> list[str] | None:
    return _texts(condition, "filter.ticker", to_ticker)


def _search(search: str | None) -> str | None:
    text = or_none(search)
    if text is None:
        return None
    text = checked_text(text, "filter.search").strip()
    if len(text) > MAX_SEARCH_CHARACTERS:
        raise bad_input(
            "filter.search",
            f"must have at most {MAX_SEARCH_CHARACTERS} characters, not {len(text)}",
        )
    return text or None
