"""POST /trigger-etl: who may, what it leaves behind, and how often one may guess."""

import asyncio

from db.pool import Connection
from db.requests import CHANNEL
from server.state import FAILED_TOKENS
from tests.server.conftest import TOKEN, AddSource, Service

GOOD = {"X-Scheduler-Token": TOKEN}
REQUESTS = "SELECT sources, status, full_run FROM etl_requests"


async def test_a_trigger_is_stored_and_told_to_the_ingestors(
    service: Service, add_source: AddSource, connection: Connection
) -> None:
    await add_source("coinpaprika", priority=1)
    await add_source("csv", "file", priority=3)
    await add_source("old", enabled=False)
    told: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener(CHANNEL, lambda *received: told.put_nowait(str(received[-1])))
    async with service.client.post("/trigger-etl", headers=GOOD) as response:
        assert response.status == 200
        body = await response.json()
    assert body.keys() == {"status", "timestamp"}
    assert body["status"] == "triggered"
    assert body["timestamp"].endswith("Z")
    async with asyncio.timeout(10):
        number = await told.get()
    row = await connection.fetchrow(f"{REQUESTS} WHERE id = $1", int(number))
    assert row is not None
    assert tuple(row) == (["coinpaprika", "csv"], "pending", False)


async def test_without_the_token_nothing_is_stored(
    service: Service, add_source: AddSource, connection: Connection
) -> None:
    await add_source("csv")
    for headers in ({}, {"X-Scheduler-Token": "wrong"}, {"X-Scheduler-Token": TOKEN + "x"}, {"Authorization": TOKEN}):
        async with service.client.post("/trigger-etl", headers=headers) as response:
            assert response.status == 401
            assert await response.json() == {"detail": "Invalid scheduler token"}
    assert await connection.fetch(REQUESTS) == []


async def test_a_guesser_is_stopped_even_when_the_guess_is_right(
    service: Service, add_source: AddSource, connection: Connection
) -> None:
    await add_source("csv")
    for _ in range(FAILED_TOKENS):
        async with service.client.post("/trigger-etl", headers={"X-Scheduler-Token": "guess"}) as response:
            assert response.status == 401
    for headers in ({"X-Scheduler-Token": "guess"}, GOOD):
        async with service.client.post("/trigger-etl", headers=headers) as response:
            assert response.status == 429
            assert int(response.headers["Retry-After"]) > 0
            assert "detail" in await response.json()
    assert await connection.fetch(REQUESTS) == []


async def test_the_right_token_never_uses_up_the_allowance(service: Service, add_source: AddSource) -> None:
    await add_source("csv")
    for _ in range(FAILED_TOKENS + 2):
        async with service.client.post("/trigger-etl", headers=GOOD) as response:
            assert response.status == 200


async def test_a_trigger_before_any_source_is_set_up_says_so(service: Service) -> None:
    async with service.client.post("/trigger-etl", headers=GOOD) as response:
        assert response.status == 503
        assert await response.json() == {"detail": "No source is set up yet: the ingestor has not started"}


async def test_only_post_triggers(service: Service) -> None:
    async with service.client.get("/trigger-etl", headers=GOOD) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"
