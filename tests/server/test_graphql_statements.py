"""The statements of a document: one for each nested field, for any size of the page."""

import functools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from asyncpg.connection import LoggedQuery

from common.settings import Settings
from db.connect.pool import connect, create_pool
from db.connect.readers import Readers
from db.connect.types import Connection
from server.graphql.execution.context import Context
from server.graphql.execution.plain_rows import PlainRows
from server.graphql.schema import schema
from server.limits.concurrency import ConcurrencyLimit
from server.live.hub import Hub
from server.state import ServerState
from tests.server.conftest import TOKEN
from tests.server.graphql_rows import NOW, Json, Rows

DEEP = """
query ($first: Int!) {
  coins(first: $first) {
    nodes { ticker provenance { field } listings { source coin { ticker rivals { externalId
      payload } } } }
  }
  runs(first: $first) { nodes { id rejections(first: 2) { nodes { error } totalCount } } }
  sources { listingCount lastRun { id } checkpoint { lastId } files { name columns { role } } }
}
"""


# The pool clears up after each use of a connection, and asyncpg looks at a type when a connection
# first meets it.
NOT_OURS = ("RESET ALL", "typeinfo_tree", "current_setting('jit')")


class CountedQueries:
    """A context for documents, and the statements that it executed."""

    def __init__(self, context: Context, statements: list[str]) -> None:
        self._context = context
        self._statements = statements

    async def __call__(self, query: str, **variables: object) -> tuple[Json, list[str]]:
        self._statements.clear()
        result = await schema.execute(query, variables, self._context)
        assert result.errors is None
        return result.data, list(self._statements)


@pytest.fixture
async def counted(database: str, tmp_path: Path) -> AsyncIterator[CountedQueries]:
    statements: list[str] = []

    def note(query: LoggedQuery) -> None:
        if not any(word in query.query for word in NOT_OURS):
            statements.append(query.query)

    async with await create_pool(database, max_size=1) as pool:
        async with pool.acquire() as connection:
            connection.add_query_logger(note)
        state = ServerState(
            settings=Settings(home=tmp_path),
            pool=pool,
            primary=pool,
            health_pool=pool,
            readers=Readers(functools.partial(connect, database), 1),
            concurrency=ConcurrencyLimit(1, 1, 1, 1),
            hub=Hub(database, pool),
            scheduler_token=TOKEN,
            version="0",
            started_at=NOW,
        )
        yield CountedQueries(Context(state, "req-test"), statements)


@pytest.fixture
async def market(connection: Connection) -> None:
    rows = Rows(connection)
    for source in ("one", "two", "three"):
        await rows.source(source)
        await rows.checkpoint(source)
    for index in range(12):
        ticker = f"T{index}"
        await rows.coin(ticker, market_cap_usd=str(index + 1))
        for source in ("one", "two"):
            await rows.listing(source, f"{ticker}-a", ticker)
            content_hash = await rows.listing(source, f"{ticker}-b", ticker, contributes=False)
            await rows.payload(source, f"{ticker}-b", content_hash, '{"n": 1}')
        run = await rows.run(source, "partial", processed=3, failed=3)
        for _ in range(3):
            await rows.rejection(run)


@pytest.mark.usefixtures("market")
async def test_a_nested_field_costs_one_statement_for_any_size_of_the_page(
    counted: CountedQueries,
) -> None:
    small, few = await counted(DEEP, first=1)
    large, many = await counted(DEEP, first=12)
    assert len(small["coins"]["nodes"]) == 1
    assert len(large["coins"]["nodes"]) == 12
    assert len(large["coins"]["nodes"][11]["listings"]) == 2
    assert [
        len(listing["coin"]["rivals"]) for listing in large["coins"]["nodes"][3]["listings"]
    ] == [2, 2]
    assert large["coins"]["nodes"][5]["listings"][1]["coin"]["rivals"][0]["payload"] is not None
    assert [len(run["rejections"]["nodes"]) for run in large["runs"]["nodes"]] == [2] * 12
    # coins, listings, coin, rivals, payloads, their bodies; runs, rejections, totalCount; sources,
    # count, last run, checkpoint, files.
    assert len(few) == len(many) == 14
    assert sorted(few) == sorted(many)


ASSETS = """
query ($first: Int!) {
  assets(first: $first, filter: {source: {eq: "one"}}) {
    nodes { key names formerTickers { ticker } addresses { address } coins { ticker isCurrent
      asset { key } } listings { externalId addresses { chain } asset { ticker } } }
  }
}
"""


@pytest.mark.usefixtures("market")
async def test_what_belongs_to_assets_costs_one_statement_for_each_field(
    counted: CountedQueries, connection: Connection
) -> None:
    await connection.execute(
        "UPDATE listings SET asset = 'one:' || ticker || '-a' WHERE external_id LIKE '%-b'"
    )
    await connection.execute("UPDATE normalized_records SET asset = 'one:' || ticker || '-a'")
    await connection.execute(
        "INSERT INTO listing_addresses SELECT source, external_id, 'bsc', 'x', true, now()"
        " FROM listings"
    )
    small, few = await counted(ASSETS, first=1)
    large, many = await counted(ASSETS, first=12)
    assert len(small["assets"]["nodes"]) == 1
    assert [
        (
            len(asset["coins"]),
            len(asset["listings"]),
            len(asset["addresses"]),
            {listing["asset"]["ticker"] for listing in asset["listings"]},
        )
        for asset in large["assets"]["nodes"]
    ] == [(1, 3, 1, {asset["key"][4:-2]}) for asset in large["assets"]["nodes"]]
    # assets, former tickers, addresses; coins, current, asset; listings, addresses, asset. The two
    # relations to an asset have one loader each.
    assert len(few) == len(many) == 9
    assert sorted(few) == sorted(many)


COSTS = [
    ("{ assets(first: 5) { nodes { id key ticker name names } } }", 1),
    ('{ asset(id: "one:T1-a") { ticker } b: asset(id: "two:T1-a") { ticker } }', 1),
    (
        (
            '{ asset(id: "bsc:0x1111111111111111111111111111111111111111") { id } '
            'token(chain: "bsc", address: "0x2222222222222222222222222222222222222222") { id } }'
        ),
        1,
    ),
    ("{ coins(first: 5) { nodes { confidence isSuspect excluded { reason } } } }", 1),
    ("{ coins(first: 5) { nodes { asset { key } isCurrent } } }", 1),
    ("{ coins(first: 5) { nodes { ticker name priceUsd isStale provenance { field } } } }", 1),
    (
        (
            "{ coins(first: 5) { edges { cursor } pageInfo { hasNextPage hasPreviousPage "
            "startCursor endCursor } } }"
        ),
        1,
    ),
    ("{ coins(first: 5) { totalCount } }", 2),
    ("{ stats { totalListings } }", 1),
    ("{ stats { __typename } }", 0),
    (
        (
            '{ a: coin(ticker: "T1") { name } b: coin(ticker: "t2") { name } c: '
            'coin(ticker: "T1") { rank } }'
        ),
        1,
    ),
    ('{ nodes(ids: ["merged_t1", "merged_t2", "run_1", "run_2", "listing_one_T1-a"]) { id } }', 3),
    ('{ coin(ticker: "T1") { listings { id } rivals { id coin { id } } } }', 3),
    ("{ sources { name health } }", 1),
    (
        (
            "{ coins(first: 5) { nodes { candles(interval: H1) { close } history(first: "
            "2) { nodes { at } } } } }"
        ),
        3,
    ),
]


@pytest.mark.usefixtures("market")
async def test_what_is_not_asked_for_is_not_read(counted: CountedQueries) -> None:
    for query, count in COSTS:
        _, statements = await counted(query)
        assert len(statements) == count, (query, statements)


@pytest.mark.usefixtures("market")
async def test_the_page_before_is_looked_for_only_where_it_is_asked_for(
    counted: CountedQueries,
) -> None:
    page, _ = await counted("{ coins(first: 2) { pageInfo { endCursor } } }")
    query = "query ($after: String) { coins(first: 2, after: $after) { pageInfo { %s } } }"
    after = page["coins"]["pageInfo"]["endCursor"]
    _, without = await counted(query % "hasNextPage", after=after)
    _, looked = await counted(query % "hasPreviousPage", after=after)
    assert (len(without), len(looked)) == (1, 2)


@pytest.mark.usefixtures("market")
async def test_a_context_remembers_nothing(counted: CountedQueries, connection: Connection) -> None:
    query = '{ coin(ticker: "T1") { name } }'
    before, _ = await counted(query)
    await connection.execute("UPDATE normalized_records SET name = 'New' WHERE ticker = 'T1'")
    after, _ = await counted(query)
    assert (before["coin"]["name"], after["coin"]["name"]) == ("T1", "New")


PLAIN = """
{
  coins(first: 3) {
    nodes { __typename a: ticker ticker name priceUsd createdAt rank isStale percentChange24h
      provenance { field } }
    edges { cursor node { ticker marketCapUsd } }
  }
  runs(first: 2) { nodes { source status startedAt durationMs rejections(first: 1) { nodes {
    error rejectedAt } } } }
  nodes(ids: ["merged_t1", "run_1"]) { id ... on Coin { ticker source } ... on Run { processed
    status } }
}
"""


@pytest.mark.usefixtures("market")
async def test_rows_of_plain_fields_are_what_ordinary_execution_makes_of_them(
    counted: CountedQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, _ = await counted(PLAIN)
    monkeypatch.setattr(PlainRows, "_plan", lambda *_: None)
    one_by_one, _ = await counted(PLAIN)
    assert at_once == one_by_one
    assert len(at_once["coins"]["nodes"]) == 3
