"""Many different operations: they delay no other client, have limits, and end with it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp
import pytest

from db.connect.types import Connection, Pool
from db.events import notify_events
from server.graphql.transport.media_types import EVENT_STREAM
from server.live.admission import FullError
from server.live.encoder import SharedEvent
from server.live.fair_queue import CONCURRENT_TURNS, FairQueue
from server.live.hub import OPERATIONS_PER_CLIENT, Hub
from server.live.message import Message
from server.live.operation_writer import BACKLOG_EVENTS
from tests.live.hub_reader import COINS, RUNS, PlainEncoder, reading
from tests.server.conftest import NOW, Service
from tests.server.graphql_live import Socket, change_coins, connected
from tests.server.graphql_rows import Json

TIMEOUT_SECONDS = 60
CHANGED = 1_000
ADD_COINS = """
INSERT INTO normalized_records
    (ticker, name, price_usd_exact, source, created_at, ingested_at, rival_count, provenance)
SELECT 'T' || n, 'Coin', 1, 'csv', now(), now(), 0, '[]' FROM generate_series(1, $1::integer) AS n
"""


@asynccontextmanager
async def running_hub(database: str, pool: Pool, **bounds: int) -> AsyncIterator[Hub]:
    hub = Hub(database, pool, **bounds)
    following = asyncio.create_task(hub.run())
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await hub.listener.connected.wait()
    try:
        yield hub
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


@pytest.fixture
async def hub(database: str, pool: Pool) -> AsyncIterator[Hub]:
    async with running_hub(database, pool) as running:
        yield running


class Gated(PlainEncoder):
    """Encodes nothing before its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()

    async def encode(
        self, commit: SharedEvent, name_lists: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[Message]]:
        self.begun.set()
        await self.gate.wait()
        return await super().encode(commit, name_lists)


async def test_turns_are_fair_by_client_and_cheap_ones_are_first() -> None:
    turns = FairQueue(concurrent=1)
    order: list[str] = []

    async def take(name: str, clients: Sequence[str], cost: float) -> None:
        async with turns.turn(clients, cost):
            order.append(name)

    async with asyncio.TaskGroup() as group, turns.turn(("host",), 1):
        for number in range(5):
            group.create_task(take(f"many {number}", ("many",), 10))
        group.create_task(take("dear", ("other",), 25))
        group.create_task(take("cheap", ("third",), 1))
        # The client with the earliest virtual time pays for a shared turn.
        group.create_task(take("shared", ("many", "fourth"), 12))
        cancelled = group.create_task(take("given up", ("fifth",), 1))
        await asyncio.sleep(0)
        assert order == []
        cancelled.cancel()
    assert order == ["cheap", "many 0", "shared", "many 1", "dear", "many 2", "many 3", "many 4"]
    # The queue is empty: a slot is free, and virtual time starts again.
    async with turns.turn(("many",), 1):
        pass


async def test_a_client_has_one_turn_at_a_time_while_others_have_theirs() -> None:
    turns = FairQueue()
    async with turns.turn(("one",), 1):
        second = asyncio.create_task(turns.turn(("one",), 1).__aenter__())
        for number in range(CONCURRENT_TURNS - 1):
            async with asyncio.timeout(TIMEOUT_SECONDS), turns.turn((f"other {number}",), 100):
                assert not second.done()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await second


async def test_a_blocked_operation_delays_no_other(hub: Hub, connection: Connection) -> None:
    stuck = Gated()
    count = BACKLOG_EVENTS + 20
    async with (
        reading(hub, COINS, encoder=stuck, client="one") as slow,
        reading(hub, COINS, client="two") as quick,
    ):
        for number in range(count):
            await change_coins(connection, f"T{number}")
            assert (await quick.next()).names == [f"T{number}"]
        stuck.gate.set()
        received = [await slow.next()]
        while received[-1].names != [f"T{count - 1}"]:
            received.append(await slow.next())
    # One was being encoded, BACKLOG_EVENTS waited, and the others count as lagged.
    assert len(received) == 1 + BACKLOG_EVENTS
    assert [one.lagged for one in received] == [0, count - len(received)] + [0] * (
        BACKLOG_EVENTS - 1
    )


async def test_a_complete_topic_continues_from_the_outbox(hub: Hub, connection: Connection) -> None:
    stuck = Gated()
    count = BACKLOG_EVENTS + 20
    add = "INSERT INTO events (kind, at, run) VALUES ('run_progress', $1, $2)"
    async with (
        reading(hub, RUNS, encoder=stuck, client="one") as slow,
        reading(hub, RUNS, client="two") as quick,
    ):
        for number in range(count):
            await connection.execute(add, NOW, {"source": f"R{number}"})
            await notify_events(connection)
            assert (await quick.next()).names == [f"R{number}"]
        stuck.gate.set()
        received = await slow.take(count)
    assert [one.names for one in received] == [[f"R{number}"] for number in range(count)]


async def test_an_operation_without_subscribers_is_not_encoded(
    hub: Hub, connection: Connection
) -> None:
    """Neither queued nor current events: other operations of the client do not wait for it."""
    stuck, other = Gated(), PlainEncoder()
    async with reading(hub, COINS, encoder=other, client="one") as reader:
        async with reading(hub, COINS, encoder=stuck, client="one"):
            await change_coins(connection, "A")
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await stuck.begun.wait()
            await change_coins(connection, "B")
        assert [(await reader.next()).names for _ in range(2)] == [["A"], ["B"]]
        stuck.gate.set()
        await change_coins(connection, "C")
        assert (await reader.next()).names == ["C"]
    assert stuck.written == []
    assert hub.group_count == 0


async def test_a_group_without_members_is_not_encoded_for(hub: Hub, connection: Connection) -> None:
    stuck, shared = Gated(), PlainEncoder()
    async with (
        reading(hub, COINS, encoder=stuck, client="one"),
        reading(hub, COINS, names=frozenset({"A"}), encoder=shared, client="one") as stays,
    ):
        async with reading(hub, COINS, names=frozenset({"A", "B"}), encoder=shared, client="one"):
            await change_coins(connection, "A")
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await stuck.begun.wait()
        stuck.gate.set()
        await stays.next()
    assert [groups for _, groups in shared.written] == [1]


async def test_different_operations_are_limited_by_client_and_in_total(
    database: str, pool: Pool
) -> None:
    async with (
        running_hub(database, pool, operations=3, operations_per_client=2) as hub,
        AsyncExitStack() as stack,
    ):
        shared = PlainEncoder()
        for encoder in (shared, shared, PlainEncoder()):
            await stack.enter_async_context(reading(hub, COINS, encoder=encoder, client="one"))
        with pytest.raises(FullError, match="2 different operations of one client"):
            await stack.enter_async_context(reading(hub, RUNS, client="one"))
        await stack.enter_async_context(reading(hub, RUNS, client="two"))
        with pytest.raises(FullError, match="3 different operations, as many as it may"):
            await stack.enter_async_context(reading(hub, COINS, client="three"))
        # Any client may join an operation that exists.
        await stack.enter_async_context(reading(hub, COINS, encoder=shared, client="three"))
        await stack.aclose()
        assert hub.group_count == 0
        for client in ("one", "two"):
            await stack.enter_async_context(reading(hub, COINS, client=client))


def operation_text(number: int) -> str:
    """Return a different, expensive operation for each number."""
    fields = (
        "id ticker name priceUsd priceUsdExact source createdAt ingestedAt isStale "
        "provenance { field }"
    )
    return f"subscription {{ coinUpdates {{ cursor coins {{ w{number}: name {fields} }} }} }}"


async def subscribe_in_many_words(sockets: Sequence[Socket], count: int) -> None:
    """Subscribe to so many operations; those above the limit are refused."""
    refused: asyncio.Queue[Json] = asyncio.Queue()

    async def hear(socket: Socket) -> None:
        while True:
            refused.put_nowait(await socket.receive())

    hearing = [asyncio.create_task(hear(socket)) for socket in sockets]
    for number in range(count):
        await sockets[number % len(sockets)].subscribe(operation_text(number), number=str(number))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        for _ in range(count - OPERATIONS_PER_CLIENT):
            message = await refused.get()
            assert message["type"] == "error"
            assert message["payload"][0]["extensions"] == {"code": "UNAVAILABLE", "retryAfter": 30}
            assert "different operations of one client" in message["payload"][0]["message"]
    for task in hearing:
        task.cancel()
    await asyncio.gather(*hearing, return_exceptions=True)


async def test_300_operations_of_one_client_delay_no_other_client(
    service: Service, connection: Connection
) -> None:
    await connection.execute(ADD_COINS, CHANGED)
    changed = sorted(f"T{number}" for number in range(1, CHANGED + 1))
    hub = service.state.hub
    other = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connected(service)) for _ in range(6)]
        client = await stack.enter_async_context(
            aiohttp.ClientSession(service.url, connector=other)
        )
        await subscribe_in_many_words(sockets, 300)
        reader = await stack.enter_async_context(
            connected(Service(service.url, client, service.state))
        )
        await reader.subscribe('subscription { coinUpdates(tickers: ["T1"]) { coins { ticker } } }')
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while hub.subscriber_count <= OPERATIONS_PER_CLIENT:
                await asyncio.sleep(0)
        for _ in range(3):
            await change_coins(connection, *changed)
            assert await reader.next() == {"coinUpdates": {"coins": [{"ticker": "T1"}]}}
            newest = await connection.fetchval("SELECT max(seq) FROM events")
            # It gets each commit before most operations of the other client have written it.
            positions = [subscriber.position for subscriber in hub.subscribers]
            assert sum(position < newest for position in positions) > OPERATIONS_PER_CLIENT // 2
        for socket in sockets:
            await socket.websocket.close()
        # Their operations end with them.
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while hub.subscriber_count > 1:
                await asyncio.sleep(0.01)
        await change_coins(connection, "T1")
        assert await reader.next() == {"coinUpdates": {"coins": [{"ticker": "T1"}]}}
        assert hub.group_count == 1


async def test_too_many_operations_are_refused_over_an_event_stream_too(
    service: Service,
) -> None:
    async with connected(service) as socket:
        for number in range(OPERATIONS_PER_CLIENT):
            await socket.subscribe(operation_text(number), number=str(number))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while service.state.hub.subscriber_count < OPERATIONS_PER_CLIENT:
                await asyncio.sleep(0)
        body = {"query": operation_text(OPERATIONS_PER_CLIENT)}
        async with service.client.post(
            "/graphql", json=body, headers={"Accept": EVENT_STREAM}
        ) as response:
            text = await response.text()
    assert '"code":"UNAVAILABLE","retryAfter":30' in text
