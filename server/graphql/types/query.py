"""The type Query: what can be read."""

import asyncio
from collections import Counter
from typing import Annotated

import strawberry
from graphql import GraphQLError

from db.read.coins import CoinRow, coin_page, count_coins
from db.read.keyset import KeysetPage, PageSlice
from db.read.listings import LISTING_ORDER, ListingRow, count_listings, listing_page
from db.read.requests import RequestRow
from db.read.runs import NEWEST_FIRST, RunRow, count_runs, run_page
from db.read.sources import SourceRow, all_sources
from server.graphql.execution.context import Info
from server.graphql.execution.errors import bad_input
from server.graphql.relay.connections import Connection, PageValue, read_connection
from server.graphql.relay.ids import Kind, parse_id, parse_listing, parse_number
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
from server.graphql.types.fields import resolved
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


async def _load_node(info: Info, text: str, argument: str) -> NodeRow | None:
    kind, rest = parse_id(text, argument)
    loaders = info.context.loaders
    if kind is Kind.COIN:
        return await loaders.coins_by_id.load(text)
    if kind is Kind.LISTING:
        return await loaders.listings.load(parse_listing(rest, argument))
    number = parse_number(rest, argument)
    if number is None:
        return None
    return await (loaders.runs if kind is Kind.RUN else loaders.requests).load(number)


async def _node(
    info: Info,
    # The schema's name.
    id: Annotated[strawberry.ID, strawberry.argument(description="The id of any Node.")],  # noqa: A002
) -> NodeRow | None:
    return await _load_node(info, id, "id")


async def _nodes(
    info: Info,
    ids: Annotated[
        list[strawberry.ID],
        strawberry.argument(description=f"Ids of any Nodes, at most {MAX_ROWS}."),
    ],
) -> list[NodeRow | BaseException | None]:
    if len(ids) > MAX_ROWS:
        raise bad_input("ids", f"must have at most {MAX_ROWS} items, not {len(ids)}")
    # An id that cannot be one is null, and an error in the first place of its kind; the others are
    # answered.
    return _told_once(
        await asyncio.gather(
            *(_load_node(info, text, "ids") for text in ids), return_exceptions=True
        )
    )


def _told_once(found: list[NodeRow | BaseException | None]) -> list[NodeRow | BaseException | None]:
    """Return what was found with each error in its first place alone, where it says how many more places it has."""
    counts = Counter(str(value) for value in found if isinstance(value, BaseException))
    told: list[NodeRow | BaseException | None] = []
    for value in found:
        if isinstance(value, BaseException):
            count = counts.pop(str(value), 0)
            told.append(_with_count(value, count) if count else None)
        else:
            told.append(value)
    return told


def _with_count(error: BaseException, count: int) -> BaseException:
    if count == 1 or not isinstance(error, GraphQLError):
        return error
    return GraphQLError(
        f"{error.message}; {count - 1:,} others are wrong in the same way",
        extensions=error.extensions,
    )


async def _coin(
    info: Info, ticker: Annotated[str, strawberry.argument(description="In upper or lower case.")]
) -> CoinRow | None:
    return await info.context.loaders.coins.load(checked_ticker(ticker, "ticker"))


async def _coins(
    info: Info,
    *,
    filter: Annotated[  # noqa: A002 - the schema's name
        CoinFilterInput | None,
        strawberry.argument(description="Which coins; all where it is left out."),
    ] = _UNSET,
    order_by: Annotated[
        CoinOrder | None,
        strawberry.argument(description="Where it is left out: the greatest market cap first."),
    ] = _UNSET,
    first: First = _UNSET,
    after: After = _UNSET,
    last: Last = _UNSET,
    before: Before = _UNSET,
) -> PageValue[CoinRow]:
    wanted, order = coin_filter(filter), coin_order(order_by)

    async def read(part: PageSlice) -> KeysetPage[CoinRow]:
        return await info.context.read(coin_page, wanted, order, part)

    async def count() -> int:
        return await info.context.read(count_coins, wanted)

    return await read_connection(
        order, checked_slice(order, first, after, last, before), read, count
    )


async def _listing(
    info: Info,
    source: Annotated[
        str, strawberry.argument(description='The name of a source, such as "coinpaprika".')
    ],
    external_id: Annotated[
        str, strawberry.argument(description="The source's own id of the asset.")
    ],
) -> ListingRow | None:
    key = checked_text(source, "source"), checked_text(external_id, "externalId")
    return await info.context.loaders.listings.load(key)


async def _listings(
    info: Info,
    *,
    filter: Annotated[  # noqa: A002 - the schema's name
        ListingFilterInput | None,
        strawberry.argument(description="Which listings; all where it is left out."),
    ] = _UNSET,
    first: First = _UNSET,
    after: After = _UNSET,
    last: Last = _UNSET,
    before: Before = _UNSET,
) -> PageValue[ListingRow]:
    wanted = listing_filter(filter)

    async def read(part: PageSlice) -> KeysetPage[ListingRow]:
        return await info.context.read(listing_page, wanted, part)

    async def count() -> int:
        return await info.context.read(count_listings, wanted)

    return await read_connection(
        LISTING_ORDER, checked_slice(LISTING_ORDER, first, after, last, before), read, count
    )


async def _run(
    info: Info,
    # The schema's name.
    id: Annotated[strawberry.ID, strawberry.argument(description='Such as "run_42".')],  # noqa: A002
) -> RunRow | None:
    kind, rest = parse_id(id, "id")
    if kind is not Kind.RUN:
        raise bad_input("id", 'must be the id of a run such as "run_42"')
    number = parse_number(rest, "id")
    return None if number is None else await info.context.loaders.runs.load(number)


async def _runs(
    info: Info,
    *,
    filter: Annotated[  # noqa: A002 - the schema's name
        RunFilterInput | None,
        strawberry.argument(description="Which runs; all where it is left out."),
    ] = _UNSET,
    first: First = _UNSET,
    after: After = _UNSET,
    last: Last = _UNSET,
    before: Before = _UNSET,
) -> PageValue[RunRow]:
    wanted = run_filter(filter)

    async def read(part: PageSlice) -> KeysetPage[RunRow]:
        return await info.context.read(run_page, wanted, part)

    async def count() -> int:
        return await info.context.read(count_runs, wanted)

    return await read_connection(
        NEWEST_FIRST, checked_slice(NEWEST_FIRST, first, after, last, before), read, count
    )


async def _sources(info: Info) -> list[SourceRow]:
    return await info.context.read(all_sources)


def _stats() -> object:
    return ()  # every field of Stats reads for itself


@strawberry.type(description="What can be read.")
class Query:
    """The root of queries."""

    node: Node | None = resolved(_node, "Whatever has this id; null for an id that names nothing.")
    nodes: list[Node | None] = resolved(
        _nodes, "Whatever has these ids, in their order; null for an id that names nothing."
    )
    coin: Coin | None = resolved(_coin, "The merged coin that owns a ticker; upper or lower case.")
    coins: Connection[Coin] = resolved(_coins, "The merged coins.")
    listing: ListingType | None = resolved(_listing, "One listing of one source.")
    listings: Connection[ListingType] = resolved(
        _listings, "The listings of all sources, by source and external id."
    )
    run: Run | None = resolved(_run, "One run.")
    runs: Connection[Run] = resolved(_runs, "The runs of all sources, newest first.")
    sources: list[SourceType] = resolved(_sources, "The sources, in the order of their priority.")
    stats: Stats = resolved(_stats, "The figures of the whole service.")
