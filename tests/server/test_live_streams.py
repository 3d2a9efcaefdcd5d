"""Live updates over both protocols, also through a restart of the server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from db.connect.pool import Connection
from db.events import add_coins_event, notify_events
from tests.conftest import Program, StartProgram
from tests.server.conftest import NOW, AddCoin, Service

SUBSCRIPTION = (
    "subscription ($after: String) { coinUpdates(after: $after) { cursor coins { ticker "
    "} lagged } }"
)
TIMEOUT_SECONDS = 20
RESTARTED = 1012  # what a websocket is closed with by a server that goes: service restart

Update = dict[str, Any]
Subscribe = Callable[[aiohttp.ClientSession, str | None], AsyncIterator[Update]]


async def events_of_socket(
    client: aiohttp.ClientSession, after: str | None
) -> AsyncIterator[Update]:
    """Yield updates over graphql-transport-ws until the server stops."""
    async with client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json({"type": "connection_init"})
        assert (await socket.receive_json())["type"] == "connection_ack"
        payload = {"query": SUBSCRIPTION, "variables": {"after": after}}
        await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
        while (message := await socket.receive()).type == aiohttp.WSMsgType.TEXT:
            body = message.json()
            assert body["type"] == "next", body
            yield body["payload"]["data"]["coinUpdates"]
        assert message.data == RESTARTED


async def events_of_stream(
    client: aiohttp.ClientSession, after: str | None
) -> AsyncIterator[Update]:
    """Yield updates over SSE until the server stops; a stream that ends sends `complete`."""
    body = {"query": SUBSCRIPTION, "variables": {"after": after}}
    async with client.post(
        "/graphql", json=body, headers={"Accept": "text/event-stream"}
    ) as response:
        event = ""
        async for line in response.content:
            name, _, value = line.decode().rstrip("\r\n").partition(":")
            if name == "event":
                event = value.strip()
            assert event != "complete"
            if name == "data" and event == "next":
                yield msgspec.json.decode(value.strip())["data"]["coinUpdates"]


async def events_of_multipart(
    client: aiohttp.ClientSession, after: str | None
) -> AsyncIterator[Update]:
    """Yield updates over multipart until the server stops; a stream that ends has its boundary."""
    body = {"query": SUBSCRIPTION, "variables": {"after": after}}
    accept = {"Accept": "multipart/mixed;subscriptionSpec=1.0"}
    async with client.post("/graphql", json=body, headers=accept) as response:
        async for line in response.content:
            assert line.strip() != b"--graphql--"
            if line.startswith(b'{"payload":'):
                yield msgspec.json.decode(line)["payload"]["data"]["coinUpdates"]


@asynccontextmanager
async def received(events: AsyncIterator[Update]) -> AsyncIterator[asyncio.Queue[Update | None]]:
    """Collect events while the context lasts; None is the end of the stream."""
    queue: asyncio.Queue[Update | None] = asyncio.Queue()

    async def collect() -> None:
        async for event in events:
            queue.put_nowait(event)
        queue.put_nowait(None)

    collecting = asyncio.create_task(collect())
    try:
        yield queue
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)


async def following(queue: asyncio.Queue[Update | None]) -> Update:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        update = await queue.get()
    assert update is not None, "the stream ended"
    return update


def tickers(update: Update) -> list[str]:
    return [coin["ticker"] for coin in update["coins"]]


async def change(connection: Connection, ticker: str) -> None:
    async with connection.transaction():
        await add_coins_event(connection, [ticker], NOW)
        await notify_events(connection)


async def start_server(
    start_program: StartProgram, database: str, home: Path, port: int
) -> Program:
    program = start_program(
        "-m", "server", DATABASE_URL=database, KASPARRO_HOME=str(home), PORT=str(port)
    )
    await program.wait_for(r"Listening at \S+\n")
    return program


EVERY = [events_of_socket, events_of_stream, events_of_multipart]


@pytest.mark.parametrize("events", EVERY)
async def test_a_subscription_resumes_over_a_restart_of_the_server(
    events: Subscribe,
    start_program: StartProgram,
    database: str,
    tmp_path: Path,
    unused_tcp_port: int,
    add_coin: AddCoin,
    connection: Connection,
) -> None:
    for ticker in ("BTC", "ETH", "SOL", "XRP"):
        await add_coin(ticker)
    first = await start_server(start_program, database, tmp_path, unused_tcp_port)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as client:
        async with received(events(client, None)) as queue:
            while queue.empty():  # the server takes the subscription when it gets to it
                await change(connection, "BTC")
                await asyncio.sleep(0.05)
            await change(connection, "ETH")
            while tickers(update := await following(queue)) != ["ETH"]:
                assert tickers(update) == ["BTC"]
            assert update["lagged"] == 0
            assert await first.stop() == 0
            async with asyncio.timeout(TIMEOUT_SECONDS):
                assert await queue.get() is None
        await change(connection, "SOL")
        second = await start_server(start_program, database, tmp_path, unused_tcp_port)
        async with received(events(client, update["cursor"])) as queue:
            assert tickers(await following(queue)) == ["SOL"]
            await change(connection, "XRP")
            assert tickers(await following(queue)) == ["XRP"]
        assert await second.stop() == 0
    for program in (first, second):
        assert "Traceback" not in program.text()
        assert "ASGI callable" not in program.text()


@pytest.mark.parametrize("events", EVERY)
async def test_a_client_that_leaves_is_forgotten(
    events: Subscribe, service: Service, add_coin: AddCoin, connection: Connection
) -> None:
    await add_coin("BTC")
    async with received(events(service.client, None)) as queue:
        while queue.empty():
            await change(connection, "BTC")
            await asyncio.sleep(0.05)
        assert service.state.hub.subscriber_count == 1
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while service.state.hub.subscriber_count:
            await asyncio.sleep(0.01)
