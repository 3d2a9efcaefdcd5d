"""A client's bodies and operations leave slots for others, over each transport."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine

import aiohttp
import pytest

from common.settings import Settings
from db.connect.pool import Connection
from server import state
from server.limits import concurrency
from server.state import POOL_SIZE
from tests.server.conftest import AddCoin, Service, running_service
from tests.server.graphql_live import connected
from tests.server.raw_http import TIMEOUT_SECONDS, answers, connect

PER_CLIENT = POOL_SIZE // 2
BLOCKED = "{ sources { name } }"
FREE = {"query": "{ coins(first: 1) { edges { node { ticker } } } }"}
ANSWER = {"data": {"coins": {"edges": [{"node": {"ticker": "BTC"}}]}}}
UNFINISHED = (
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
    b"application/json\r\nContent-Length: 100\r\n\r\n{"
)

Ask = Callable[[Service], Coroutine[None, None, str]]


@pytest.fixture
async def service(
    settings: Settings, add_coin: AddCoin, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """A server with time-outs for a busy machine."""
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", TIMEOUT_SECONDS)
    monkeypatch.setattr(state, "STATEMENT_TIMEOUT_SECONDS", 2 * TIMEOUT_SECONDS)
    monkeypatch.setattr(state, "ACQUIRE_SECONDS", TIMEOUT_SECONDS)
    await add_coin("BTC")
    async with running_service(settings) as running:
        yield running


@contextlib.asynccontextmanager
async def client_at(service: Service, address: str) -> AsyncIterator[Service]:
    """Return another client, with another address of this machine."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0), limit=0)
    async with aiohttp.ClientSession(service.url, connector=connector) as client:
        try:
            await client.get("/health/live")
        except aiohttp.ClientConnectorError:
            pytest.skip(f"{address} is not an address of this machine")
        yield Service(service.url, client, service.state)


async def by_post(service: Service) -> str:
    async with service.client.post("/graphql", json={"query": BLOCKED}) as response:
        return await response.text()


async def by_get(service: Service) -> str:
    async with service.client.get("/graphql", params={"query": BLOCKED}) as response:
        return await response.text()


async def by_stream(service: Service) -> str:
    accept = {"Accept": "text/event-stream"}
    async with service.client.post("/graphql", json={"query": BLOCKED}, headers=accept) as response:
        return await response.text()


async def by_websocket(service: Service) -> str:
    async with connected(service) as socket:
        numbers = [str(number) for number in range(20)]
        for number in numbers:
            await socket.subscribe(BLOCKED, number=number)
        found = [await socket.receive() for _ in range(2 * len(numbers))]
    return json.dumps([message["payload"] for message in found if message["type"] == "next"])


@contextlib.asynccontextmanager
async def blocked(connection: Connection) -> AsyncIterator[None]:
    """Block all statements that read the sources."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE sources IN ACCESS EXCLUSIVE MODE")
        yield


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("ask", [by_post, by_get, by_stream, by_websocket])
async def test_a_client_s_operations_leave_room(
    ask: Ask, service: Service, connection: Connection
) -> None:
    limit = service.state.concurrency
    async with client_at(service, "127.0.0.2") as greedy:
        async with blocked(connection):
            asking = [asyncio.create_task(ask(greedy)) for _ in range(20)]
            await until(lambda: limit.waiting >= len(asking) - PER_CLIENT)
            assert limit.used == PER_CLIENT
            async with asyncio.timeout(TIMEOUT_SECONDS / 2):
                async with service.client.post("/graphql", json=FREE) as response:
                    assert await response.json() == ANSWER
                async with connected(service) as socket:
                    await socket.subscribe(FREE["query"])
                    assert await socket.next() == ANSWER["data"]
                assert len((await service.get("/data?limit=1"))["data"]) == 1
                assert (await service.get("/health"))["database"] == "connected"
            assert not any(task.done() for task in asking)
        for text in await asyncio.gather(*asking):
            assert '"sources": []' in text or '"sources":[]' in text
            assert "errors" not in text
    assert limit.used == limit.waiting == 0


async def test_as_many_run_as_the_pools_can_do(service: Service, connection: Connection) -> None:
    """Others wait for their turn and are answered; the health endpoints do not wait."""
    limit = service.state.concurrency
    async with contextlib.AsyncExitStack() as stack:
        greedy = [
            await stack.enter_async_context(client_at(service, f"127.0.0.{host}"))
            for host in range(2, 7)
        ]
        async with blocked(connection):
            asking = [asyncio.create_task(by_post(client)) for client in greedy for _ in range(8)]
            await until(lambda: limit.used + limit.waiting == len(asking))
            assert limit.used == 2 * POOL_SIZE
            for path in ("/health/live", "/health"):
                await service.get(path)
            late = asyncio.create_task(service.get("/data?limit=1"))
            await until(lambda: limit.waiting == len(asking) - 2 * POOL_SIZE + 1)
        assert len((await late)["data"]) == 1
        await asyncio.gather(*asking)


async def test_who_finds_no_place_in_time_is_told_when_to_come_back(
    service: Service, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 0.1)
    async with blocked(connection):
        asking = [asyncio.create_task(by_post(service)) for _ in range(PER_CLIENT)]
        await until(lambda: service.state.concurrency.used == PER_CLIENT)
        async with service.client.post("/graphql", json=FREE) as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "1"
            assert "try again" in (await response.json())["detail"]
        async with connected(service) as socket:
            await socket.subscribe(FREE["query"])
            message = await socket.receive()
            assert message["type"] == "error"
            assert message["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
            await socket.subscribe("subscription { coinUpdates { cursor } }")
            assert (await socket.receive())["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
    await asyncio.gather(*asking)
    async with service.client.post("/graphql", json=FREE) as response:
        assert response.status == 200


async def test_unfinished_bodies_take_no_place(service: Service) -> None:
    opened = [await connect(service) for _ in range(300)]
    for _, writer in opened:
        writer.write(UNFINISHED)
    assert service.state.concurrency.used == 0
    for path in ("/health/live", "/health", "/data?limit=1", "/stats", "/openapi.json"):
        await service.get(path)
    async with service.client.post("/graphql", json=FREE) as response:
        assert await response.json() == ANSWER
    reader, writer = opened[0]
    writer.write(b'"query": "{ sources { name } }"}' + 67 * b" ")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    for _, each in opened:
        each.close()


async def test_bodies_that_arrive_have_a_bound_of_their_own(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.middleware.body_limit.MAX_INCOMPLETE_BYTES_PER_CLIENT", 100_000)
    head = UNFINISHED.removesuffix(b"{").replace(b"100\r\n", b"70000\r\nConnection: close\r\n")
    first, second = await connect(service), await connect(service)
    for _, writer in (first, second):
        writer.write(head + 60_000 * b" ")
    reading = [asyncio.create_task(reader.read()) for reader, _ in (first, second)]
    done, (left,) = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
    ((refused,),) = (answers(task.result()) for task in done)
    assert refused.status == 503
    assert "one after the other" in refused.body.decode()
    (first if left is reading[0] else second)[1].write(10_000 * b" ")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert answers(await left)[0].status == 400
    for _, writer in (first, second):
        writer.close()
    await service.get("/data")
