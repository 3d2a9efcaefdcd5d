"""Clients leave in every way, and nothing remains: no task, subscriber, queue or socket."""

import asyncio
import gc
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import psutil
import pytest

from db.connect.types import Connection
from server.graphql.transport import websocket
from server.graphql.transport.event_stream import EventStream
from server.graphql.transport.subscription_task import SubscriptionTask
from server.live.group import SubscriberGroup
from server.live.subscriber import Subscriber
from server.live.websocket_protocol import WebSocketProtocol
from tests.live.outbox import add_events
from tests.live.raw import HANDSHAKE, INIT, frame, raw_client, subscribe
from tests.server.conftest import AddCoin, AddRun, Service

ROUNDS = 5
TIMEOUT_SECONDS = 30
RESET = struct.pack("ii", 1, 0)
COINS = (
    "subscription ($after: String) { coinUpdates(after: $after) { cursor coins { ticker "
    "} lagged } }"
)
RUNS = "subscription ($after: String) { runUpdates(after: $after) { cursor run { id } } }"
BEGINNING = "WzAsbnVsbF0"
CONNECTION_TYPES = (
    websocket.WebSocketConnection,
    EventStream,
    SubscriptionTask,
    SubscriberGroup,
    Subscriber,
    WebSocketProtocol,
)


STREAM = json.dumps({"query": COINS, "variables": {"after": BEGINNING}}).encode()
POST = (
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: "
    b"text/event-stream\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(STREAM)
)

# What is said after the handshake of a websocket, and what is said without one.
TO_WEBSOCKET = {
    "nothing": b"",
    "a greeting": INIT,
    "half a message": INIT + subscribe(RUNS)[:20],
    "a message that is none": INIT + b"\x81\xff\x00",
    "something unmasked": INIT + b"\x81\x02{}",
    "a query": INIT + subscribe("{ sources { name } }"),
    "subscriptions": INIT + subscribe(RUNS) + subscribe(COINS, "2"),
    "subscriptions that catch up": INIT
    + subscribe(RUNS, "1", BEGINNING)
    + subscribe(COINS, "2", BEGINNING),
    "a subscription that is refused": INIT + subscribe(RUNS, "1", "nonsense"),
    "a subscription that is completed": INIT + subscribe(RUNS) + frame(type="complete", id="1"),
    "a close": INIT + subscribe(RUNS) + b"\x88\x80\x00\x00\x00\x00",
}
ELSE = {
    "half a handshake": HANDSHAKE[:60],
    "a handshake whose answer is not waited for": HANDSHAKE,
    "half a request for a stream": POST + STREAM[:20],
    "a request for a stream": POST + STREAM,
}


async def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


async def close(client: socket.socket) -> None:
    client.close()


async def finish(client: socket.socket) -> None:
    """Shut down the sending side, read to the end, and close."""
    client.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while await asyncio.get_running_loop().sock_recv(client, 65_536):
            pass
    client.close()


@pytest.fixture
async def rows(add_coin: AddCoin, add_run: AddRun, connection: Connection) -> None:
    await add_coin("BTC")
    await add_run("csv", "success")
    await add_events(connection, 500)


class Inside:
    """The state of clients in a server."""

    def __init__(self, service: Service) -> None:
        self._hub = service.state.hub
        self._before = self._count()

    def _count(self) -> dict[str, int]:
        gc.collect()
        objects = gc.get_objects()
        return {
            "subscribers": self._hub.subscriber_count,
            "groups": self._hub.group_count,
            "connections": self._hub.connections.count,
            "subscriptions": self._hub.subscriptions.count,
            "tasks": len(asyncio.all_tasks()),
            "sockets": len(psutil.Process().net_connections("tcp")),
            **{
                kind.__name__: sum(type(found) is kind for found in objects)
                for kind in CONNECTION_TYPES
            },
        }

    async def as_before(self) -> None:
        until = asyncio.get_running_loop().time() + TIMEOUT_SECONDS
        while (more := self._more()) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)
        assert not more

    def _more(self) -> dict[str, int]:
        # There may be less: a keep-alive connection.
        return {name: count for name, count in self._count().items() if count > self._before[name]}


@pytest.mark.parametrize("leave", [close, reset, finish])
@pytest.mark.usefixtures("rows")
async def test_nothing_is_left_of_a_client(
    leave: Callable[[socket.socket], Awaitable[None]], service: Service, connection: Connection
) -> None:
    await (await service.client.get("/health/live")).read()
    inside = Inside(service)
    for _ in range(ROUNDS):
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(raw_client(service)) for _ in (*TO_WEBSOCKET, *ELSE)
            ]
            for client, said in zip(clients, (*TO_WEBSOCKET.values(), *ELSE.values()), strict=True):
                if said in TO_WEBSOCKET.values():
                    await client.shake_hands()
                await client.say(said)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while service.state.hub.subscriber_count < 5:
                    await asyncio.sleep(0.01)
            # Leave while the server is about to send an update to all of them.
            await add_events(connection, 10)
            for client in clients:
                await leave(client.socket)
    await inside.as_before()
