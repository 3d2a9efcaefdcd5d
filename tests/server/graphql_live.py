"""Clients of both live protocols, and commits for them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from db.connect.types import Connection
from db.events import RunEventKind, add_coins_event, add_run_event, notify_events
from tests.server.conftest import Service
from tests.server.graphql_rows import NOW, Json

TIMEOUT_SECONDS = 20.0


class Socket:
    """A client of graphql-transport-ws."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket

    async def send(self, **message: object) -> None:
        await self.websocket.send_json(message)

    async def receive(self) -> Json:
        """Return the next message; fails if the connection was closed instead."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            message = await self.websocket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def closed(self) -> tuple[int, str]:
        """Return code and reason of the next message, a close."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            message = await self.websocket.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return int(message.data), message.extra or ""

    async def subscribe(
        self, query: str, variables: Mapping[str, Any] | None = None, number: str = "1"
    ) -> None:
        await self.send(
            id=number, type="subscribe", payload={"query": query, "variables": variables}
        )

    async def next(self, number: str = "1") -> Json:
        """Return the data of the next update."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert message["id"] == number
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]


@asynccontextmanager
async def connected(
    service: Service, payload: Mapping[str, Any] | None = None
) -> AsyncIterator[Socket]:
    """Connect, and wait for the acknowledgement."""
    async with service.client.ws_connect(
        "/graphql", protocols=["graphql-transport-ws"]
    ) as websocket:
        socket = Socket(websocket)
        await socket.send(
            type="connection_init", **({} if payload is None else {"payload": payload})
        )
        assert await socket.receive() == {"type": "connection_ack"}
        yield socket


async def change_coins(connection: Connection, *tickers: str) -> None:
    """Commit that these coins changed."""
    async with connection.transaction():
        await add_coins_event(connection, sorted(tickers), NOW)
        await notify_events(connection)


async def tell_of_run(connection: Connection, kind: RunEventKind, run_id: int) -> None:
    """Commit an event of a run."""
    async with connection.transaction():
        await add_run_event(connection, kind, run_id, NOW)
        await notify_events(connection)
