"""The root connections of Query: their arguments, which resolvers and compiler share."""

from typing import Annotated

import strawberry

from db.read.assets import ASSETS, AssetRow, asset_conditions
from db.read.coins import COINS, CoinRow, coin_conditions
from db.read.listings import LISTING_ORDER, LISTINGS, ListingRow, listing_conditions
from db.read.runs import NEWEST_FIRST, RUNS, RunRow, run_conditions
from server.graphql.relay.connections import PageRequest, RootConnection
from server.graphql.types.arguments import After, Before, First, Last, checked_slice
from server.graphql.types.filters import (
    AssetFilterInput,
    AssetOrder,
    CoinFilterInput,
    CoinOrder,
    ListingFilterInput,
    RunFilterInput,
    asset_filter,
    asset_order,
    coin_filter,
    coin_order,
    listing_filter,
    run_filter,
)

_UNSET = strawberry.UNSET


def coins_arguments(
    *,
    filter: Annotated[  # noqa: A002 - the schema's name
        CoinFilterInput | None,
        strawberry.argument(description="Which coins; the default is all."),
    ] = _UNSET,
    order_by: Annotated[
        CoinOrder | None,
        strawberry.argument(description="The default is the largest market cap first."),
    ] = _UNSET,
    first: First = _UNSET,
    after: After = _UNSET,
    last: Last = _UNSET,
    before: Before = _UNSET,
) -> PageRequest:
    """Return which coins are requested. Raises GraphQLError."""
    coins, order = coin_filter(filter), coin_order(order_by)
    page = checked_slice(order, first, after, last, before)
    # A coin becomes stale without an event.
    return PageRequest(coins, order, page, cacheable=coins.is_stale is None)


def assets_arguments(
    *,
    filter: Annotated[  # noqa: A002 - the schema's name
        AssetFilterInput | None,
        strawberry.argument(description="Which assets; the default is all."),
    ] = _UNSET,
    order_by: Annotated[
        AssetOrder | None,
        strawberry.argument(description="The default is by source and external id of the key."),
    ] = _UNSET,
    first: First = _UNSET,
    after: After = _UNSET,
    last: Last = _UNSET,
    before: Before = _UNSET,
) -> PageRequest:
    """Return which assets are requested. Raises GraphQLError."""
    assets, order = asset_filter(filter), asset_order(order_by)
    page = checked_slice(order, first, after, last, before)
    # Addresses change without an event.
    of_addresses = (assets.with_address, assets.without_address, assets.chains)
    cacheable = of_addresses == (None, None, None)
    return PageRequest(assets, order, page, cacheable=cacheable)


def listings_arguments(
    *,
    filter: Annotated[  # noqa: A002 - the schema's name
        ListingFilterInput | None,
        strawberry.argument(description="Which listings; the default is all."),
    ] = _UNSET,
    first: First = _UNSET,
    after: After = _UNSET,
    last: Last = _UNSET,
    before: Before = _UNSET,
) -> PageRequest:
    """Return which listings are requested. Raises GraphQLError."""
    page = checked_slice(LISTING_ORDER, first, after, last, before)
    return PageRequest(listing_filter(filter), LISTING_ORDER, page)


def runs_arguments(
    *,
    filter: Annotated[  # noqa: A002 - the schema's name
        RunFilterInput | None,
        strawberry.argument(description="Which runs; the default is all."),
    ] = _UNSET,
    first: First = _UNSET,
    after: After = _UNSET,
    last: Last = _UNSET,
    before: Before = _UNSET,
) -> PageRequest:
    """Return which runs are requested. Raises GraphQLError."""
    page = checked_slice(NEWEST_FIRST, first, after, last, before)
    return PageRequest(run_filter(filter), NEWEST_FIRST, page)


COINS_ROOT = RootConnection(coins_arguments, COINS, CoinRow, coin_conditions)
ASSETS_ROOT = RootConnection(assets_arguments, ASSETS, AssetRow, asset_conditions)
LISTINGS_ROOT = RootConnection(listings_arguments, LISTINGS, ListingRow, listing_conditions)
RUNS_ROOT = RootConnection(runs_arguments, RUNS, RunRow, run_conditions)
