"""The compiler and Strawberry's execution give the same responses."""

import asyncio
import datetime
import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from graphql import OperationDefinitionNode, parse
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from strawberry.http import process_result

from common.settings import Settings
from db.connect.pool import DatabaseUnavailableError
from db.connect.readers import Readers
from db.connect.types import Connection, OwnConnection
from server.compiler.fast_path import (
    MAX_CACHED_REQUEST_BYTES,
    MAX_REQUESTS,
    CachedRequest,
    FastPath,
)
from server.compiler.plans import BoundPlan, CompiledOperation, OperationPlan
from server.graphql.execution.context import Context
from server.graphql.relay.history import point_cursor
from server.graphql.schema import schema
from server.state import ServerState, open_state
from tests.server.compiler_documents import RandomDocument
from tests.server.compiler_market import ADDRESSES, ASSET_IDS, Market, fill
from tests.server.graphql_rows import NOW

DOCUMENTS = int(os.environ.get("COMPILED_DOCUMENTS", "400"))
MIN_COMPILED = DOCUMENTS * 3 // 5
"""The minimum of compiled documents; most others are invalid, so Strawberry must answer them."""

REQUEST_ID = "req-compiler"


class Both:
    """The compiler and Strawberry over one database."""

    def __init__(self, state: ServerState, market: Market) -> None:
        self.market = market
        self.fast = FastPath(schema, state.readers, introspection=True)
        self._state = state

    async def executed(self, query: str, variables: dict[str, object]) -> bytes:
        """Return the body of Strawberry's response."""
        result = await schema.execute(query, variables, Context(self._state, REQUEST_ID))
        return msgspec.json.encode(process_result(result))

    async def compiled(self, query: str, variables: dict[str, object]) -> bytes | None:
        """Return the body of the compiled response, None without one."""
        response = await self.fast.answer(
            msgspec.json.encode({"query": query, "variables": variables})
        )
        return response and response[0]


CURSORS_OF = {
    "assets": "{ page: assets(first: 250) { edges { cursor } } }",
    "cap": "{ page: coins(first: 250) { edges { cursor } } }",
    "name": "{ page: coins(first: 250, orderBy: {field: NAME, direction: ASC}) {"
    " edges { cursor } } }",
    "created": "{ page: coins(first: 250, orderBy: {field: CREATED_AT}) { edges { cursor } } }",
    "listings": "{ page: listings(first: 250) { edges { cursor } } }",
    "runs": "{ page: runs { edges { cursor } } }",
    "points": '{ coin(ticker: "T4") { page: history { edges { cursor } } } }',
    "rejections": '{ run(id: "run_4") { page: rejections { edges { cursor } } } }',
}


async def _cursors(state: ServerState) -> dict[str, list[str]]:
    """Return cursors of every kind of connection."""
    found = {"none": ["nonsense", ""]}
    for kind, query in CURSORS_OF.items():
        result = await schema.execute(query, {}, Context(state, REQUEST_ID))
        assert result.errors is None
        data: Any = result.data
        page = data.get("page") or next(iter(data.values()))["page"]
        found[kind] = [edge["cursor"] for edge in page["edges"]]
    assert all(found.values())
    return found


@pytest.fixture
async def both(settings: Settings, database: str, connection: Connection) -> AsyncIterator[Both]:
    ids = await fill(connection)
    async with open_state(settings, database, asyncio.Event()) as state:
        yield Both(state, Market(ids, await _cursors(state)))


@pytest.fixture
async def mostly_compiled(both: Both) -> AsyncIterator[Both]:
    yield both
    assert both.fast.answered >= MIN_COMPILED
    assert not both.fast.failed


@given(st.binary(min_size=100, max_size=400))
@examples(
    max_examples=DOCUMENTS,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
async def test_a_compiled_response_equals_the_executed_one(
    mostly_compiled: Both, choices: bytes
) -> None:
    both = mostly_compiled
    document = RandomDocument(choices, schema._schema, both.market)
    query = document.document()
    compiled = await both.compiled(query, document.variables)
    if compiled is None:
        return
    executed = await both.executed(query, document.variables)
    if compiled != executed:  # the minute may have changed, and so the end of the newest candles
        compiled, executed = (
            await both.compiled(query, document.variables),
            await both.executed(query, document.variables),
        )
    assert compiled == executed


CURSOR = point_cursor(NOW - datetime.timedelta(hours=14))
COMPILED_QUERIES = [
    (
        "{ coins(first: 3) { edges { cursor node { ticker name priceUsd marketCapUsd "
        "rank } } pageInfo { endCursor } } }"
    ),
    "{ coins(last: 2) { totalCount nodes { ticker listings { source priceUsd } rivals { id } } } }",
    (
        '{ coins(filter: {isDisputed: true, search: "b"}, orderBy: {field: NAME, '
        "direction: ASC}) { nodes { id } } }"
    ),
    (
        '{ coin(ticker: "btc") { provenance { field observedAt } history(last: 2) { '
        "edges { cursor node { at } } } } }"
    ),
    (
        '{ coin(ticker: "T4") { candles(interval: H4, from: "2026-02-01T00:00:00Z", to: '
        '"2026-02-04T00:00:00Z") {low source} } }'
    ),
    (
        '{ coins(first: 250) { nodes { history(first: 4, source: "coingecko") { nodes { at '
        'source } } candles(interval: D1, source: "csv", from: "2026-01-20T00:00:00Z", to: '
        '"2026-02-04T00:00:00Z") { source samples } } } }'
    ),
    *(
        f"{{ coins(first: 250) {{ nodes {{ history({page}) {{ edges {{ cursor node {{ at priceUsd "
        "marketCapUsd volume24hUsd source } } pageInfo { hasNextPage hasPreviousPage } } } } }"
        for page in ("first: 3", "last: 3", f'from: "2026-02-02T00:00:00Z", after: "{CURSOR}"')
    ),
    *(
        f"{{ listings(first: 250) {{ nodes {{ externalId history({page}) {{ edges {{ cursor node "
        "{ at source } } pageInfo { startCursor endCursor } } candles(interval: H1, from: "
        '"2026-02-02T00:00:00Z", to: "2026-02-04T00:00:00Z") { start high close source } } } }'
        for page in ("first: 2", "last: 2", f'last: 2, before: "{CURSOR}"')
    ),
    '{ coin(ticker: "nothing") { ticker } }',
    '{ node(id: "listing_csv_T3-2") { __typename id ... on Listing { payload coin { ticker } } } }',
    (
        '{ nodes(ids: ["run_1", "merged_btc", "request_1", "merged_none", "run_1"]) { id '
        "... on EtlRequest { sources } } }"
    ),
    (
        "{ sources { name health listingCount lastRun { id durationMs } checkpoint { "
        "lastId updatedAt } } }"
    ),
    (
        "{ sources { files { readAt unreadHeaders columns { header } notes { text } "
        "firstListings { priceUsd rank } } } }"
    ),
    (
        "{ assets(first: 9) { totalCount nodes { id key ticker name names formerTickers { ticker "
        "until } addresses { chain address caip19 sources } listings { asset { id } addresses { "
        "chain } } coins { ticker isCurrent confidence } } } }"
    ),
    (
        "{ coins(first: 250) { nodes { asset { key } isCurrent isSuspect confidence excluded { "
        "source externalId field value reason observedAt } } } }"
    ),
    *(f'{{ asset(id: "{text}") {{ id key ticker }} }}' for text in ASSET_IDS),
    f'{{ token(chain: "eip155:56", address: "{ADDRESSES[0]}") {{ key }} }}',
    '{ node(id: "asset_coingecko_T9-1") { id ... on Asset { key } } }',
    "{ stats { totalNormalized totalListings lastSuccess { id } lastFailure { message } } }",
    (
        "{ runs(first: 4) { totalCount nodes { status rejections(first: 1) { totalCount "
        "nodes { id payload } } } } }"
    ),
    (
        "{ runs(filter: {hasNotes: true}) { totalCount nodes { noteCount notes { __typename "
        "count about says: text } } } }"
    ),
    (
        '{ sources { lastRun { notes { text } } } node(id: "run_3") { ... on Run { '
        "noteCount notes { about } } } }"
    ),
    (
        '{ listing(source: "coinpaprika", externalId: "T1-0") { symbol lastSeenAt coin { '
        "isStale } } __typename }"
    ),
]


@pytest.mark.parametrize("query", COMPILED_QUERIES)
async def test_frequent_queries_are_compiled(both: Both, query: str) -> None:
    compiled = await both.compiled(query, {})
    assert compiled is not None
    assert compiled == await both.executed(query, {})


NOT_COMPILED_QUERIES = [
    "mutation { triggerEtl { request { id } } }",
    "subscription { runUpdates { cursor } }",
    "{ __schema { queryType { name } } }",
    "{ nothing }",
    "{ coins(first: 0) { nodes { id } } }",
    '{ coins(after: "nonsense") { nodes { id } } }',
    '{ run(id: "merged_btc") { id } }',
    '{ coin(ticker: "BTC") { candles(interval: M1, from: "2020-01-01T00:00:00Z") { close } } }',
    (
        "{ coins(first: 250) { nodes { rivals { coin { rivals { coin { rivals { coin { "
        "listings { id } } } } } } } } } }"
    ),
    "query ($first: Int!) { coins(first: $first) { nodes { id } } }",
    "",
]


@pytest.mark.parametrize("query", NOT_COMPILED_QUERIES)
async def test_other_requests_are_left_to_strawberry(both: Both, query: str) -> None:
    assert await both.compiled(query, {}) is None
    assert both.fast.fallbacks == 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"query": 1}', b'{"query": "{__typename}", "more": "\xff"}']
)
async def test_a_body_that_is_not_a_plain_request_is_left_to_strawberry(
    both: Both, body: bytes
) -> None:
    assert await both.fast.answer(body) is None


async def test_a_directive_is_evaluated_for_each_request(both: Both) -> None:
    query = (
        "query ($with: Boolean!) { coins(first: 1) { nodes { ticker rank @include(if: $with) } } }"
    )
    for with_rank in (True, False, True):
        compiled = await both.compiled(query, {"with": with_rank})
        assert compiled == await both.executed(query, {"with": with_rank})
        assert compiled is not None
        assert (b"rank" in compiled) is with_rank


async def test_limits_that_depend_on_variables_are_checked_for_each_request(both: Both) -> None:
    candles = "candles(interval: M1) { start open high low close }"
    query = f"query ($first: Int!) {{ coins(first: $first) {{ nodes {{ {candles} }} }} }}"
    for _ in range(2):
        assert await both.compiled(query, {"first": 2}) is not None
        assert await both.compiled(query, {"first": 250}) is None
    assert b"QUERY_TOO_COMPLEX" in await both.executed(query, {"first": 250})


async def test_a_cached_request_returns_current_data(both: Both, connection: Connection) -> None:
    query = '{ coin(ticker: "BTC") { name candles(interval: M1) { close } } }'
    first = await both.compiled(query, {})
    at = datetime.datetime.now(datetime.UTC)
    await connection.execute("UPDATE normalized_records SET name = 'New' WHERE ticker = 'BTC'")
    await connection.execute(
        "INSERT INTO price_points (listing, at, price_usd) SELECT id, $1, 987.5 FROM listings"
        " WHERE source = 'coinpaprika' AND external_id = 'BTC-0'",
        at,
    )
    second = await both.compiled(query, {})
    assert first is not None
    assert second is not None
    assert b"New" in second
    assert b'"987.5"' in second


async def test_the_cache_of_requests_is_limited(both: Both) -> None:
    bound = BoundPlan(OperationPlan(b"", {}, [], cacheable=True), ())
    for number in range(MAX_REQUESTS + 10):
        both.fast._requests.put(
            b"%d" % number, CachedRequest(bound, None, datetime.datetime.now(datetime.UTC))
        )
    assert len(both.fast._requests) == MAX_REQUESTS
    assert both.fast._requests.get(b"9") is None
    assert both.fast._requests.get(b"10") is not None
    await both.compiled("{ __typename }" + " " * MAX_CACHED_REQUEST_BYTES, {})
    assert both.fast.answered == 1
    assert both.fast._requests.get(b"11") is not None


def test_a_plan_is_known_by_its_document_its_name_and_its_switches() -> None:
    text = (
        "query A($on: Boolean!) { stats { totalListings @skip(if: $on) } } query B { __typename }"
    )
    document = parse(text)
    first, second = (
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    )

    def identity(node: OperationDefinitionNode, given: dict[str, object]) -> bytes:
        return CompiledOperation(schema, text, document, node).bind(given).plan.identity

    assert identity(first, {"on": True}) == identity(first, {"on": True})
    assert (
        len({identity(first, {"on": True}), identity(first, {"on": False}), identity(second, {})})
        == 3
    )


def test_a_bound_plan_is_known_by_what_its_arguments_mean() -> None:
    text = """query ($filter: CoinFilter, $order: CoinOrder, $first: Int, $after: String, $ids:
      [ID!]!, $at: DateTime) {
      coins(filter: $filter, orderBy: $order, first: $first, after: $after) {
        nodes { history(from: $at) { nodes { at } } }
      }
      nodes(ids: $ids) { id }
    }"""
    document = parse(text)
    node = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    compiled = CompiledOperation(schema, text, document, node)

    def identity(**given: object) -> bytes:
        return compiled.bind({"ids": ["run_1", "merged_btc"]} | given).identity()

    same = [
        identity(),
        identity(first=50),
        identity(filter={}, order=None),
        identity(order={"field": "MARKET_CAP_USD"}),
    ]
    assert len(set(same)) == 1
    others = [
        identity(first=49),
        identity(filter={"ticker": {"eq": "BTC"}}),
        identity(filter={"source": {"eq": "BTC"}}),
        identity(ids=["run_1"]),
        identity(at="2026-02-03T00:00:00Z"),
    ]
    assert len({*same, *others}) == 6
    assert identity(at="2026-02-03T01:00:00+01:00") == others[-1]


async def test_strawberry_reports_an_unavailable_database(both: Both) -> None:
    query = "{ stats { totalListings } }"
    assert await both.compiled(query, {}) is not None

    async def refuse() -> OwnConnection:
        raise DatabaseUnavailableError("here", "it is away")

    away = FastPath(schema, Readers(refuse, 1), introspection=True)
    assert await away.answer(msgspec.json.encode({"query": query})) is None
