"""ETag and 304: only a client with the current response gets a 304."""

import asyncio

import msgspec
import pytest

from common.settings import Settings
from db.connect.pool import Connection
from db.events import add_coins_event, notify_events
from tests.server.conftest import NOW, AddCoin, Service, running_service


async def etag_of(service: Service, path: str) -> str:
    async with service.client.get(path) as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-cache"
        return response.headers["ETag"]


async def status_of(service: Service, path: str, known: str) -> int:
    async with service.client.get(path, headers={"If-None-Match": known}) as response:
        return response.status


async def commit(connection: Connection, ticker: str) -> None:
    async with connection.transaction():
        await add_coins_event(connection, [ticker], NOW)
        await notify_events(connection)


@pytest.mark.parametrize("path", ["/data?limit=5", "/stats"])
async def test_what_a_client_has_already_is_not_sent_again(
    path: str, service: Service, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    known = await etag_of(service, path)
    for header in (known, known.removeprefix("W/"), f'"other", {known}', "*"):
        async with service.client.get(path, headers={"If-None-Match": header}) as response:
            assert (response.status, await response.read()) == (304, b"")
            assert response.headers["ETag"] == known
    assert await status_of(service, path, '"other"') == 200
    assert await etag_of(service, "/data?limit=6") != known


async def test_a_commit_that_was_told_of_makes_every_tag_old(
    service: Service, connection: Connection, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    known = await etag_of(service, "/data")
    for _ in range(3):
        before = service.state.data_version
        await commit(connection, "BTC")
        async with asyncio.timeout(10):
            while service.state.data_version == before:
                await asyncio.sleep(0.01)
        assert await status_of(service, "/data", known) == 200
        known = await etag_of(service, "/data")


async def test_without_a_data_version_there_is_no_etag_match(
    service: Service, connection: Connection, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    known = await etag_of(service, "/data")
    listener = """
        SELECT pid FROM pg_stat_activity
        WHERE application_name = 'kasparro server live' AND datname = current_database()
    """
    async with asyncio.timeout(20):
        while service.state.data_version is not None:
            for row in await connection.fetch(listener):
                await connection.execute("SELECT pg_terminate_backend($1)", row["pid"])
            await asyncio.sleep(0)
    async with service.client.get("/data", headers={"If-None-Match": known}) as response:
        assert response.status == 200
        assert "ETag" not in response.headers
    async with asyncio.timeout(20):
        await service.state.hub.listener.connected.wait()
    assert await status_of(service, "/data", known) == 304


async def test_a_replica_that_may_lag_behind_gives_no_tag(
    settings: Settings, database: str, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    with_replica = msgspec.structs.replace(settings, read_database_url=database)
    async with running_service(with_replica) as service, service.client.get("/data") as response:
        assert response.status == 200
        assert "ETag" not in response.headers
