"""Clients that read slowly or not at all: their messages, and their cost."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from common.settings import Settings
from db.connect.types import Connection
from db.events import notify_events
from server import process
from server.live.subscriber import QUEUE_LIMIT
from server.process import open_socket
from tests.live.raw import INIT, RawClient, raw_client, subscribe
from tests.live.test_leaks import COINS, RUNS
from tests.server.conftest import NOW, AddCoin, AddRun, Service, running_service

TIMEOUT_SECONDS = 60
NAME = "x" * 20_000
"""So that a few updates are more than the buffers of a connection hold."""

ADD_RUN_EVENTS = """
INSERT INTO events (kind, at, run)
SELECT 'run_progress', $1, row_to_json(r)::jsonb || jsonb_build_object('processed', n, 'message',
    $3::text)
FROM etl_runs AS r CROSS JOIN generate_series(1, $2::integer) AS n
"""


@asynccontextmanager
async def slow_client(service: Service, query: str) -> AsyncIterator[RawClient]:
    """Subscribe, and read only on demand."""
    before = service.state.hub.subscriber_count
    async with raw_client(service, receive_bytes=4096) as client:
        await client.shake_hands()
        await client.say(INIT + subscribe(query))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while service.state.hub.subscriber_count == before:
                await asyncio.sleep(0.01)
        yield client


async def add_coin_events(connection: Connection, count: int) -> None:
    for _ in range(count):
        await connection.execute(
            "INSERT INTO events (kind, at, tickers) VALUES ('coins_changed', $1, ARRAY['BTC'])", NOW
        )
    await notify_events(connection)


async def dispatched(service: Service, connection: Connection) -> None:
    """Wait until the hub has passed on all events."""
    newest = await connection.fetchval("SELECT max(seq) FROM events")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while max(worker.position for worker in service.state.hub._workers.values()) < newest:
            await asyncio.sleep(0.01)


async def test_a_slow_websocket_gets_the_number_of_missed_messages(
    service: Service, add_coin: AddCoin, connection: Connection
) -> None:
    await add_coin("BTC", name=NAME)
    query = COINS.replace("ticker", "ticker name")
    total = 2 * QUEUE_LIMIT + 300
    async with slow_client(service, query) as slow, slow_client(service, query) as quick:
        reading = asyncio.create_task(quick.take(total))
        await add_coin_events(connection, total)
        assert sum(update["coinUpdates"]["lagged"] for update in await reading) == 0
        await dispatched(service, connection)
        await add_coin_events(connection, 1)
        received = missed = 0
        while received + missed < total + 1:
            update = (await slow.next())["coinUpdates"]
            received, missed = received + 1, missed + update["lagged"]
        assert missed > 0
        assert received + missed == total + 1


async def test_runs_are_told_completely_however_slow_the_client_is(
    service: Service, add_run: AddRun, connection: Connection
) -> None:
    await add_run("csv", "success")
    query = RUNS.replace("id }", "processed message }")
    total = 2 * QUEUE_LIMIT + 300
    async with slow_client(service, query) as slow:
        await connection.execute(ADD_RUN_EVENTS, NOW, total, NAME)
        await notify_events(connection)
        await dispatched(service, connection)
        updates = await slow.take(total)
    assert [update["runUpdates"]["run"]["processed"] for update in updates] == list(
        range(1, total + 1)
    )


@pytest.fixture
async def impatient(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(process, "PING_SECONDS", 0.3)
    async with running_service(settings) as service:
        yield service


async def test_who_answers_no_ping_is_forgotten(
    impatient: Service, add_coin: AddCoin, connection: Connection
) -> None:
    """Neither client sends anything again, and the buffers of one are full."""
    await add_coin("BTC", name=NAME)
    hub = impatient.state.hub
    async with (
        slow_client(impatient, COINS),
        slow_client(impatient, COINS.replace("ticker", "ticker name")),
    ):
        await add_coin_events(connection, 500)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while hub.connections.count:
                await asyncio.sleep(0.01)
    assert hub.subscriber_count == hub.subscriptions.count == hub.group_count == 0


def test_a_connection_that_is_not_read_ends_by_itself() -> None:
    with open_socket("127.0.0.1", 0) as listening:
        listening.listen()
        with (
            socket.create_connection(listening.getsockname()[:2]),
            listening.accept()[0] as accepted,
        ):
            if not hasattr(socket, "TCP_USER_TIMEOUT"):
                pytest.skip("this system has no such time-out")
            found = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert found == 1000 * process.UNREAD_SECONDS
