"""The type Query: its fields, and the arguments of single objects.

Resolvers and compiler share the arguments; `pages` has those of the connections.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import strawberry

from common.chains import (
    TokenAddress,
    is_known_chain,
    named_address,
    normalize_address,
    parse_token,
)
from db.read.assets import AssetReference, AssetRow, assets_by_key, assets_by_reference
from db.read.coins import CoinRow, coins_by_id, coins_by_ticker
from db.read.listings import ListingRow, listings_by_key
from db.read.requests import RequestRow, requests_by_id
from db.read.runs import RunRow, runs_by_id
from db.read.sources import SourceRow, all_sources
from server.graphql.execution.context import Info
from server.graphql.execution.errors import bad_input, deduplicate_errors
from server.graphql.execution.loaders import Lookup, lookup_one
from server.graphql.markets.gap import StreamGapType
from server.graphql.markets.market import MarketType
from server.graphql.markets.pages import GAPS_ROOT, MARKETS_ROOT
from server.graphql.relay.connections import Connection, PageRequest, PageValue, RootConnection
from server.graphql.relay.ids import Kind, NodeKey, parse_key
from server.graphql.relay.node import Node
from server.graphql.types.arguments import checked_text, checked_ticker
from server.graphql.types.asset import AssetType
from server.graphql.types.coin import Coin
from server.graphql.types.fields import resolved, with_arguments
from server.graphql.types.listing import ListingType
from server.graphql.types.pages import ASSETS_ROOT, COINS_ROOT, LISTINGS_ROOT, RUNS_ROOT
from server.graphql.types.run import Run
from server.graphql.types.source import SourceType
from server.graphql.types.stats import Stats
from server.limits.rows import MAX_ROWS

NodeRow = AssetRow | CoinRow | ListingRow | RunRow | RequestRow

ASSET_BY_REFERENCE = lookup_one(assets_by_reference)
COIN_BY_TICKER = lookup_one(coins_by_ticker)
LISTING_BY_KEY = lookup_one(listings_by_key)
RUN_BY_ID = lookup_one(runs_by_id)
_NODES: Mapping[Kind, Lookup[Any]] = {
    Kind.ASSET: lookup_one(assets_by_key),
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


_ASSET_FORMS = (
    'such as "coinpaprika:btc-bitcoin", "coingecko:bitcoin", "ethereum:0x...",'
    ' "eip155:1/erc20:0x..." or "asset_coinpaprika_btc-bitcoin"'
)
_KEY_OF_LISTING = re.compile(r"[a-z][a-z0-9-]{0,62}:.+", re.DOTALL)


def asset_arguments(
    # The schema's name.
    id: Annotated[  # noqa: A002
        strawberry.ID,
        strawberry.argument(
            description="The key of the asset or of any of its listings, an address as"
            f" `chain:address` or CAIP-19, or the id of a Node: {_ASSET_FORMS}."
        ),
    ],
) -> AssetReference:
    """Return which asset is requested. Raises GraphQLError."""
    text = checked_text(id, "id")
    if text.startswith(f"{Kind.ASSET}_"):
        _, key = parse_key(text, "id")
        return AssetReference(key)
    key = text if _KEY_OF_LISTING.fullmatch(text) else None
    token = parse_token(text)
    if token is not None:
        return AssetReference(key, token.chain, token.address)
    if key is None:
        raise bad_input("id", f"must be an id {_ASSET_FORMS}")
    return AssetReference(key)


@with_arguments(asset_arguments)
async def _asset(info: Info, reference: AssetReference) -> AssetRow | None:
    return await info.context.loaders.load(ASSET_BY_REFERENCE, reference)


def token_arguments(
    chain: Annotated[
        str,
        strawberry.argument(
            description="A chain by its name at DefiLlama, CoinGecko or CoinPaprika, or its CAIP-2"
            ' id: "ethereum", "binance-smart-chain", "eip155:56".'
        ),
    ],
    address: Annotated[str, strawberry.argument(description="The address of the contract.")],
) -> AssetReference:
    """Return the asset of which contract is requested. Raises GraphQLError."""
    name, text = checked_text(chain, "chain"), checked_text(address, "address")
    if is_known_chain(name):
        token = named_address(name, text)
    else:  # a source may have a platform that we do not know
        normal = normalize_address(name, text)
        token = None if normal is None else TokenAddress(name, normal)
    if token is None:
        raise bad_input("address", f'is not the address of a contract on the chain "{name[:40]}"')
    return AssetReference(None, token.chain, token.address)


@with_arguments(token_arguments)
async def _token(info: Info, reference: AssetReference) -> AssetRow | None:
    return await info.context.loaders.load(ASSET_BY_REFERENCE, reference)


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
    asset: AssetType | None = resolved(
        _asset,
        "The asset with this id, of this listing, or at this address; null if there is none.",
    )
    assets: Connection[AssetType] = _paged(
        ASSETS_ROOT, "The assets: what the listings of all sources and tickers are about."
    )
    token: AssetType | None = resolved(
        _token, "The asset whose contract in use has this address; null if there is none."
    )
    listing: ListingType | None = resolved(_listing, "One listing of one source.")
    listings: Connection[ListingType] = _paged(
        LISTINGS_ROOT, "The listings of all sources, by source and external id."
    )
    markets: Connection[MarketType] = _paged(
        MARKETS_ROOT, "The markets of the exchanges that are followed, by venue and symbol."
    )
    stream_gaps: Connection[StreamGapType] = _paged(
        GAPS_ROOT,
        "The stretches of time in which prices of an exchange may be missing, newest first.",
    )
    run: Run | None = resolved(_run, "One run.")
    runs: Connection[Run] = _paged(RUNS_ROOT, "The runs of all sources, newest first.")
    sources: list[SourceType] = resolved(_sources, "The sources, in the order of their priority.")
    stats: Stats = resolved(_stats, "Statistics of the service.")
