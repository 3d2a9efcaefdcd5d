"""The type Query: its fields, and the arguments that resolvers and compiler share."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import strawberry

from db.read.coins import (
    COINS,
    CoinRow,
    coin_conditions,
    coin_page,
    coins_by_id,
    coins_by_ticker,
    count_coins,
)
from db.read.listings import (
    LISTING_ORDER,
    LISTINGS,
    ListingRow,
    count_listings,
    listing_conditions,
    listing_page,
    listings_by_key,
)
from db.read.requests import RequestRow, requests_by_id
from db.read.runs import (
    NEWEST_FIRST,
    RUNS,
    RunRow,
    count_runs,
    run_conditions,
    run_page,
    runs_by_id,
)
from db.read.sources import SourceRow, all_sources
from server.graphql.execution.context import Info
from server.graphql.execution.errors import bad_input, deduplicate_errors
from server.graphql.execution.loaders import Lookup, lookup_one
from server.graphql.relay.connections import Connection, PageRequest, PageValue, RootConnection
from server.graphql.relay.ids import Kind, NodeKey, parse_key
from server.graphql.relay.node import Node
from server.graphql.types.arguments import (
    After,
    Before,
    First,
    Last,
    checked_slice,
    checked_text,
    checked_ticker,
)
from server.graphql.types.coin import Coin
from server.graphql.types.fields import resolved, with_arguments
from server.graphql.types.filters import (
    CoinFilterInput,
    CoinOrder,
    ListingFilterInput,
    RunFilterInput,
    coin_filter,
    coin_order,
    listing_filter,
    run_filter,
)
from server.graphql.types.listing import ListingType
from server.graphql.types.run import Run
from server.graphql.types.source import SourceType
from server.graphql.types.stats import Stats
from server.limits.rows import MAX_ROWS

NodeRow = CoinRow | ListingRow | RunRow | RequestRow

_UNSET = strawberry.UNSET

COIN_BY_TICKER = lookup_one(coins_by_ticker)
LISTING_BY_KEY = lookup_one(listings_by_key)
RUN_BY_ID = lookup_one(runs_by_id)
_NODES: Mapping[Kind, Lookup[Any]] = {
    Kind.COIN: lookup_one(coins_by_id),
    Kind.LISTING: LISTING_BY_KEY,
    Kind.RUN: RUN_BY_ID,
    # A client asks for a request that it has just made: a replica may not have it yet.
    Kind.REQUEST: lookup_one(requests_by_id, from_primary=True),
}


async def _load_node(info: Info, node: NodeKey) -> NodeRow | None:
    kind, key = node
    found: NodeRow | None = (
        None if key is None else await info.context.loaders.load(_NODES[kind], key)
    )
    return found


def node_arguments(
    # The schema's name.
    id: Annotated[strawberry.ID, strawberry.argument(description="The id of a Node.")],  # noqa: A002
) -> NodeKey:
    """Return which node is requested. Raises GraphQLError."""
    return parse_key(id, "id")


@with_arguments(node_arguments)
async def _node(info: Info, node: NodeKey) -> NodeRow | None:
    return await _load_node(info, node)


def nodes_arguments(
    ids: Annotated[
        list[strawberry.ID],
        strawberry.argument(description=f"Ids of Nodes, at most {MAX_ROWS}."),
    ],
) -> Sequence[str]:
    """Return the requested ids. Raises GraphQLError for too many."""
    if len(ids) > MAX_ROWS:
        raise bad_input("ids", f"must have at most {MAX_ROWS} items, not {len(ids)}")
    return ids


@with_arguments(nodes_arguments)
async def _nodes(info: Info, ids: Sequence[str]) -> list[NodeRow | BaseException | None]:
    # A malformed id is null and an error, once for each kind of error; the other ids are answered.
    return deduplicate_errors(
        await asyncio.gather(*(_load_by_id(info, text) for text in ids), return_exceptions=True)
    )


async def _load_by_id(info: Info, text: str) -> NodeRow | None:
    return await _load_node(info, parse_key(text, "ids"))


def coin_arguments(
    ticker: Annotated[str, strawberry.argument(description="In upper or lower case.")],
) -> str:
    """Return the ticker of the requested coin. Raises GraphQLError."""
    return checked_ticker(ticker, "ticker")


@with_arguments(coin_arguments)
async def _coin(info: Info, ticker: str) -> CoinRow | None:
    return await info.context.loaders.load(COIN_BY_TICKER, ticker)


def listing_arguments(
    source: Annotated[
        str, strawberry.argument(description='The name of a source, such as "coinpaprika".')
    ],
    external_id: Annotated[str, strawberry.argument(description="The source's id of the asset.")],
) -> tuple[str, str]:
    """Return the key of the requested listing. Raises GraphQLError."""
    return checked_text(source, "source"), checked_text(external_id, "externalId")


@with_arguments(listing_arguments)
async def _listing(info: Info, key: tuple[str, str]) -> ListingRow | None:
    return await info.context.loaders.load(LISTING_BY_KEY, key)


def run_arguments(
    # The schema's name.
    id: Annotated[strawberry.ID, strawberry.argument(description='Such as "run_42".')],  # noqa: A002
) -> int | None:
    """Return the requested run's number, None if no run can have it. Raises GraphQLError."""
    kind, number = parse_key(id, "id")
    if kind is not Kind.RUN:
        raise bad_input("id", 'must be the id of a run such as "run_42"')
    found: int | None = number
    return found


@with_arguments(run_arguments)
async def _run(info: Info, number: int | None) -> RunRow | None:
    return None if number is None else await info.context.loaders.load(RUN_BY_ID, number)


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


COINS_ROOT = RootConnection(
    coins_arguments,
    lambda connection, page: coin_page(connection, page.filter, page.order, page.slice),
    count_coins,
    COINS,
    coin_conditions,
)
LISTINGS_ROOT = RootConnection(
    listings_arguments,
    lambda connection, page: listing_page(connection, page.filter, page.slice),
    count_listings,
    LISTINGS,
    listing_conditions,
)
RUNS_ROOT = RootConnection(
    runs_arguments,
    lambda connection, page: run_page(connection, page.filter, page.slice),
    count_runs,
    RUNS,
    run_conditions,
)


def _paged(root: RootConnection, description: str) -> Any:  # noqa: ANN401  (see `fields`)
    """Return the field of a root connection."""

    @with_arguments(root.arguments)
    async def resolve(info: Info, request: PageRequest) -> PageValue[Any]:
        return await root.resolve(info.context.read, request)

    return resolved(resolve, description, source=root)


async def _sources(info: Info) -> list[SourceRow]:
    return await info.context.read(all_sources)


def _stats() -> object:
    return ()  # each field of Stats reads for itself


@strawberry.type(description="Operations that read data.")
class Query:
    """The root of queries."""

    node: Node | None = resolved(_node, "The object with this id; null if there is none.")
    nodes: list[Node | None] = resolved(
        _nodes, "The objects with these ids, in the order of the ids; null for each unknown id."
    )
    coin: Coin | None = resolved(_coin, "The merged coin that owns a ticker; upper or lower case.")
    coins: Connection[Coin] = _paged(COINS_ROOT, "The merged coins.")
    listing: ListingType | None = resolved(_listing, "One listing of one source.")
    listings: Connection[ListingType] = _paged(
        LISTINGS_ROOT, "The listings of all sources, by source and external id."
    )
    run: Run | None = resolved(_run, "One run.")
    runs: Connection[Run] = _paged(RUNS_ROOT, "The runs of all sources, newest first.")
    sources: list[SourceType] = resolved(_sources, "The sources, in the order of their priority.")
    stats: Stats = resolved(_stats, "Statistics of the service.")
