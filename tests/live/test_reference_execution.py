"""The hub's shared messages equal those of plain graphql-core for each subscriber."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from graphql import execute, parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.utils.await_maybe import await_maybe

from db.connect.types import Connection
from db.events import add_coins_event, add_run_event, notify_events
from db.read.coins import coins_by_ticker
from db.read.runs import run_from_event
from server.graphql.execution.context import Context
from server.graphql.execution.errors import mask
from server.graphql.relay.cursors import encode_words
from server.graphql.schema import schema
from server.graphql.transport.follow import follow
from server.graphql.types.subscription import CoinUpdateValue, RunUpdateValue
from server.live.subscriber import Subscriber
from tests.server.conftest import NOW, AddRun, Service
from tests.server.graphql_rows import Json, Rows

TICKERS = ("BTC", "ETH", "SOL", "XRP", "ÜBER", "GONE")
TIMEOUT_SECONDS = 30
REQUEST = "of-a-test"

LEAVES = (
    "ticker",
    "name",
    "priceUsd",
    "percentChange24h",
    "isStale",
    "createdAt",
    "id",
    "__typename",
    "source: rank",
    "provenance { field source externalId }",
    "listings { externalId active }",
    "history(first: 1) { nodes { at priceUsd } }",
    "...Named",
    "...@include(if: $more) { marketCapUsd }",
)
FAILING = "failing: history(first: 0) { nodes { at } }"
AROUND = ("cursor", "lagged", "missed: lagged", "__typename", "place: cursor")
RUN_LEAVES = (
    "id",
    "source",
    "status",
    "durationMs",
    "message",
    "noteCount",
    "notes { about text count }",
    "__typename",
    "rejections(first: 1) { totalCount }",
)

selections = st.lists(st.sampled_from(LEAVES), min_size=1, max_size=6, unique=True)
arounds = st.lists(st.sampled_from(AROUND), max_size=4, unique=True)
some_tickers = st.sets(st.sampled_from(TICKERS), min_size=1)


def coin_document(coins: Sequence[str], others: Sequence[str] | None, around: Sequence[str]) -> str:
    body = [*around, f"coins {{ {' '.join(coins)} }}"]
    if others is not None:
        body.insert(len(body) // 2, f"others: coins {{ {' '.join(others)} }}")
    selected = " ".join(body)
    more = ", $more: Boolean = false" if "$more" in selected else ""
    named = "fragment Named on Coin { name ticker }" if "...Named" in selected else ""
    return (
        f"subscription S($tickers: [String!]{more}) {{ root: coinUpdates(tickers: "
        f"$tickers) {{ {selected} }} }} {named}"
    )


async def plainly(
    service: Service, document: str, variables: Mapping[str, Any], value: object
) -> Json:
    """Execute an operation for one event and one subscriber with graphql-core alone."""
    context = Context(service.state, REQUEST)
    result = await await_maybe(
        execute(
            schema._schema,
            parse(document),
            root_value=value,
            context_value=context,
            variable_values=dict(variables),
            operation_name="S",
        )
    )
    response: dict[str, object] = {"data": result.data}
    if result.errors:
        response["errors"] = [error.formatted for error in mask(result.errors, REQUEST)]
    return msgspec.json.decode(msgspec.json.encode(response))


class Reader:
    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.subscriber: Subscriber

    async def next(self) -> Json:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (body := self.subscriber.take()) is None:
                assert self.subscriber.error is None
                self.woken.clear()
                await self.woken.wait()
        return msgspec.json.decode(body)


async def open_all(
    stack: AsyncExitStack, service: Service, document: str, variables: Sequence[Mapping[str, Any]]
) -> list[Reader]:
    readers = []
    for given_variables in variables:
        reader = Reader()
        followed = await follow(
            document, dict(given_variables), "S", Context(service.state, REQUEST)
        )
        reader.subscriber = await stack.enter_async_context(
            service.state.hub.subscribe(followed, reader.woken.set)
        )
        readers.append(reader)
    return readers


@pytest.fixture
async def coins(service: Service, connection: Connection) -> Service:
    rows = Rows(connection)
    await rows.source("coinpaprika")
    for ticker in TICKERS[:-1]:
        await rows.coin(
            ticker, percent_change_24h="1.25", market_cap_usd="12", name=f'"{ticker}"\n'
        )
        await rows.listing("coinpaprika", f"{ticker}-id", ticker)
    return service


async def last_seq(connection: Connection) -> int:
    seq: int = await connection.fetchval("SELECT max(seq) FROM events")
    return seq


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    coin=selections,
    others=st.none() | selections,
    around=arounds,
    name_sets=st.lists(st.none() | some_tickers, min_size=1, max_size=5),
    changed=st.lists(some_tickers, min_size=1, max_size=3),
    more=st.booleans(),
    fails=st.booleans(),
)
async def test_coins(
    coin: list[str],
    others: list[str] | None,
    around: list[str],
    name_sets: list[set[str] | None],
    changed: list[set[str]],
    more: bool,  # noqa: FBT001 - hypothesis names its arguments
    fails: bool,  # noqa: FBT001 - the same
    coins: Service,
    connection: Connection,
) -> None:
    document = coin_document([*coin, *([FAILING] if fails else [])], others, around)
    variables = [
        {"tickers": None if names is None else sorted(names), "more": more} for names in name_sets
    ]
    async with AsyncExitStack() as stack:
        readers = await open_all(stack, coins, document, variables)
        assert coins.state.hub.group_count == len(
            {names and frozenset(names) for names in name_sets}
        )
        for tickers in changed:
            async with connection.transaction():
                await add_coins_event(connection, sorted(tickers), NOW)
                await notify_events(connection)
            rows = await coins_by_ticker(connection, TICKERS)
            cursor = encode_words(await last_seq(connection), None)
            for reader, names, given_variables in zip(readers, name_sets, variables, strict=True):
                followed = sorted(tickers if names is None else tickers & names)
                if followed:
                    value = CoinUpdateValue(
                        cursor, [rows[ticker] for ticker in followed if ticker in rows], 0
                    )
                    assert await reader.next() == await plainly(
                        coins, document, given_variables, value
                    )
        assert all(reader.subscriber.take() is None for reader in readers)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    run=st.lists(st.sampled_from(RUN_LEAVES), min_size=1, unique=True),
    around=st.lists(
        st.sampled_from(("cursor", "type", "__typename", "again: cursor")), max_size=4, unique=True
    ),
    names=st.lists(st.none() | st.sampled_from(["csv", "coingecko"]), min_size=1, max_size=4),
    sources=st.lists(st.sampled_from(["csv", "coingecko"]), min_size=1, max_size=3),
)
async def test_runs(
    run: list[str],
    around: list[str],
    names: list[str | None],
    sources: list[str],
    coins: Service,
    add_run: AddRun,
    connection: Connection,
) -> None:
    selected = f"{' '.join(around)} run {{ {' '.join(run)} }}"
    document = f"subscription S($source: String) {{ runUpdates(source: $source) {{ {selected} }} }}"
    variables = [{"source": name} for name in names]
    async with AsyncExitStack() as stack:
        readers = await open_all(stack, coins, document, variables)
        for source in sources:
            number = await add_run(source, "failure", message='"No" such file\n')
            notes = [{"about": "columns", "text": 'Not read: "ä"', "count": number}]
            await connection.execute(
                "UPDATE etl_runs SET notes = $1, note_count = $2 WHERE id = $2", notes, number
            )
            async with connection.transaction():
                await add_run_event(connection, "run_finished", number, NOW)
                await notify_events(connection)
            seq = await last_seq(connection)
            row = msgspec.json.decode(
                await connection.fetchval("SELECT run FROM events WHERE seq = $1", seq)
            )
            value = RunUpdateValue(encode_words(seq, None), "run_finished", run_from_event(row))
            for reader, name, given_variables in zip(readers, names, variables, strict=True):
                if name in (None, source):
                    assert await reader.next() == await plainly(
                        coins, document, given_variables, value
                    )
        assert all(reader.subscriber.take() is None for reader in readers)
