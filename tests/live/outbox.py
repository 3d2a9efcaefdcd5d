"""Servers, commits, and clients that reconnect until they have all updates."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import aiohttp

from db.connect.types import Connection
from db.events import notify_events
from server.graphql.relay.cursors import decode_words
from tests.conftest import Program, StartProgram
from tests.server.conftest import NOW

COINS = (
    "subscription ($after: String) { updates: coinUpdates(after: $after) { cursor coins "
    "{ ticker } lagged } }"
)
RUNS = (
    "subscription ($after: String) { updates: runUpdates(after: $after) { cursor type "
    "run { id processed } } }"
)
RETRY_SECONDS = 0.02

_ADD_COIN_EVENTS = """
INSERT INTO events (kind, at, tickers) SELECT 'coins_changed', $1, ARRAY['BTC']
    FROM generate_series(1, $2::integer)
"""
_ADD_RUN_EVENTS = """
INSERT INTO events (kind, at, run)
SELECT 'run_progress', $1, row_to_json(r)::jsonb || jsonb_build_object('processed', n)
FROM etl_runs AS r CROSS JOIN generate_series(1, $2::integer) AS n
"""

Update = dict[str, Any]
Follow = Callable[[str, str, str], AsyncGenerator[Update, None]]


async def start_server(
    start_program: StartProgram, database: str, home: Path, port: int
) -> Program:
    """Start a server process, and wait until it answers."""
    program = start_program(
        "-m", "server", DATABASE_URL=database, KASPARRO_HOME=str(home), PORT=str(port)
    )
    await program.wait_for(r"Listening at \S+\n")
    return program


async def add_events(connection: Connection, count: int) -> None:
    """Commit so many events of coins, and of the one run, in one transaction."""
    async with connection.transaction():
        await connection.execute(_ADD_COIN_EVENTS, NOW, count)
        await connection.execute(_ADD_RUN_EVENTS, NOW, count)
        await notify_events(connection)


async def over_websocket(url: str, query: str, after: str) -> AsyncGenerator[Update, None]:
    """Yield updates until the connection is lost."""
    async with (
        aiohttp.ClientSession(url) as session,
        session.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket,
    ):
        await socket.send_json({"type": "connection_init"})
        payload = {"query": query, "variables": {"after": after}}
        await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
        async for message in socket:
            body = message.json()
            if body["type"] != "connection_ack":
                yield body["payload"]["data"]["updates"]


async def over_sse(url: str, query: str, after: str) -> AsyncGenerator[Update, None]:
    """Yield updates until the connection is lost; a stream that ends sends `complete`."""
    body = {"query": query, "variables": {"after": after}}
    async with (
        aiohttp.ClientSession(url) as session,
        session.post("/graphql", json=body, headers={"Accept": "text/event-stream"}) as response,
    ):
        async for line in response.content:
            assert line != b"event: complete\n"
            if line.startswith(b"data: "):
                yield json.loads(line[6:])["data"]["updates"]


class Follower:
    """A client that reconnects after each loss, and resumes after its last update."""

    def __init__(self, follow: Follow, url: str, query: str, after: str) -> None:
        self.updates: list[Update] = []
        self.url = url
        self._follow = follow
        self._query = query
        self._after = after
        self._task = asyncio.create_task(self._run())
        self._changed = asyncio.Condition()

    async def _run(self) -> None:
        while True:
            after = self.updates[-1]["cursor"] if self.updates else self._after
            with suppress(aiohttp.ClientError):
                async with aclosing(self._follow(self.url, self._query, after)) as updates:
                    async for update in updates:
                        async with self._changed:
                            self.updates.append(update)
                            self._changed.notify_all()
            await asyncio.sleep(RETRY_SECONDS)

    async def has(self, count: int) -> None:
        """Wait until it has so many updates. Raises the error that ended it."""
        async with asyncio.timeout(60), self._changed:
            while len(self.updates) < count:
                waiting = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait((waiting, self._task), return_when=asyncio.FIRST_COMPLETED)
                if self._task.done():
                    self._task.result()
                await waiting

    async def kill(self) -> None:
        """End it at once."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def restart(self) -> None:
        """End it at once, then start it again with its updates."""
        await self.kill()
        self._task = asyncio.create_task(self._run())

    @property
    def seqs(self) -> list[int]:
        """The sequence numbers of its updates, in their order."""
        return [seq_of(update["cursor"]) for update in self.updates]


def seq_of(cursor: str) -> int:
    """Return the sequence number in a cursor."""
    words = decode_words(cursor)
    assert isinstance(words, list)
    return int(words[0])
