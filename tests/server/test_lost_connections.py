"""PostgreSQL ends without a message, as after a SIGKILL: each kind of request says so."""

import asyncio
import contextlib
import datetime
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec
import pytest

from common.settings import Settings
from db.connect.pool import create_pool, is_unavailable
from server.deadline import DeadlineConnection, deadline_from_now
from tests.server.conftest import TOKEN, AddCoin, AddRun, AddSource, Service, running_service

COINS = "{ coins(first: 1) { nodes { ticker } } }"
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "health": ("GET", "/health", {}),
    "ready": ("GET", "/health/ready", {}),
    "stats": ("GET", "/stats", {}),
    "data": ("GET", "/data", {}),
    "export": ("GET", "/data?format=csv", {}),
    "compiled": ("POST", "/graphql", {"json": {"query": COINS}}),
    # Too long a document for the fast path.
    "ordinary": ("POST", "/graphql", {"json": {"query": COINS + " " * 9_000}}),
    "mutation": (
        "POST",
        "/graphql",
        {"json": {"query": "mutation { triggerEtl { request { id } } }"}},
    ),
}


class Relay:
    """Passes bytes between clients and a PostgreSQL, until it drops all connections."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._messages_left: int | None = None

    def break_after(self, messages: int | None) -> None:
        """Drop all connections whenever a client sends more than so many messages; None: never."""
        self._messages_left = messages

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection."""
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        both = {writer, server_writer}
        self._open |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, server_writer, is_request=True))
                group.create_task(self._pass_on(server_reader, writer, is_request=False))
        finally:
            self._open -= both

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_request: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                if is_request and self._messages_left is not None:
                    self._messages_left -= 1
                    if self._messages_left < 0:
                        for writer in self._open:
                            writer.transport.abort()
                        return
                target.write(data)
                await target.drain()
        target.close()


@pytest.fixture
async def relay(database: str) -> AsyncIterator[tuple[Relay, str]]:
    """A relay, and the DSN of the test's database through it."""
    if "TEST_DATABASE_URL" in os.environ:
        pytest.skip("the server of TEST_DATABASE_URL is not the embedded one")
    parts = urlsplit(database)
    made = Relay(Path(parse_qs(parts.query)["host"][0], ".s.PGSQL.5432"))
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    yield made, f"postgresql://postgres@127.0.0.1:{port}{parts.path}"
    listening.close()


async def fetch(service: Service, kind: str) -> tuple[int, set[str]]:
    """Return the status and the error codes of a response."""
    method, path, given = REQUESTS[kind]
    async with service.client.request(
        method, path, headers={"X-Scheduler-Token": TOKEN}, **given
    ) as response:
        text = await response.text()
        body = {} if path != "/graphql" else json.loads(text)
        return response.status, {error["extensions"]["code"] for error in body.get("errors", ())}


@pytest.mark.parametrize("messages", [0, 1, 2])
async def test_a_lost_connection_is_never_an_internal_error(
    relay: tuple[Relay, str],
    settings: Settings,
    add_coin: AddCoin,
    add_run: AddRun,
    add_source: AddSource,
    messages: int,
) -> None:
    await add_coin("BTC")
    await add_source("csv", poll_seconds=86_400)
    now = datetime.datetime.now(datetime.UTC)
    await add_run("csv", "success", started_at=now, finished_at=now)
    breaking, dsn = relay
    async with running_service(msgspec.structs.replace(settings, database_url=dsn)) as service:
        for kind in REQUESTS:
            # Connections are open and statements prepared, and the pool replaces lost ones.
            assert await fetch(service, kind) == (200, set()), kind
            breaking.break_after(messages)
            status, codes = await fetch(service, kind)
            breaking.break_after(None)
            assert status in {200, 503}, kind
            assert codes <= {"UNAVAILABLE"}, kind
            assert status == 503 or codes or messages, kind


async def test_a_connection_lost_at_its_release_counts_as_unavailable(database: str) -> None:
    async with await create_pool(database, max_size=1) as pool:
        with pytest.raises(asyncpg.InternalClientError) as caught:
            async with DeadlineConnection(pool, deadline_from_now()) as lent:
                lent._transport.abort()  # type: ignore[union-attr]
        assert is_unavailable(caught.value)
        async with DeadlineConnection(pool, deadline_from_now()) as lent:
            assert await lent.fetchval("SELECT 1") == 1
