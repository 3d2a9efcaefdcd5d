"""READ_DATABASE_URL: reads go to a live replica, and to the primary without one."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from common.settings import Settings
from db.connect.pool import connect
from db.embedded import EmbeddedPostgres
from db.schema.migrate import migrate
from tests.conftest import FAST_SETTINGS
from tests.server.conftest import TOKEN, AddCoin, AddSource, Service, running_service

COUNT = "{ coins(first: 5) { totalCount } }"


@pytest.fixture
async def replica(state_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A separate database without coins, so that its responses differ from the primary's."""
    async with EmbeddedPostgres(state_folder, FAST_SETTINGS) as postgres:
        await migrate(postgres.dsn)
        yield postgres


async def ask(service: Service, query: str, **variables: object) -> dict[str, Any]:
    async with service.client.post(
        "/graphql", json={"query": query, "variables": variables}
    ) as response:
        body: dict[str, Any] = await response.json()
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data


async def rest(service: Service) -> int:
    total: int = (await service.get("/data"))["pagination"]["total"]
    return total


async def graphql(service: Service) -> int:
    total: int = (await ask(service, COUNT))["coins"]["totalCount"]
    return total


async def until(service: Service, total: int) -> None:
    """Wait until each kind of read returns so many coins; none may fail meanwhile."""
    async with asyncio.timeout(20):
        while {await rest(service), await graphql(service)} != {total}:
            await asyncio.sleep(0.05)


WAYS: list[Callable[[Service], Awaitable[int]]] = [rest, graphql]


async def test_a_dead_replica_falls_back_to_the_primary_and_comes_back(
    replica: EmbeddedPostgres, settings: Settings, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    both = msgspec.structs.replace(settings, read_database_url=replica.dsn)
    async with running_service(both) as service:
        assert [await way(service) for way in WAYS] == [0, 0]
        await replica.stop()
        assert [await way(service) for way in WAYS] == [1, 1]
        assert "problems" in await service.get("/health/ready", 503)
        assert (await service.get("/health"))["status"] == "ok"
        await replica.start()
        await until(service, 0)
        assert "problems" not in await service.get("/health/ready", 503)


async def test_a_frozen_replica_is_noticed_within_seconds(
    replica: EmbeddedPostgres, settings: Settings, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    both = msgspec.structs.replace(settings, read_database_url=replica.dsn)
    async with running_service(both) as service:
        assert await rest(service) == 0
        assert replica.pid is not None
        backends = [replica.pid, *(child.pid for child in psutil.Process(replica.pid).children())]
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                while service.state.replica is None or service.state.replica.answers:
                    await asyncio.sleep(0.05)
            began = time.monotonic()
            assert [await way(service) for way in WAYS] == [1, 1]
            assert time.monotonic() - began < 9  # a query of a dead replica would wait for 10 s
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        await until(service, 0)


async def test_a_replica_that_is_unavailable_at_the_start_delays_no_reader(
    replica: EmbeddedPostgres, settings: Settings, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    await replica.stop()
    both = msgspec.structs.replace(settings, read_database_url=replica.dsn)
    async with running_service(both) as service:
        assert [await way(service) for way in WAYS] == [1, 1]


async def test_who_has_just_asked_for_a_run_finds_the_request_though_the_replica_lags(
    replica: EmbeddedPostgres, settings: Settings, add_source: AddSource
) -> None:
    await add_source("csv")
    both = msgspec.structs.replace(settings, read_database_url=replica.dsn)
    async with running_service(both) as service:
        headers = {"X-Scheduler-Token": TOKEN}
        mutation = {"query": "mutation { triggerEtl { request { id } } }"}
        async with service.client.post("/graphql", json=mutation, headers=headers) as response:
            request = (await response.json())["data"]["triggerEtl"]["request"]["id"]
        connection = await connect(str(settings.database_url))
        try:
            await connection.execute(
                "INSERT INTO etl_runs (source, started_at, request_id) SELECT 'csv', "
                "now(), max(id) FROM etl_requests"
            )
        finally:
            await connection.close()
        node = (
            "query ($id: ID!) { node(id: $id) { id ... on EtlRequest { status runs { source } } } }"
        )
        found = await ask(service, node, id=request)
        assert found["node"] == {"id": request, "status": "PENDING", "runs": [{"source": "csv"}]}
