"""Filters and orders of the schema, and their translation for `db`."""

import enum

import strawberry

from common.chains import chains_named
from db.read.assets import ASSET_ORDER, ASSET_ORDERS, AssetFilter
from db.read.coins import COIN_ORDERS, CoinFilter
from db.read.keyset import Order
from db.read.listings import ListingFilter
from db.read.runs import RunFilter
from server.graphql.types.arguments import or_none
from server.graphql.types.conditions import (
    SEARCH_DESCRIPTION,
    DateTimeFilterInput,
    DecimalFilterInput,
    FloatFilterInput,
    StringFilterInput,
    bounds_of,
    search_of,
    texts_of,
    tickers_of,
)
from server.graphql.types.run import RunStatus

_UNSET = strawberry.UNSET


@strawberry.input(name="CoinFilter", description="All conditions hold; null does not restrict.")
class CoinFilterInput:
    """Which coins."""

    ticker: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="In upper or lower case."
    )
    source: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="The source of the volatile fields."
    )
    search: str | None = strawberry.field(default=_UNSET, description=SEARCH_DESCRIPTION)
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
    is_suspect: bool | None = strawberry.field(
        default=_UNSET, description="Whether its price is in doubt: see `Coin.isSuspect`."
    )
    min_confidence: float | None = strawberry.field(
        default=_UNSET, description="At least this confidence, 0 to 1."
    )


@strawberry.input(name="AssetFilter", description="All conditions hold; null does not restrict.")
class AssetFilterInput:
    """Which assets."""

    ticker: StringFilterInput | None = strawberry.field(
        default=_UNSET,
        description="A ticker that one of its listings has or had, in upper or lower case.",
    )
    source: StringFilterInput | None = strawberry.field(
        default=_UNSET, description="A source that lists it, or did."
    )
    search: str | None = strawberry.field(
        default=_UNSET, description=f"{SEARCH_DESCRIPTION} Any listing may match."
    )
    has_address: bool | None = strawberry.field(
        default=_UNSET, description="Whether it has a contract address in use."
    )
    chain: StringFilterInput | None = strawberry.field(
        default=_UNSET,
        description='A chain on which it has a contract in use, by any name: "bsc",'
        ' "binance-smart-chain", "eip155:56".',
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
    search: str | None = strawberry.field(default=_UNSET, description=SEARCH_DESCRIPTION)


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


@strawberry.enum(description="The fields that assets can be ordered by.")
class AssetOrderField(enum.Enum):
    """The names are those of `db.read.assets.ASSET_ORDERS`."""

    MARKET_CAP_USD = strawberry.enum_value(
        "MARKET_CAP_USD", description="The market cap at the listing that names the asset."
    )
    TICKER = strawberry.enum_value("TICKER", description="The current ticker.")
    NAME = strawberry.enum_value("NAME", description="The name, regardless of case.")


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


@strawberry.input(description="Nulls come last in either direction; the key breaks ties.")
class AssetOrder:
    """How assets are ordered."""

    field: AssetOrderField = strawberry.field(description="The field that assets are ordered by.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="The direction of an order."
    )


def asset_order(order_by: AssetOrder | None) -> Order:
    """Return the requested order, by default that of the keys."""
    order = or_none(order_by)
    if order is None:
        return ASSET_ORDER
    return ASSET_ORDERS[f"ASSET_{order.field.value}:{order.direction.value}"]


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
    price_from, price_to = bounds_of(conditions.price_usd)
    cap_from, cap_to = bounds_of(conditions.market_cap_usd)
    volume_from, volume_to = bounds_of(conditions.volume_24h_usd)
    change_from, change_to = bounds_of(conditions.percent_change_24h)
    created_from, created_to = bounds_of(conditions.created_at)
    ingested_from, ingested_to = bounds_of(conditions.ingested_at)
    return CoinFilter(
        tickers=tickers_of(conditions.ticker),
        sources=texts_of(conditions.source, "filter.source"),
        search=search_of(conditions.search),
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
        is_suspect=or_none(conditions.is_suspect),
        min_confidence=or_none(conditions.min_confidence),
    )


def asset_filter(filter_input: AssetFilterInput | None) -> AssetFilter:
    """Return a filter for `db`. Raises GraphQLError for a text that PostgreSQL cannot store."""
    conditions = or_none(filter_input)
    if conditions is None:
        return AssetFilter()
    names = texts_of(conditions.chain, "filter.chain")
    has_address = or_none(conditions.has_address)
    return AssetFilter(
        tickers=tickers_of(conditions.ticker),
        sources=texts_of(conditions.source, "filter.source"),
        search=search_of(conditions.search),
        with_address=True if has_address else None,
        without_address=True if has_address is False else None,
        chains=None
        if names is None
        else sorted({chain for name in names for chain in chains_named(name)}),
    )


def listing_filter(filter_input: ListingFilterInput | None) -> ListingFilter:
    """Return a filter for `db`. Raises GraphQLError for a text that PostgreSQL cannot store."""
    conditions = or_none(filter_input)
    if conditions is None:
        return ListingFilter()
    return ListingFilter(
        tickers=tickers_of(conditions.ticker),
        sources=texts_of(conditions.source, "filter.source"),
        active=or_none(conditions.active),
        search=search_of(conditions.search),
    )


def run_filter(filter_input: RunFilterInput | None) -> RunFilter:
    """Return a filter for `db`. Raises GraphQLError for a text that PostgreSQL cannot store."""
    conditions = or_none(filter_input)
    if conditions is None:
        return RunFilter()
    started_from, started_to = bounds_of(conditions.started_at)
    statuses = or_none(conditions.status)
    return RunFilter(
        sources=texts_of(conditions.source, "filter.source"),
        statuses=None if statuses is None else [str(status.value) for status in statuses],
        started_from=started_from,
        started_to=started_to,
        has_notes=or_none(conditions.has_notes),
    )
